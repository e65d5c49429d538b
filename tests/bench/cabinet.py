"""What is measured with: a cabinet's readings, and a journal on real folders."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

from agent import logs
from agent.config.model import Journal as Limits
from agent.host.clock import SystemClock
from agent.host.disk import Folder
from agent.host.random import SystemRandom
from agent.journal.journal import Journal
from agent.readings import Reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.seams import Clock, Disk

UPLINK = "city"
RATE = 40  # readings a second

# Device, quantity, unit, where it begins, how far it moves between two readings, decimals on the wire.
_AIR = (
    ("air-1", "pm1", "ug/m3", 12.0, 1.0, 0),
    ("air-1", "pm2_5", "ug/m3", 21.0, 1.5, 0),
    ("air-1", "pm10", "ug/m3", 30.0, 2.0, 0),
)
_METER = (
    ("meter-1", "voltage", "V", 229.0, 0.3, 2),
    ("meter-1", "current", "A", 3.1, 0.05, 3),
    ("meter-1", "active_power", "W", 640.0, 8.0, 1),
    ("meter-1", "power_factor", "/", 0.93, 0.003, 3),
    ("meter-1", "frequency", "Hz", 50.0, 0.01, 2),
    ("meter-1", "energy_import", "Wh", 812_345.0, 0.2, 1),
)
_LEVEL = (("level-1", "water_level", "m", 1.42, 0.004, 3),)
_DEVICES = (_AIR, _METER, _LEVEL)  # ten readings, four times a second


class Cabinet:
    """An air sensor, a meter and a level gauge, each walking at random from one seed: `RATE` readings a second."""

    def __init__(self, start: int, seed: int = 1) -> None:
        """Take the instant of the first reading, as boottime in nanoseconds."""
        self.now = start
        self._random = random.Random(seed)
        self._values = {line[:2]: line[3] for device in _DEVICES for line in device}

    def frames(self) -> Iterator[list[Reading]]:
        """Yield, without end, what each device tells at once: three, six, one, and again."""
        while True:
            for lines in _DEVICES:
                yield [self._reading(*line) for line in lines]
                self.now += len(lines) * 1_000_000_000 // RATE

    def _reading(self, device: str, quantity: str, unit: str, _start: float, step: float, decimals: int) -> Reading:
        value = abs(self._values[device, quantity] + self._random.gauss(0, step))
        self._values[device, quantity] = value
        shown = round(value, decimals) if decimals else round(value)
        return Reading(device, quantity, self.now, shown, unit=unit)

    def readings(self, count: int) -> list[Reading]:
        """Return the next readings."""
        readings: list[Reading] = []
        for frame in self.frames():
            readings += frame
            if len(readings) >= count:
                break
        return readings[:count]


def open_journal(
    folder: Path, *, young: Disk | None = None, card: Disk | None = None, clock: Clock | None = None
) -> Journal:
    """Open the journal of a folder as the agent does, with the limits that it has unless it is told others."""
    return Journal(
        young=young or Folder(folder / "young"),
        card=card or Folder(folder / "card"),
        clock=clock or SystemClock(Path("/")),
        random=SystemRandom(),
        uplinks=[UPLINK],
        limits=Limits(),
        log=logs.get("journal"),
    )
