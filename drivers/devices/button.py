"""A button, door contact or any other contact whose state matters: panic button, tamper switch, mains failure relay."""

from collections.abc import Mapping
from dataclasses import dataclass

from drivers.contract import N_, InputDriver, Item, Measurement, Wire
from drivers.debounce import Debounce, Level
from drivers.quantities import always
from drivers.settings import Active, Hold, Pin, Pull, Report
from drivers.wiring import GND, PIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the contact is and how it is read."""

    pin: Pin
    pull: Pull = "up"
    active: Active = "low"
    hold: Hold = 0.03
    report: Report = 300.0


class Button:
    """One contact: its first state, each change, and the state every `report` seconds; an `EdgeDecoder`."""

    def __init__(self, settings: Settings) -> None:
        self._debounce = Debounce(settings.hold)
        self._report = settings.report
        self._pressed = False
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
            items.append(Measurement("pressed", self._pressed))
        return items

    def memory(self) -> Mapping[str, float]:
        """Nothing has to survive a restart."""
        return {}

    def recall(self, memory: Mapping[str, float]) -> None:
        """Nothing is remembered."""

    def _taken(self, at: float, level: Level | None) -> list[Item]:
        if level is None:
            return []
        self._pressed = level.active
        self._next_report = at + self._report
        return [Measurement("pressed", level.active, age=at - level.since)]


DRIVER = InputDriver(
    name="button",
    title=N_("Button or contact"),
    settings=Settings,
    quantities=always("pressed"),
    make=Button,
    silent_after=900.0,
    event=True,
    alarms=("pressed",),
    wiring=(
        Wire(N_("one side of the contact"), PIN),
        Wire(N_("the other side"), GND),
    ),
    notes=(N_('For a contact that is closed at rest set active = "high"'),),
)
