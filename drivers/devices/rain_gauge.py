"""Tipping-bucket rain gauge: a reed contact that closes briefly each time the bucket tips.

Closures last more than 60 ms and bounce for about 0.1 ms (measured on a common gauge); loggers hold 10 to 15 ms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from drivers.contract import N_, Fault, FaultKind, Help, InputDriver, Interval, Item, Measurement, Reason, Trial, Wire
from drivers.pulses import Contact, Event, Reporter, What
from drivers.quantities import always
from drivers.settings import Active, Hold, Pin, Pull, Report
from drivers.wiring import GND, PIN

SPACING = 0.1  # seconds; a bucket cannot fill and tip again so soon, it swings back
STUCK_AFTER = 60.0  # seconds; a bucket passes its contact in a fraction of a second
DRY_AFTER = 900.0  # seconds without a tip after which the rain has ended, as Davis consoles have it
DIGITS = 4  # of the total in mm: 0.2794 mm is a usual bucket
RATE_DIGITS = 2  # of mm/h


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the contact is and what one tip means."""

    pin: Pin
    pull: Pull = "up"
    active: Active = "low"
    mm_per_tip: Annotated[
        float,
        Interval(gt=0, le=10),
        Help(N_("Rain of one tip, as printed on the gauge"), unit="mm"),
    ] = 0.2
    hold: Hold = 0.01
    report: Report = 300.0


class RainGauge(Reporter):
    """One gauge: its running total and the rate at each tip and every `report` seconds.

    The rate is that of the last two tips, and sinks while the next one does not come; it is not known at start. While
    the contact is stuck rain goes by unseen, so that the total is not sent as if it were up to date.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__(Contact(hold=settings.hold, stuck_after=STUCK_AFTER, spacing=SPACING), settings.report)
        self._settings = settings
        self._total = 0.0  # mm
        self._last_tip = 0.0  # or the start
        self._tipped = False
        self._apart = DRY_AFTER  # seconds between the last two tips

    def start(self, at: float, active: bool) -> list[Item]:
        """Take the level at start; report the total so far."""
        self._contact.edge(at, active)
        self._last_tip = at
        return self._rain(at)

    def memory(self) -> Mapping[str, float]:
        """Return the total: it goes on after a restart."""
        return {"rain": self._total}

    def recall(self, memory: Mapping[str, float]) -> None:
        """Go on from the total of an earlier run."""
        self._total = memory.get("rain", 0.0)

    def _told(self, at: float, event: Event) -> list[Item]:
        match event.what:
            case What.PULSE:
                return self._tip(at, event.since)
            case What.TOO_SOON:
                return [Fault(FaultKind.GARBAGE, 0, f"closed again after {event.lasted:.3f} s")]
            case What.STUCK:
                return [Fault(FaultKind.STUCK, 0, f"contact closed for {event.lasted:g} s"), *self._rain(at)]
            case What.FREED:
                return self._rain(at)
            case _:
                return []

    def _tip(self, at: float, since: float) -> list[Item]:
        self._apart = min(DRY_AFTER, since - self._last_tip) if self._tipped else DRY_AFTER
        self._last_tip, self._tipped = since, True
        self._total = round(self._total + self._settings.mm_per_tip, DIGITS)
        return self._rain(at, age=at - since)

    def _report(self, at: float) -> list[Item]:
        return self._rain(at)

    def _rain(self, at: float, age: float = 0.0) -> list[Item]:
        self._reported = at
        if self._contact.stuck:
            return [Measurement("rain", None, Reason.STUCK), Measurement("rain_rate", None, Reason.STUCK)]
        rain = Measurement("rain", self._total, age=age)
        dry_for = at - age - self._last_tip
        if dry_for >= DRY_AFTER:
            return [rain, Measurement("rain_rate", 0.0)]
        if not self._tipped:
            return [rain]
        rate = self._settings.mm_per_tip * 3600 / max(self._apart, dry_for)
        return [rain, Measurement("rain_rate", round(rate, RATE_DIGITS), age=age)]


def trial(settings: Settings) -> Trial:
    """Two tips: 50 ml are 2.5 mm on the usual 200 cm2, and more on a smaller funnel."""
    return Trial(N_("Pour 50 ml of water slowly into the rain gauge"), "rain", by=2 * settings.mm_per_tip, within=180.0)


DRIVER = InputDriver(
    name="rain_gauge",
    title=N_("Tipping-bucket rain gauge"),
    settings=Settings,
    quantities=always("rain", "rain_rate"),
    make=RainGauge,
    silent_after=900.0,
    event=True,
    reasons=(Reason.STUCK,),
    faults=(FaultKind.STUCK, FaultKind.GARBAGE),
    wiring=(
        Wire(N_("one wire of the contact"), PIN),
        Wire(N_("the other wire"), GND),
    ),
    notes=(
        N_("Over long cables add 1 kilohm in series and 100 nF from the pin to GND"),
        N_("The rate of the first tip after 15 minutes without any is that of one tip in 15 minutes"),
    ),
    trial=trial,
    source="SparkFun/Argent 0.2794 mm, Davis metric 0.2 mm, TE525MM 0.1 mm; hold as in Sutron loggers (15 ms)",
)
