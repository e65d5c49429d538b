"""Anything that gives a pulse for so much of something: the S0 output of an energy meter, a water or gas meter.

S0 (IEC 62053-31): a pulse and the pause behind it last 30 ms or more. A K-factor, as printed on the meter, says how
many pulses make a unit: 1000 imp/kWh.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from drivers.contract import N_, Fault, FaultKind, Help, InputDriver, Interval, Item, Measurement, Reason, Trial, Wire
from drivers.pulses import Contact, Event, Reporter, What
from drivers.quantities import QUANTITIES, unit
from drivers.settings import Active, Hold, Pin, Pull, Report
from drivers.wiring import GND, PIN

DIGITS = 6  # of the total: a thousandth of a pulse of the finest meters
RATE_DIGITS = 3  # of pulses a minute


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the contact is and what its pulses mean; raises ValueError if that makes no sense."""

    pin: Pin
    pull: Pull = "up"
    active: Active = "low"
    counts: Annotated[str, Help(N_("The quantity whose total goes up, such as energy_import"))] = "pulses"
    unit: Annotated[str | None, Help(N_('Its SenML unit, if Roadside does not know the quantity; "" for none'))] = None
    pulses_per_unit: Annotated[float, Interval(gt=0), Help(N_("K-factor: how many pulses make one unit"))] = 1.0
    stuck_after: Annotated[
        float,
        Interval(ge=1, le=604_800),
        Help(N_("A contact that is closed for so long is stuck; more for meters that may rest with it closed"), "s"),
    ] = 60.0
    hold: Hold = 0.01
    report: Report = 60.0

    def __post_init__(self) -> None:
        known = self.counts in QUANTITIES
        if known and self.unit not in {None, QUANTITIES[self.counts].unit}:
            raise ValueError(f"unit: {self.counts} is always in {QUANTITIES[self.counts].unit!r}")
        if not known and not (self.counts.isidentifier() and self.counts.isascii() and self.counts.islower()):
            raise ValueError(f"counts: {self.counts!r} cannot be a quantity: use small letters, digits and _")
        if not known and self.unit is None:
            raise ValueError(f'unit: the unit of {self.counts} is missing, such as unit = "m3" ("" if it has none)')


def quantities(settings: Settings) -> Mapping[str, str]:
    """Return the total and its rate with their units."""
    total = unit(settings.counts) if settings.counts in QUANTITIES else settings.unit or ""
    return {settings.counts: total, "pulse_rate": unit("pulse_rate")}


class PulseCounter(Reporter):
    """One counter: its total, and how fast the pulses came, every `report` seconds.

    While the contact is stuck, what is counted goes by unseen, so that the total is not sent as if it were up to date.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(Contact(hold=settings.hold, stuck_after=settings.stuck_after), settings.report)
        self._settings = settings
        self._pulses = 0
        self._pulses_then = 0  # at the last report

    def start(self, at: float, active: bool) -> list[Item]:
        """Take the level at start; report the total so far."""
        self._contact.edge(at, active)
        self._reported, self._pulses_then = at, self._pulses
        return [self._total()]

    def memory(self) -> Mapping[str, float]:
        """Return how many pulses there were: they go on after a restart."""
        return {"pulses": self._pulses}

    def recall(self, memory: Mapping[str, float]) -> None:
        """Go on from the pulses of an earlier run."""
        self._pulses = int(memory.get("pulses", 0))

    def _told(self, at: float, event: Event) -> list[Item]:
        match event.what:
            case What.PULSE:
                self._pulses += 1
                return []
            case What.STUCK:
                return [Fault(FaultKind.STUCK, 0, f"contact closed for {event.lasted:g} s"), *self._report(at)]
            case What.FREED:
                return self._report(at)
            case _:
                return []

    def _report(self, at: float) -> list[Item]:
        pulses, seconds = self._pulses - self._pulses_then, at - self._reported
        self._reported, self._pulses_then = at, self._pulses
        if self._contact.stuck:
            return [self._total(), Measurement("pulse_rate", None, Reason.STUCK)]
        rate = [Measurement("pulse_rate", round(60 * pulses / seconds, RATE_DIGITS))] if seconds > 0 else []
        return [self._total(), *rate]

    def _total(self) -> Measurement:
        if self._contact.stuck:
            return Measurement(self._settings.counts, None, Reason.STUCK)
        if self._settings.pulses_per_unit == 1:
            return Measurement(self._settings.counts, self._pulses)
        return Measurement(self._settings.counts, round(self._pulses / self._settings.pulses_per_unit, DIGITS))


def trial(settings: Settings) -> Trial:
    """One pulse more."""
    text = N_("Have the meter count: open a tap, or switch something on, until it has counted once more")
    return Trial(text, settings.counts, by=1 / settings.pulses_per_unit, within=300.0)


DRIVER = InputDriver(
    name="pulse_counter",
    title=N_("Meter with a pulse output"),
    settings=Settings,
    quantities=quantities,
    make=PulseCounter,
    silent_after=900.0,
    event=True,
    reasons=(Reason.STUCK,),
    faults=(FaultKind.STUCK,),
    wiring=(
        Wire(N_("S0+, or one wire of the contact"), PIN),
        Wire(N_("S0-, or the other wire"), GND),
    ),
    notes=(
        N_("Meant for up to 40 pulses a second; for more set a shorter hold"),
        N_("The total begins at 0: to have that of the meter's own display give its rules an offset"),
        N_("S0 outputs are made for up to 27 V; at 3.3 V nearly all work with the Pi's own pull-up"),
    ),
    trial=trial,
    source="IEC 62053-31 (S0): pulse and pause 30 ms or more",
)
