"""The rule of one alarm: a limit with hysteresis and hold time, or a state."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from agent.refine.calibration import is_number
from agent.refine.duration import nanoseconds

if TYPE_CHECKING:
    from agent.config.model import AlarmRule
    from drivers.contract import Value


class Beyond(NamedTuple):
    """The first of the values in a row that are beyond the limit."""

    since: int  # boottime in nanoseconds
    value: Value


class Limit:
    """Judges the values of one quantity by one rule.

    `lasting` says that a value holds until the next one comes, as a button's state does; then time alone ends the hold.
    A sampled value says nothing of the time after it, so there the hold ends with the next value beyond the limit.
    """

    def __init__(self, rule: AlarmRule, *, lasting: bool) -> None:
        self.rule = rule
        self._hold = nanoseconds(rule.hold)
        self._lasting = lasting
        self._beyond: Beyond | None = None

    def judge(self, value: Value | None, at: int, *, raised: bool) -> bool:
        """Return whether the alarm stands after this value; a missing one, or one of another kind, changes nothing."""
        if not self._fits(value):
            return raised
        if raised:
            self._beyond = None
            return not self._is_clear(value)
        if not self._is_beyond(value):
            self._beyond = None
            return False
        if self._beyond is None:
            self._beyond = Beyond(at, value)
        return at - self._beyond.since >= self._hold

    def due(self) -> int | None:
        """Return when the hold ends by itself, or None."""
        return self._beyond.since + self._hold if self._lasting and self._beyond is not None else None

    def tick(self, at: int) -> Value | None:
        """Return the value that raises the alarm now although none came, or None."""
        due = self.due()
        if due is None or at < due or self._beyond is None:
            return None
        value, self._beyond = self._beyond.value, None
        return value

    def interrupt(self) -> None:
        """Nothing was heard for long: a hold time begins anew."""
        self._beyond = None

    def _fits(self, value: Value | None) -> TypeGuard[float]:
        return isinstance(value, bool) if self.rule.equals is not None else is_number(value)

    def _is_beyond(self, value: float) -> bool:
        if self.rule.above is not None:
            return value > self.rule.above
        if self.rule.below is not None:
            return value < self.rule.below
        return value is self.rule.equals

    def _is_clear(self, value: float) -> bool:
        if self.rule.above is not None:
            return value <= (self.rule.above if self.rule.clear is None else self.rule.clear)
        if self.rule.below is not None:
            return value >= (self.rule.below if self.rule.clear is None else self.rule.clear)
        return value is not self.rule.equals
