"""Chance from the kernel."""

from __future__ import annotations

import random


class SystemRandom:
    """Implements `agent.seams.Random` with getrandom(2): gateways flashed from one image never agree by chance."""

    def __init__(self) -> None:
        self._random = random.SystemRandom()

    def uniform(self, low: float, high: float) -> float:
        """Return a number between two."""
        return self._random.uniform(low, high)

    def bits(self, count: int) -> int:
        """Return so many random bits."""
        return self._random.getrandbits(count)
