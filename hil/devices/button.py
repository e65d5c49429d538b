"""A panic button, or another contact to ground on a pulled-up input, that bounces for some milliseconds."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from hil.emissions import Emission, Kind

if TYPE_CHECKING:
    import random

    from hil.pinboard import PinBoard

BOUNCE = 0.001  # seconds between two edges of a bounce; all in all it stays below 10 ms
PRESSED_FOR = (0.3, 1.2)  # seconds


class Button:
    """A button that somebody presses every so many seconds on average; by hand alone if `every` is None."""

    settles = 0.15  # the reader's debounce

    def __init__(
        self,
        name: str,
        board: PinBoard,
        chance: random.Random,
        *,
        pin: int,
        every: float | None = 8.0,
        measures: str = "pressed",
    ) -> None:
        self.name = name
        self.pin = pin
        self.emitted: list[Emission] = []
        self._board = board
        self._chance = chance
        self._every = every
        self._measures = measures
        board.set(pin, True)

    async def run(self) -> None:
        """Be pressed until cancelled."""
        while self._every is not None:
            await asyncio.sleep(1 + self._chance.expovariate(1 / self._every))
            try:
                self.press()
                await asyncio.sleep(self._chance.uniform(*PRESSED_FOR))
            finally:  # nobody holds a button for ever
                self.release()

    def press(self) -> None:
        """Close the contact."""
        self._move(pressed=True)

    def release(self) -> None:
        """Open the contact."""
        self._move(pressed=False)

    def _move(self, *, pressed: bool) -> None:
        level = not pressed  # active low
        bounces = self._chance.randint(0, 3)
        edges = [(level, 0.0)] + [(not level, BOUNCE), (level, BOUNCE)] * bounces
        self._board.edges(self.pin, edges)
        self.emitted.append(Emission(self.name, self._measures, pressed, time.time(), kind=Kind.STATE))
