"""An HC-SR04: a pulse on its trigger is answered by one on its echo pin, as long as sound takes there and back.

Source: ElecFreaks, HC-SR04 user guide: the echo begins some 0.4 ms after the trigger, and lasts 38 ms if nothing came
back; 58 us are a centimetre.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

    from hil.emissions import Emission
    from hil.pinboard import PinBoard

AFTER = 0.0004  # seconds
NOTHING = 0.038  # seconds
PER_METRE = 0.0058  # seconds, there and back


class Hcsr04:
    """A sensor before which something stands at `distance` metres; None: nothing, and it says so.

    It emits nothing: a reader makes one value of several echoes.
    """

    settles = 1.5  # the reader's own pace

    def __init__(
        self,
        name: str,
        board: PinBoard,
        _chance: random.Random,
        *,
        trigger: int,
        echo: int,
        distance: float | None = 1.5,
    ) -> None:
        self.name = name
        self.distance = distance
        self.dead = False  # it does not answer at all
        self.emitted: list[Emission] = []
        self._board = board
        self._echo = echo
        board.set(echo, False)
        board.watch(trigger, self._triggered)

    async def run(self) -> None:
        """Hang on the pole until cancelled: it is the board that tells it of triggers."""
        await asyncio.Event().wait()

    def _triggered(self, level: bool, _at: float) -> None:
        if level and not self.dead:
            lasts = NOTHING if self.distance is None else self.distance * PER_METRE
            self._board.edges(self._echo, [(True, AFTER), (False, lasts)])
