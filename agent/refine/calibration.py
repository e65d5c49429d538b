"""From the value a driver saw to the value that is right: calibrated, and checked against what can be."""

from __future__ import annotations

import sys
from decimal import Decimal
from typing import TYPE_CHECKING, TypeGuard

from drivers.contract import Reason

if TYPE_CHECKING:
    from agent.config.model import Rules
    from drivers.contract import Value

LARGEST = sys.float_info.max


def is_number(value: Value | None) -> TypeGuard[float]:
    """Tell numbers from states, texts and nothing; to Python alone a bool is an int."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


class Calibration:
    """The scale, the offset and the plausible range of one quantity."""

    def __init__(self, rules: Rules) -> None:
        self._scale = Decimal(repr(rules.scale))
        self._offset = Decimal(repr(rules.offset))
        self._needless = rules.scale == 1 and rules.offset == 0
        self._plausible = rules.plausible

    def apply(self, value: Value | None, reason: Reason | None) -> tuple[Value | None, Reason | None]:
        """Return the calibrated value, or None with the reason why there is none.

        A number that JSON cannot carry (not a number, infinite, beyond a double) is INVALID, one outside the plausible
        range, limits included, OUT_OF_RANGE.
        """
        if value is None:
            return None, reason or Reason.INVALID
        if isinstance(value, (bool, str)):
            return value, None
        if not -LARGEST <= value <= LARGEST:
            return None, Reason.INVALID
        if not self._needless:
            value = self._calibrated(value)
            if not -LARGEST <= value <= LARGEST:
                return None, Reason.INVALID
        if self._plausible is not None and not self._plausible[0] <= value <= self._plausible[1]:
            return None, Reason.OUT_OF_RANGE
        return value, None

    def _calibrated(self, value: float) -> float:
        """Reckon in decimal, as one does on paper: 2.3 + 0.2 is 2.5, not the 2.5000000000000004 of binary fractions."""
        return float(Decimal(repr(value)) * self._scale + self._offset)
