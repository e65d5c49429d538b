"""Sets of numbers kept as ranges: what is there, and what is done."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Ranges:
    """A set of whole numbers, small as long as they come in runs."""

    __slots__ = ("_firsts", "_lasts")

    def __init__(self, ranges: Iterable[Iterable[int]] = ()) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int) -> None:
        """Put `first` to `last` in, joining what touches."""
        low = bisect_left(self._lasts, first - 1)
        high = bisect_right(self._firsts, last + 1)
        if low < high:
            first = min(first, self._firsts[low])
            last = max(last, self._lasts[high - 1])
        self._firsts[low:high] = [first]
        self._lasts[low:high] = [last]

    def update(self, ranges: Iterable[tuple[int, int]]) -> None:
        """Put several in."""
        for first, last in ranges:
            self.add(first, last)

    def remove(self, first: int, last: int) -> None:
        """Take `first` to `last` out."""
        low = bisect_left(self._lasts, first)
        high = bisect_right(self._firsts, last)
        if low >= high:
            return
        kept = []
        if self._firsts[low] < first:
            kept.append((self._firsts[low], first - 1))
        if self._lasts[high - 1] > last:
            kept.append((last + 1, self._lasts[high - 1]))
        self._firsts[low:high] = [one for one, _ in kept]
        self._lasts[low:high] = [other for _, other in kept]

    def covers(self, first: int, last: int) -> bool:
        """Return whether all of `first` to `last` is in."""
        at = bisect_right(self._firsts, first) - 1
        return at >= 0 and self._lasts[at] >= last

    def gaps(self, first: int, last: int) -> Iterator[tuple[int, int]]:
        """Yield what of `first` to `last` is not in."""
        for at in range(bisect_left(self._lasts, first), len(self._firsts)):
            one, other = self._firsts[at], self._lasts[at]
            if one > last:
                break
            if one > first:
                yield first, one - 1
            first = other + 1
        if first <= last:
            yield first, last

    def next_in(self, number: int) -> int | None:
        """Return the first number from `number` on that is in, or None."""
        at = bisect_left(self._lasts, number)
        return max(number, self._firsts[at]) if at < len(self._firsts) else None

    def next_out(self, number: int) -> int:
        """Return the first number from `number` on that is not in."""
        at = bisect_left(self._lasts, number)
        return self._lasts[at] + 1 if at < len(self._firsts) and self._firsts[at] <= number else number

    def count(self) -> int:
        """Return how many numbers are in."""
        return sum(self._lasts) - sum(self._firsts) + len(self._firsts)

    def common(self, other: Ranges) -> Ranges:
        """Return what is in both."""
        both = Ranges(self)
        for one in self:
            for first, last in other.gaps(*one):
                both.remove(first, last)
        return both

    def shared(self, other: Ranges) -> int:
        """Return how many numbers are in both."""
        missing = sum(last - first + 1 for one in self for first, last in other.gaps(*one))
        return self.count() - missing

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._firsts, self._lasts, strict=True))

    def __bool__(self) -> bool:
        return bool(self._firsts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment] # it changes

    def __repr__(self) -> str:
        return f"Ranges({list(self)})"
