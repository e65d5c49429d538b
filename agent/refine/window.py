"""Mean, lowest and highest value over windows of time, in place of the single values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.refine.calibration import is_number
from agent.refine.thinning import Summary, Thinning

if TYPE_CHECKING:
    from drivers.contract import Reason, Value

MEAN_DIGITS = 9  # significant digits of a mean: more than a sensor has, fewer than binary fractions make up


@dataclass(slots=True)
class Sums:
    """What has come into the open window."""

    end: int  # boottime in nanoseconds
    partial: bool
    count: int = 0
    sum: float = 0.0
    low: float = float("inf")
    high: float = float("-inf")
    reason: Reason | None = None  # the last that was withheld

    def add(self, value: float) -> None:
        """Take a value."""
        self.count += 1
        self.sum += value
        self.low = min(self.low, value)
        self.high = max(self.high, value)

    def summaries(self) -> list[Summary]:
        """Return what it all comes to."""
        if self.count:
            mean = float(f"{self.sum / self.count:.{MEAN_DIGITS}g}")
            mean = min(max(mean, self.low), self.high)  # rounding must not carry it past the values it is made of
            values = ((":mean", mean), (":min", self.low), (":max", self.high))
            return [Summary(suffix, self.end, value, None, self.partial) for suffix, value in values]
        if self.reason is not None:
            return [Summary("", self.end, None, self.reason, self.partial)]
        return []


class Window(Thinning):
    """Sums up numbers from one multiple of `length` (nanoseconds of boottime) to the next; states and texts pass.

    A summary carries the instant of the window's end. It is partial when in some of the window the device was not
    listened to, silent, warming up or without a value. A window without values yields the last reason that was
    withheld, or nothing.
    """

    why = "window"

    def __init__(self, length: int, at: int) -> None:
        """Take the length, and since when the device is listened to."""
        self._length = length
        self._listening = at
        self._open: Sums | None = None

    def passes(self, value: Value | None, reason: Reason | None, at: int, *, news: bool) -> bool:
        """Take a measurement into the window; only news, states and texts go up by themselves."""
        sums = self._sums(at)
        if value is None:
            sums.partial = True
            if not news:
                sums.reason = reason
        elif is_number(value):
            sums.add(value)
        else:
            return True
        return news

    def gap(self, at: int) -> None:
        """Note that the window has a hole."""
        self._sums(at).partial = True

    def due(self) -> int | None:
        """Return the end of the open window."""
        return self._open.end if self._open is not None else None

    def tick(self, at: int) -> list[Summary]:
        """Return what the open window comes to if it has ended."""
        if self._open is None or at < self._open.end:
            return []
        ended, self._open = self._open, None
        return ended.summaries()

    def _sums(self, at: int) -> Sums:
        if self._open is None:
            start = at // self._length * self._length
            self._open = Sums(start + self._length, partial=start < self._listening)
        return self._open
