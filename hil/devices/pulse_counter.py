"""A meter with an S0 output: an open collector to ground that conducts for each of so much of something.

Source: IEC 62053-31: a pulse lasts 30 ms or more, and so does the pause behind it; it does not bounce.
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

PULSE = 0.03  # seconds, and the pause at least


class PulseCounter(Contact):
    """A meter that gives a pulse `every` so many seconds on average; by hand alone if that is None."""

    def __init__(
        self,
        name: str,
        board: PinBoard,
        chance: random.Random,
        *,
        pin: int,
        every: float | None = 2.0,
        counts: str = "pulses",
        pulses_per_unit: float = 1.0,
    ) -> None:
        super().__init__(name, board, chance, pin=pin, every=every)
        self.stuck = False  # the transistor conducts for good from the next pulse on
        self._counts = counts
        self._worth = 1 / pulses_per_unit

    async def _happen(self, every: float) -> None:
        await asyncio.sleep(PULSE + self._chance.expovariate(1 / max(every - 2 * PULSE, 0.01)))
        await self.pulse()

    async def pulse(self) -> None:
        """Give one pulse."""
        self._board.set(self.pin, CLOSED)
        self.emitted.append(
            Emission(
                self.name, self._counts, self._worth, time.time(), unit(self._counts), self._worth, kind=Kind.COUNT
            )
        )
        try:
            await asyncio.sleep(PULSE)
        finally:
            if not self.stuck:
                self._board.set(self.pin, OPEN)
