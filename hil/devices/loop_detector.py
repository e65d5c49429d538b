"""A detector of an inductive loop: a relay that closes to ground while a vehicle is on the loop, or for a while.

Source: Diablo DSP-222 (pulse of 125 ms), Nortech PD160 (150 ms): operating modes; a relay bounces for a millisecond.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from drivers.quantities import unit
from hil.emissions import Emission, Kind

if TYPE_CHECKING:
    import random

    from hil.pinboard import PinBoard

PULSE = 0.125  # seconds
STAYS = (0.3, 1.5)  # seconds: a car at 60 km/h, a lorry at 30 km/h
LEAST_APART = 0.5  # seconds between two vehicles
BOUNCE = 0.0005  # seconds between two edges of a bounce

OPEN, CLOSED = True, False  # levels of a pulled-up input


class LoopDetector:
    """A detector over which vehicles drive, `every` so many seconds on average; by hand alone if that is None."""

    settles = 0.1  # the reader's debounce

    def __init__(
        self,
        name: str,
        board: PinBoard,
        chance: random.Random,
        *,
        pin: int,
        every: float | None = 5.0,
        mode: str = "presence",
    ) -> None:
        self.name = name
        self.pin = pin
        self.emitted: list[Emission] = []
        self._board = board
        self._chance = chance
        self._every = every
        self._presence = mode == "presence"
        board.set(pin, OPEN)

    async def run(self) -> None:
        """Be driven over until cancelled."""
        while self._every is not None:
            await asyncio.sleep(LEAST_APART + self._chance.expovariate(1 / self._every))
            await self.drive_over(self._chance.uniform(*STAYS))

    async def drive_over(self, seconds: float) -> None:
        """Have one vehicle come, and be gone so much later."""
        self.come()
        try:
            await asyncio.sleep(seconds if self._presence else PULSE)
        finally:
            self.go()

    def come(self) -> None:
        """Have one vehicle come, and stay."""
        self.emitted.append(
            Emission(self.name, "vehicles", 1, time.time(), unit("vehicles"), 1.0, kind=Kind.COUNT),
        )
        self._move(CLOSED)

    def go(self) -> None:
        """Have it go."""
        self._move(OPEN)

    def _move(self, level: bool) -> None:
        self._board.edges(self.pin, [(level, 0.0), (not level, BOUNCE), (level, BOUNCE)])
        if self._presence:
            self.emitted.append(Emission(self.name, "occupied", level is CLOSED, time.time(), kind=Kind.STATE))
