"""Values that change slowly, as those of the real world do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random


class Walk:
    """A seeded random walk between two bounds."""

    def __init__(self, chance: random.Random, low: float, high: float, stride: float) -> None:
        self._chance = chance
        self._low = low
        self._high = high
        self._stride = stride
        self.value = chance.uniform(low, high)

    def step(self) -> float:
        """Go one step of at most a stride, and return where that is."""
        wanted = self.value + self._chance.uniform(-self._stride, self._stride)
        self.value = min(self._high, max(self._low, wanted))
        return self.value
