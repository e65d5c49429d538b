"""Tipping-bucket rain gauge: a reed contact that closes briefly each time the bucket tips.

Closures last more than 60 ms and bounce for about 0.1 ms (measured on a common gauge); loggers hold 10 to 15 ms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from drivers.contract import N_, Fault, FaultKind, Help, InputDriver, Interval, Item, Measurement, Reason, Wire
from drivers.debounce import Debounce, Level
from drivers.quantities import always
from drivers.settings import Active, Hold, Pin, Pull, Report
from drivers.wiring import GND, PIN

SPACING = 0.1  # seconds; a bucket cannot fill and tip again so soon, it swings back
STUCK_AFTER = 60.0  # seconds; a bucket passes its contact in a fraction of a second
DIGITS = 4  # of the total in mm: 0.2794 mm is a usual bucket


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


class RainGauge:
    """One gauge: its running total at each tip and every `report` seconds; an `EdgeDecoder`.

    While the contact is stuck rain goes by unseen, so that the total is not sent as if it were up to date.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._debounce = Debounce(settings.hold)
        self._total = 0.0  # mm
        self._closed: Level | None = None  # the present closure
        self._open_seen = False  # a contact that was closed at start has not tipped
        self._last_tip: float | None = None
        self._stuck = False
        self._next_report: float | None = None

    def start(self, at: float, active: bool) -> list[Item]:
        """Take the level at start; report the total so far."""
        self._debounce.edge(at, active)
        return [self._rain(at)]

    def edge(self, at: float, active: bool) -> list[Item]:
        """Take one edge."""
        return self._taken(at, self._debounce.edge(at, active))

    def due(self) -> float | None:
        """Return when `tick` wants to be called."""
        stuck = None if self._closed is None or self._stuck else self._closed.since + STUCK_AFTER
        return min((due for due in (self._debounce.due(), stuck, self._next_report) if due is not None), default=None)

    def tick(self, at: float) -> list[Item]:
        """Settle the contact; notice that it is stuck; report the total if that is due."""
        items = self._taken(at, self._debounce.tick(at))
        if self._closed is not None and not self._stuck and at >= self._closed.since + STUCK_AFTER:
            self._stuck = True
            items += [Fault(FaultKind.STUCK, 0, f"contact closed for {STUCK_AFTER:g} s"), self._rain(at)]
        elif self._next_report is not None and at >= self._next_report:
            items.append(self._rain(at))
        return items

    def memory(self) -> Mapping[str, float]:
        """Return the total: it goes on after a restart."""
        return {"rain": self._total}

    def recall(self, memory: Mapping[str, float]) -> None:
        """Go on from the total of an earlier run."""
        self._total = memory.get("rain", 0.0)

    def _taken(self, at: float, level: Level | None) -> list[Item]:
        if level is None:
            return []
        if not level.active:
            freed = self._stuck
            self._closed, self._stuck, self._open_seen = None, False, True
            return [self._rain(at)] if freed else []
        self._closed = level
        return self._tip(at, level.since) if self._open_seen else []

    def _tip(self, at: float, since: float) -> list[Item]:
        spacing = None if self._last_tip is None else since - self._last_tip
        if spacing is not None and spacing < SPACING:
            return [Fault(FaultKind.GARBAGE, 0, f"closed again after {spacing:.3f} s")]
        self._last_tip = since
        self._total = round(self._total + self._settings.mm_per_tip, DIGITS)
        return [self._rain(at, age=at - since)]

    def _rain(self, at: float, age: float = 0.0) -> Measurement:
        self._next_report = at + self._settings.report
        if self._stuck:
            return Measurement("rain", None, Reason.STUCK)
        return Measurement("rain", self._total, age=age)


DRIVER = InputDriver(
    name="rain_gauge",
    title=N_("Tipping-bucket rain gauge"),
    settings=Settings,
    quantities=always("rain"),
    make=RainGauge,
    silent_after=900.0,
    event=True,
    reasons=(Reason.STUCK,),
    faults=(FaultKind.STUCK, FaultKind.GARBAGE),
    wiring=(
        Wire(N_("one wire of the contact"), PIN),
        Wire(N_("the other wire"), GND),
    ),
    notes=(N_("Over long cables add 1 kilohm in series and 100 nF from the pin to GND"),),
    source="SparkFun/Argent 0.2794 mm, Davis metric 0.2 mm, TE525MM 0.1 mm; hold as in Sutron loggers (15 ms)",
)
