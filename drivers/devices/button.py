"""A contact whose state matters: panic button, door contact, tamper switch, relay that drops when the mains fail."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Literal

from drivers.contract import N_, Help, InputDriver, Item, Measurement, Trial, Wire
from drivers.debounce import Debounce, Level
from drivers.quantities import unit
from drivers.settings import Active, Hold, Pin, Pull, Report
from drivers.wiring import GND, PIN

MEASURES = ("pressed", "open", "tampered", "mains_failed")
TRIALS = {
    "pressed": N_("Press the button, and let it go"),
    "open": N_("Open the door, and close it"),
    "tampered": N_("Open the cover, and close it"),
    "mains_failed": N_("Switch the mains off at the breaker, and on again"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the contact is and how it is read."""

    pin: Pin
    pull: Pull = "up"
    active: Active = "low"
    measures: Annotated[
        Literal["pressed", "open", "tampered", "mains_failed"],
        Help(N_("What is true at the active level: a panic button is pressed, a door is open, ...")),
    ] = "pressed"
    tested_on: Annotated[
        date | None, Help(N_("When it was last tested: a year later test_due becomes true, as a reminder"))
    ] = None
    hold: Hold = 0.03
    report: Report = 300.0


def quantities(settings: Settings) -> Mapping[str, str]:
    """Return the state, and the reminder if the day of the last test is known."""
    names = (settings.measures,) if settings.tested_on is None else (settings.measures, "test_due")
    return {name: unit(name) for name in names}


class Button:
    """One contact: its first state, each change, and the state every `report` seconds; an `EdgeDecoder`."""

    def __init__(self, settings: Settings) -> None:
        self._debounce = Debounce(settings.hold)
        self._quantity = settings.measures
        self._report = settings.report
        self._is_so = False
        self._next_report: float | None = None  # None until a level has lasted

    def start(self, at: float, active: bool) -> list[Item]:
        """Take the level at start."""
        return self._taken(at, self._debounce.edge(at, active))

    def edge(self, at: float, active: bool) -> list[Item]:
        """Take one edge."""
        return self._taken(at, self._debounce.edge(at, active))

    def due(self) -> float | None:
        """Return when `tick` wants to be called."""
        return min((due for due in (self._debounce.due(), self._next_report) if due is not None), default=None)

    def tick(self, at: float) -> list[Item]:
        """Settle the contact; report its state if that is due."""
        items = self._taken(at, self._debounce.tick(at))
        if self._next_report is not None and at >= self._next_report:
            self._next_report = at + self._report
            items.append(Measurement(self._quantity, self._is_so))
        return items

    def memory(self) -> Mapping[str, float]:
        """Nothing has to survive a restart."""
        return {}

    def recall(self, memory: Mapping[str, float]) -> None:
        """Nothing is remembered."""

    def _taken(self, at: float, level: Level | None) -> list[Item]:
        if level is None:
            return []
        self._is_so = level.active
        self._next_report = at + self._report
        return [Measurement(self._quantity, level.active, age=at - level.since)]


DRIVER = InputDriver(
    name="button",
    title=N_("Button or contact: panic, door, tamper, mains failure"),
    settings=Settings,
    quantities=quantities,
    make=Button,
    silent_after=900.0,
    event=True,
    alarms=MEASURES,
    tested_on=lambda settings: settings.tested_on,
    trial=lambda settings: Trial(TRIALS[settings.measures], settings.measures),
    wiring=(
        Wire(N_("one side of the contact"), PIN),
        Wire(N_("the other side"), GND),
    ),
    notes=(
        N_('For a contact that is closed at rest set active = "high": then a cut wire raises the alarm too'),
        N_("A door that may be open for a while: give it an alarm with hold"),
    ),
)
