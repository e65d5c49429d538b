"""A siren on an output pin, active high, with a hardware pull-down: without an agent it is quiet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hil.emissions import Emission, Kind

if TYPE_CHECKING:
    import random

    from hil.pinboard import PinBoard


class Siren:
    """A siren that remembers each change of its state."""

    settles = 0.15

    def __init__(self, name: str, board: PinBoard, _chance: random.Random, *, pin: int) -> None:
        self.name = name
        self.pin = pin
        self.on = False
        self.emitted: list[Emission] = []
        board.watch(pin, self._changed)

    async def run(self) -> None:
        """Hang on the pole until cancelled: it is the board that tells it of changes."""
        await asyncio.Event().wait()

    def _changed(self, level: bool, at: float) -> None:
        if level != self.on:
            self.on = level
            self.emitted.append(Emission(self.name, "on", level, at, kind=Kind.STATE))
