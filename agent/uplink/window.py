"""What is on its way to the broker, and how much more may be."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Iterator

T = TypeVar("T")

BYTES_IN_FLIGHT = 256 * 1024  # no message is begun while so much is unacknowledged: an alarm must not queue behind it


class Window(Generic[T]):
    """A sliding window of unacknowledged messages.

    One slot, and any number of bytes, are kept for what is urgent. The size is halved when the broker asks for less,
    and grows again by one for each window that was acknowledged.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = limit
        self._accepted = 0
        self._bytes = 0
        self._messages: dict[Future[int], tuple[T, int]] = {}  # oldest first
        self._oldest_since = 0.0

    def __len__(self) -> int:
        return len(self._messages)

    def __iter__(self) -> Iterator[T]:
        return (message for message, _ in self._messages.values())

    @property
    def bytes(self) -> int:
        """The bytes of all that is on its way."""
        return self._bytes

    def has_room(self, *, urgent: bool) -> bool:
        """Return whether one more message may be sent."""
        if urgent:
            return len(self) < self._size
        return len(self) < max(1, self._size - 1) and self._bytes < BYTES_IN_FLIGHT

    def answered(self) -> list[Future[int]]:
        """Return what has been answered and not yet been removed, oldest first."""
        return [future for future in self._messages if future.done()]

    def add(self, future: Future[int], message: T, size: int, now: float) -> None:
        """A message of so many bytes is on its way."""
        if not self._messages:
            self._oldest_since = now
        self._messages[future] = message, size
        self._bytes += size

    def remove(self, future: Future[int], now: float) -> T:
        """A message has been answered: return it."""
        if next(iter(self._messages)) is future:
            self._oldest_since = now
        message, size = self._messages.pop(future)
        self._bytes -= size
        return message

    def due(self, within: float) -> float:
        """Return when the oldest message should have been answered; infinity if there is none.

        Its time begins when all before it have been answered: a slow line makes messages wait for each other.
        """
        return self._oldest_since + within if self._messages else math.inf

    def shrink(self) -> None:
        """The broker wants less at once."""
        self._size = max(1, self._size // 2)
        self._accepted = 0

    def grow(self) -> None:
        """The broker accepted a message."""
        self._accepted += 1
        if self._size < self._limit and self._accepted >= self._size:
            self._size += 1
            self._accepted = 0
