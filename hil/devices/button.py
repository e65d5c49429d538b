"""A panic button, or another contact to ground on a pulled-up input, that bounces for some milliseconds."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from hil.devices.contact import CLOSED, OPEN, Contact
from hil.emissions import Emission, Kind

if TYPE_CHECKING:
    import random

    from hil.pinboard import PinBoard

BOUNCE = 0.001  # seconds between two edges of a bounce; all in all it stays below 10 ms
PRESSED_FOR = (0.3, 1.2)  # seconds


class Button(Contact):
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
        super().__init__(name, board, chance, pin=pin, every=every)
        self._measures = measures

    async def _happen(self, every: float) -> None:
        await asyncio.sleep(1 + self._chance.expovariate(1 / every))
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
        self._bounce(CLOSED if pressed else OPEN, BOUNCE, times=self._chance.randint(0, 3))
        self.emitted.append(Emission(self.name, self._measures, pressed, time.time(), kind=Kind.STATE))
