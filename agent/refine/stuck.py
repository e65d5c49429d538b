"""Values that stay the same although nature never does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivers.contract import Value


class Stuck:
    """Finds out whether one quantity has had the same value for too long.

    The count begins anew with the agent and after a silence; a quantity once found stuck stays so until it changes.
    """

    def __init__(self, after: int, value: Value | None) -> None:
        """Take how long is too long (nanoseconds), and the value it was found stuck at by an earlier run, if it was."""
        self._after = after
        self._value = value
        self._since = 0
        self.stuck = value is not None

    def judge(self, value: Value, at: int) -> bool:
        """Take the next value and return whether the quantity is stuck."""
        if value != self._value:
            self._value, self._since, self.stuck = value, at, False
        elif at - self._since >= self._after:
            self.stuck = True
        return self.stuck

    def interrupt(self) -> None:
        """Nothing was heard for long: who knows what the value did meanwhile."""
        if not self.stuck:
            self._value = None
