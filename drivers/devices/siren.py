"""A siren, lamp or relay on an output pin. Off is its safe state, and it never stays on longer than it may."""

from dataclasses import dataclass

from drivers.contract import N_, Item, Measurement, OutputDriver, Wire
from drivers.on_time import OnTime
from drivers.quantities import always
from drivers.settings import Active, LongestOn, Pin, Report
from drivers.wiring import GND, PIN


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the siren is and how long it may sound."""

    pin: Pin
    active: Active = "high"
    longest_on: LongestOn = 180.0
    report: Report = 300.0


class Siren:
    """One siren: its state at each change and every `report` seconds; an `Output`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._shall = OnTime(settings.longest_on)
        self._next_report = 0.0  # the first state goes up at once

    def set(self, at: float, on: bool, lasting: float | None = None) -> list[Item]:
        """Ask for a state, perhaps for so many seconds; returns it if it changed."""
        was_on = self.level()
        self._shall.set(at, on, lasting)
        return [self._state(at)] if on != was_on else []

    def level(self) -> bool:
        """Tell whether it is on."""
        return self._shall.on

    def due(self) -> float:
        """Return when `tick` wants to be called."""
        return self._next_report if self._shall.off_at is None else min(self._shall.off_at, self._next_report)

    def tick(self, at: float) -> list[Item]:
        """Switch off after the longest time; report the state if that is due."""
        was_on = self.level()
        self._shall.tick(at)
        return [self._state(at)] if was_on != self.level() or at >= self._next_report else []

    def _state(self, at: float) -> Measurement:
        self._next_report = at + self._settings.report
        return Measurement("on", self.level())


DRIVER = OutputDriver(
    name="siren",
    title=N_("Siren, lamp or relay"),
    settings=Settings,
    quantities=always("on"),
    make=Siren,
    silent_after=900.0,
    event=True,
    wiring=(
        Wire(N_("input of the relay board"), PIN),
        Wire(N_("GND"), GND),
    ),
    notes=(N_("A pull-down resistor keeps it off while the Pi starts"),),
)
