"""Detector of an inductive loop in the road: its relay closes for each vehicle.

In presence mode the contact is closed as long as something stands on the loop; in pulse mode it closes for a fixed
time for each vehicle, such as 125 ms (Diablo DSP-222), 150 ms (Nortech PD160) or 1.5 s (Marantec).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from drivers.contract import N_, Fault, FaultKind, Help, InputDriver, Interval, Item, Measurement, Reason, Wire
from drivers.pulses import Contact, Event, Reporter, What
from drivers.quantities import unit
from drivers.settings import Active, Hold, Pin, Pull, Report
from drivers.wiring import GND, PIN

PERCENT_DIGITS = 2
SECONDS_DIGITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the contact is and what it does."""

    pin: Pin
    pull: Pull = "up"
    active: Active = "low"
    mode: Annotated[
        Literal["presence", "pulse"],
        Help(N_("What the detector's relay does: it is closed while a vehicle is there, or gives one pulse for each")),
    ] = "presence"
    longest: Annotated[
        float,
        Interval(ge=10, le=86_400),
        Help(N_("Closed for so long is a fault: a parked car, or a detector that lost its balance"), unit="s"),
    ] = 600.0
    hold: Hold = 0.005
    report: Report = 60.0


def quantities(settings: Settings) -> Mapping[str, str]:
    """Return what can be measured in this mode: how long a pulse lasts says nothing of the vehicle."""
    measured = ("vehicles", "vehicle_duration", "occupied", "occupancy")
    return {name: unit(name) for name in (measured if settings.mode == "presence" else measured[:1])}


class LoopDetector(Reporter):
    """One loop: the total with each vehicle, how long each was there, and the occupancy of each report.

    While the contact is stuck vehicles go by unseen, so that nothing is sent as if it were known.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(Contact(hold=settings.hold, stuck_after=settings.longest), settings.report)
        self._settings = settings
        self._vehicles = 0
        self._occupied = 0.0  # seconds since the last report, without the present vehicle
        self._unknown = False  # the contact was stuck since then

    def start(self, at: float, active: bool) -> list[Item]:
        """Take the level at start; report the total so far."""
        self._contact.edge(at, active)
        self._reported = at
        return [self._total()]

    def memory(self) -> Mapping[str, float]:
        """Return the total: it goes on after a restart."""
        return {"vehicles": self._vehicles}

    def recall(self, memory: Mapping[str, float]) -> None:
        """Go on from the total of an earlier run."""
        self._vehicles = int(memory.get("vehicles", 0))

    def _told(self, at: float, event: Event) -> list[Item]:
        age = at - event.since
        match event.what:
            case What.PULSE:
                self._vehicles += 1
                return [self._total(age), *self._in_presence(Measurement("occupied", value=True, age=age))]
            case What.STUCK:
                self._unknown = True
                text = f"something has been on the loop for {event.lasted:g} s"
                return [Fault(FaultKind.STUCK, 0, text), self._total(), *self._state()]
            case What.FREED:
                return [self._total(), *self._in_presence(Measurement("occupied", value=False, age=age))]
            case What.OPENED:
                self._occupied += event.since - max(event.since - event.lasted, self._reported)
                gone = Measurement("occupied", value=False, age=age)
                lasted = Measurement("vehicle_duration", round(event.lasted, SECONDS_DIGITS), age=age)
                return self._in_presence(gone, lasted)
            case _:
                return self._state()

    def _report(self, at: float) -> list[Item]:
        items: list[Item] = [self._total(), *self._state(), *self._in_presence(self._occupancy(at))]
        self._reported, self._occupied, self._unknown = at, 0.0, self._contact.stuck
        return items

    def _occupancy(self, at: float) -> Measurement:
        if self._unknown:
            return Measurement("occupancy", None, Reason.STUCK)
        here = 0.0 if self._contact.closed is None else at - max(self._contact.closed.since, self._reported)
        share = (self._occupied + here) / (at - self._reported)
        return Measurement("occupancy", round(100 * min(share, 1.0), PERCENT_DIGITS))

    def _total(self, age: float = 0.0) -> Measurement:
        if self._contact.stuck:
            return Measurement("vehicles", None, Reason.STUCK)
        return Measurement("vehicles", self._vehicles, age=age)

    def _state(self) -> list[Item]:
        if self._contact.stuck:
            return self._in_presence(Measurement("occupied", None, Reason.STUCK))
        return self._in_presence(Measurement("occupied", self._contact.closed is not None))

    def _in_presence(self, *measurements: Measurement) -> list[Item]:
        return list(measurements) if self._settings.mode == "presence" else []


DRIVER = InputDriver(
    name="loop_detector",
    title=N_("Inductive loop detector"),
    settings=Settings,
    quantities=quantities,
    make=LoopDetector,
    silent_after=900.0,
    event=True,
    reasons=(Reason.STUCK,),
    faults=(FaultKind.STUCK,),
    wiring=(
        Wire(N_("one contact of the relay"), PIN),
        Wire(N_("the other contact"), GND),
    ),
    notes=(
        N_("Use the contact that is open while nothing is on the loop; for the other one turn active round"),
        N_("A fail-safe output closes when the loop is broken: that is told as a fault after the time of longest"),
    ),
    source="Diablo DSP-222, Nortech PD160 and Marantec detectors: operating modes and pulse lengths",
)
