"""Cup anemometer: a reed contact or a transistor that closes once or more a turn, the faster the stronger the wind.

Mean, gust and lull are those of the report: the gust is the strongest mean of three seconds in it, the lull the
weakest (WMO-No. 8, Guide to Instruments and Methods of Observation, chapter 5).
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from drivers.contract import N_, Help, InputDriver, Interval, Item, Measurement, Wire
from drivers.debounce import Debounce, Level
from drivers.quantities import always
from drivers.settings import Active, Hold, Pin, Pull
from drivers.wiring import GND, PIN

STEP = 1.0  # seconds between two looks at how far it has turned
GUST = 3  # steps of which a gust is the mean
STILL = 3.0  # seconds without a pulse after which it stands still: less wind than any cups begin to turn in
DIGITS = 3  # of m/s


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the contact is and how the wind follows from it: factor x frequency + offset."""

    pin: Pin
    pull: Pull = "up"
    active: Active = "low"
    factor: Annotated[
        float, Interval(gt=0, le=100), Help(N_("Wind at one pulse a second, from the datasheet"), unit="m/s")
    ] = 0.667
    offset: Annotated[
        float, Interval(ge=-10, le=10), Help(N_("Added while it turns, from the datasheet"), unit="m/s")
    ] = 0.0
    hold: Hold = 0.0015
    report: Annotated[
        float,
        Interval(ge=GUST * STEP, le=600),
        Help(N_("How often mean, gust and lull go up"), unit="s"),
    ] = 60.0


class Anemometer:
    """One anemometer: mean, gust and lull every `report` seconds; an `EdgeDecoder`.

    How far it has turned is known with each pulse, and between two of them by how fast it was: so also slow wind, of
    less than a pulse a step, has its mean, and no part of a turn is lost or counted twice.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._debounce = Debounce(settings.hold)
        self._pulses = 0
        self._last: float | None = None  # the last pulse, and
        self._apart = STILL  # seconds between the last two
        self._open_seen = False  # a contact that is closed at start has not closed
        self._steps: deque[float] = deque(maxlen=GUST + 1)  # how far it had turned at the last steps
        self._next_step = 0.0
        self._gust = self._lull = 0.0  # pulses a second; of the present report
        self._reported = 0.0  # when, seconds
        self._turned_then = 0.0

    def start(self, at: float, active: bool) -> list[Item]:
        """Take the level at start."""
        self._debounce.edge(at, active)
        self._next_step = at
        self._begin(at, 0.0)
        return []

    def edge(self, at: float, active: bool) -> list[Item]:
        """Take one edge."""
        return self._taken(at, self._debounce.edge(at, active))

    def due(self) -> float:
        """Return when `tick` wants to be called."""
        due = self._debounce.due()
        return self._next_step if due is None else min(due, self._next_step)

    def tick(self, at: float) -> list[Item]:
        """Settle the contact; look how far it has turned; report if that is due."""
        return self._taken(at, self._debounce.tick(at)) + self._look(at, until=at)

    def memory(self) -> Mapping[str, float]:
        """Nothing has to survive a restart."""
        return {}

    def recall(self, memory: Mapping[str, float]) -> None:
        """Nothing is remembered."""

    def _taken(self, at: float, level: Level | None) -> list[Item]:
        if level is None:
            return []
        items = self._look(at, until=level.since)  # what was before the pulse is not to know of it
        if not level.active:
            self._open_seen = True
        elif self._open_seen:
            self._apart = STILL if self._last is None else level.since - self._last
            self._last = level.since
            self._pulses += 1
        return items

    def _turned(self, at: float) -> float:
        """Return how many pulses it has turned, parts of one included."""
        if self._last is None or self._apart >= STILL:
            return self._pulses
        return self._pulses + min(max(0.0, at - self._last) / self._apart, 1.0)

    def _look(self, at: float, until: float) -> list[Item]:
        """Look at all steps up to a time; report what is due."""
        items: list[Item] = []
        while self._next_step <= until:
            step = self._next_step
            self._next_step += STEP
            self._steps.append(self._turned(step))
            if len(self._steps) > GUST:
                mean = (self._steps[-1] - self._steps[0]) / (GUST * STEP)
                self._gust, self._lull = max(self._gust, mean), min(self._lull, mean)
            if step >= self._reported + self._settings.report:
                items += self._report(step, age=at - step)
        return items

    def _report(self, at: float, age: float) -> list[Item]:
        turned = self._turned(at)
        mean = (turned - self._turned_then) / (at - self._reported)
        # A mean of three seconds that began before the report can be all there is of a short one.
        gust, lull = max(self._gust, mean), min(self._lull, mean)
        self._begin(at, turned)
        return [
            Measurement("wind_speed", self._wind(mean), age=age),
            Measurement("wind_gust", self._wind(gust), age=age),
            Measurement("wind_lull", self._wind(lull), age=age),
        ]

    def _begin(self, at: float, turned: float) -> None:
        self._reported, self._turned_then = at, turned
        self._gust, self._lull = 0.0, float("inf")

    def _wind(self, hertz: float) -> float:
        if hertz <= 0:
            return 0.0
        return round(max(0.0, self._settings.factor * hertz + self._settings.offset), DIGITS)


DRIVER = InputDriver(
    name="anemometer",
    title=N_("Cup anemometer with a pulse output"),
    settings=Settings,
    quantities=always("wind_speed", "wind_gust", "wind_lull"),
    make=Anemometer,
    silent_after=900.0,
    wiring=(
        Wire(N_("one wire of the contact"), PIN),
        Wire(N_("the other wire"), GND),
    ),
    notes=(
        N_("A cut wire looks like calm: give wind_speed a stuck_after of some days"),
        N_("Davis: factor = 1.006; SparkFun/Argent SEN-15901: factor = 0.667"),
        N_("Over long cables add 1 kilohm in series and 10 nF from the pin to GND"),
    ),
    source="SparkFun SEN-15901 (2.4 km/h at 1 Hz), Davis 6410 (2.25 mph at 1 Hz); gusts: WMO-No. 8, chapter 5",
)
