"""Totals that go on where a device's own counter starts again at nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.contract import Measurement, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.contract import Decoder, Item


class Total:
    """The total of a counter that only grows, until the device forgets it: a new supply, an overflow, a command.

    A number is believed as far as the next one bears it out, so that a damaged one that looks like a number moves
    nothing. So the total is one message behind. What was counted between the last message and a reset is lost.
    """

    def __init__(self, digits: int) -> None:
        self._digits = digits
        self._total = 0.0
        self._counted: float | None = None  # the counter up to which the total goes
        self._last: float | None = None  # what the device said last

    def add(self, counter: float) -> float | None:
        """Take what the counter says now; return the total, or None as long as there is none."""
        last, self._last = self._last, counter
        if last is None:
            return None if self._counted is None else self._total
        low, high = sorted((last, counter))
        if self._counted is None or high < self._counted:
            self._grow(low, low)
        elif low > self._counted:
            self._grow(low, low - self._counted)
        return self._total

    def _grow(self, counted: float, by: float) -> None:
        self._counted = counted
        self._total = round(self._total + by, self._digits)

    def memory(self) -> Mapping[str, float]:
        """Return what must survive a restart: what is counted meanwhile is added then."""
        return {} if self._counted is None else {"total": self._total, "counted": self._counted}

    def recall(self, memory: Mapping[str, float]) -> None:
        """Go on from the total of an earlier run."""
        if "total" in memory and "counted" in memory:
            self._total, self._counted = memory["total"], memory["counted"]


class WithTotal:
    """Makes of a counter among what a decoder says a total; a `drivers.contract.TimedDecoder`."""

    def __init__(self, decoder: Decoder, quantity: str, digits: int) -> None:
        self._decoder = decoder
        self._quantity = quantity
        self._total = Total(digits)

    def feed(self, data: bytes, at: float) -> list[Item]:  # noqa: ARG002 - the time is of no importance here
        """Take the next bytes and return what they complete."""
        return [self._summed(item) for item in self._decoder.feed(data)]

    def _summed(self, item: Item) -> Item:
        if not isinstance(item, Measurement) or item.quantity != self._quantity or not isinstance(item.value, float):
            return item
        total = self._total.add(item.value)
        return item._replace(value=total, reason=Reason.WARMING_UP if total is None else None)

    def due(self) -> float | None:
        """Nothing is ever due."""
        return None

    def tick(self, at: float) -> list[Item]:  # noqa: ARG002 - as above
        """Nothing comes of time."""
        return []

    def memory(self) -> Mapping[str, float]:
        """Return the total and how far the counter was."""
        return self._total.memory()

    def recall(self, memory: Mapping[str, float]) -> None:
        """Go on from the total of an earlier run."""
        self._total.recall(memory)
