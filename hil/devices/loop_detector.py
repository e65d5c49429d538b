"""A detector of an inductive loop: a relay that closes to ground while a vehicle is on the loop, or for a while.

Source: Diablo DSP-222 (pulse of 125 ms), Nortech PD160 (150 ms): operating modes; a relay bounces for a millisecond.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from drivers.quantities import unit
from hil.devices.contact import CLOSED, OPEN, Contact
from hil.emissions import Emission, Kind

if TYPE_CHECKING:
    import random

    from hil.pinboard import PinBoard

PULSE = 0.125  # seconds
STAYS = (0.3, 1.5)  # seconds: a car at 60 km/h, a lorry at 30 km/h
LEAST_APART = 0.5  # seconds between two vehicles
BOUNCE = 0.0005  # seconds between two edges of a bounce


class LoopDetector(Contact):
    """A detector over which vehicles drive, `every` so many seconds on average; by hand alone if that is None."""

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
        super().__init__(name, board, chance, pin=pin, every=every)
        self._presence = mode == "presence"

    async def _happen(self, every: float) -> None:
        await asyncio.sleep(LEAST_APART + self._chance.expovariate(1 / every))
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
        self._bounce(level, BOUNCE)
        if self._presence:
            self.emitted.append(Emission(self.name, "occupied", level is CLOSED, time.time(), kind=Kind.STATE))
