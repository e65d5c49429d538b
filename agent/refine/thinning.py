"""Which measurements of one quantity need not go up: none, or repeats within a deadband."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agent.refine.calibration import is_number

if TYPE_CHECKING:
    from drivers.contract import Reason, Value


class Summary(NamedTuple):
    """A value that stands for many measurements, or the reason why there was none."""

    suffix: str  # of the quantity's name: "" for a reason, ":mean", ":min" or ":max" for a number
    at: int  # boottime in nanoseconds
    value: Value | None
    reason: Reason | None
    partial: bool


class Thinning:
    """Lets everything through; the base of those that do not."""

    why = ""  # what is said of the measurements that are withheld

    def passes(self, value: Value | None, reason: Reason | None, at: int, *, news: bool) -> bool:  # noqa: ARG002 - base
        """Return whether a measurement goes up. What is news, a changed reason or an alarm's event, always does."""
        return True

    def gap(self, at: int) -> None:
        """Note that the device was silent, tested or not believed at this time."""

    def due(self) -> int | None:
        """Return when `tick` wants to be called, or None."""
        return None

    def tick(self, at: int) -> list[Summary]:  # noqa: ARG002 - base
        """Let time pass; return what is ready to go up."""
        return []


class Deadband(Thinning):
    """Withholds values near the last one that went up, but never for longer than the heartbeat (nanoseconds)."""

    why = "deadband"

    def __init__(self, width: float, heartbeat: int) -> None:
        self._width = width
        self._heartbeat = heartbeat
        self._last: Value | None = None
        self._until: int | None = None  # None: nothing went up yet

    def passes(self, value: Value | None, reason: Reason | None, at: int, *, news: bool) -> bool:  # noqa: ARG002 - base
        """Return whether this measurement says more than the last one that went up."""
        if not news and self._until is not None and at < self._until and self._near(value):
            return False
        self._last, self._until = value, at + self._heartbeat
        return True

    def gap(self, at: int) -> None:  # noqa: ARG002 - base
        """Note that what went up before says nothing of now."""
        self._until = None

    def _near(self, value: Value | None) -> bool:
        if is_number(value) and is_number(self._last):
            return abs(value - self._last) <= self._width
        return value == self._last
