"""Slowing down devices that say more than anybody wants to know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.contract import Measurement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from drivers.contract import Decoder, Item


class PacedDecoder:
    """Lets one measurement of each quantity pass in `every` seconds, and all faults; a `TimedDecoder`."""

    def __init__(self, decoder: Decoder, every: float) -> None:
        self._decoder = decoder
        self._every = every
        self._next: dict[str, float] = {}

    def feed(self, data: bytes, at: float) -> list[Item]:
        """Take the next bytes, which came at that time."""
        return [item for item in self._decoder.feed(data) if self._passes(item, at)]

    def due(self) -> float | None:
        """Nothing is ever due."""
        return None

    def tick(self, at: float) -> list[Item]:  # noqa: ARG002 - nothing comes of time alone
        """Nothing comes of time alone."""
        return []

    def memory(self) -> Mapping[str, float]:
        """Nothing has to survive a restart."""
        return {}

    def recall(self, memory: Mapping[str, float]) -> None:
        """Nothing is remembered."""

    def _passes(self, item: Item, at: float) -> bool:
        if not isinstance(item, Measurement):
            return True
        due = self._next.get(item.quantity, at)
        if at < due:
            return False
        # At a steady pace, unless the device paused.
        self._next[item.quantity] = due + self._every if at < due + self._every else at + self._every
        return True
