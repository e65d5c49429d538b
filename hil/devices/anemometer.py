"""A cup anemometer: a reed contact to ground that is closed for half of each turn.

Source: SparkFun SEN-15901 weather kit datasheet: a wind of 2.4 km/h closes it once a second; bounce of about 0.1 ms as
measured on such a kit.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from hil.emissions import Emission
    from hil.pinboard import PinBoard

FACTOR = 2.4 / 3.6  # m/s at one turn a second
BOUNCE = 0.00005  # seconds between two edges of a bounce
CALM = 0.3  # m/s; less does not turn it
PATIENCE = 0.2  # seconds between two looks whether the wind has come up

OPEN, CLOSED = True, False  # levels of a pulled-up input


class Anemometer:
    """An anemometer in a wind that is set, in m/s, or that wanders if it is not.

    It emits nothing: what a reader says is a mean of its own choosing, which no single turn is.
    """

    settles = 0.1  # the reader's debounce

    def __init__(
        self, name: str, board: PinBoard, chance: random.Random, *, pin: int, wind: float | None = None
    ) -> None:
        self.name = name
        self.pin = pin
        self.wind = 4.0 if wind is None else wind
        self.emitted: list[Emission] = []
        self._board = board
        self._chance = chance
        self._wanders = wind is None
        board.set(pin, OPEN)

    async def run(self) -> None:
        """Turn until cancelled."""
        while True:
            if self.wind < CALM:
                await asyncio.sleep(PATIENCE)
            for level in (CLOSED, OPEN) if self.wind >= CALM else ():
                self._board.edges(self.pin, [(level, 0.0), (not level, BOUNCE), (level, BOUNCE)])
                await asyncio.sleep(FACTOR / self.wind / 2)
            if self._wanders:
                self.wind = max(0.0, self.wind + self._chance.gauss(0, 0.2) + 0.02 * (4.0 - self.wind))
