"""A meter with an S0 output: an open collector to ground that conducts for each of so much of something.

Source: IEC 62053-31: a pulse lasts 30 ms or more, and so does the pause behind it; it does not bounce.
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

PULSE = 0.03  # seconds, and the pause at least

OPEN, CLOSED = True, False  # levels of a pulled-up input


class PulseCounter:
    """A meter that gives a pulse `every` so many seconds on average; by hand alone if that is None."""

    settles = 0.1  # the reader's debounce

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
        self.name = name
        self.pin = pin
        self.emitted: list[Emission] = []
        self.stuck = False  # the transistor conducts for good from the next pulse on
        self._board = board
        self._chance = chance
        self._every = every
        self._counts = counts
        self._worth = 1 / pulses_per_unit
        board.set(pin, OPEN)

    async def run(self) -> None:
        """Count until cancelled."""
        while self._every is not None:
            await asyncio.sleep(PULSE + self._chance.expovariate(1 / max(self._every - 2 * PULSE, 0.01)))
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
