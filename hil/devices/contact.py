"""What all devices with a contact to ground have alike."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from hil.emissions import Emission
    from hil.pinboard import PinBoard

OPEN, CLOSED = True, False  # levels of a pulled-up input


class Contact(ABC):
    """A contact that something happens to, `every` so many seconds on average; by hand alone if that is None."""

    settles = 0.1  # the reader's debounce

    def __init__(self, name: str, board: PinBoard, chance: random.Random, *, pin: int, every: float | None) -> None:
        self.name = name
        self.pin = pin
        self.emitted: list[Emission] = []
        self._board = board
        self._chance = chance
        self._every = every
        board.set(pin, OPEN)

    async def run(self) -> None:
        """Have it happen until cancelled."""
        while self._every is not None:
            await self._happen(self._every)

    @abstractmethod
    async def _happen(self, every: float) -> None:
        """Wait for some time, about `every` seconds, and do what it does."""

    def _bounce(self, level: bool, apart: float, *, times: int = 1) -> None:
        """Move to a level, and bounce so many times with so many seconds between two edges."""
        self._board.edges(self.pin, [(level, 0.0)] + [(not level, apart), (level, apart)] * times)
