"""Reading the backlog back from the card, a segment at a time, without making the loop wait for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.journal.card import Card
    from agent.journal.pack import Pack
    from agent.journal.state import Key

SEGMENTS = 4  # held in memory at once, however long the backlog is
TRIES = 3  # before a segment that cannot be read is taken for lost
TRY_AGAIN_AFTER = 1.0  # seconds


class Fetching:
    """Segments of the card that are in memory, and the one that is on its way there."""

    def __init__(self, card: Card, arrived: Callable[[], None], failed: Callable[[OSError], None]) -> None:
        self._card = card
        self._arrived = arrived
        self._failed = failed
        self._there: dict[str, tuple[int, list[Pack]]] = {}  # with the size that the segment had
        self._coming: asyncio.Task[None] | None = None

    @property
    def under_way(self) -> bool:
        """Whether a segment is being read now; `arrived` is called when it is there."""
        return self._coming is not None

    def segment_with(self, key: Key, number: int) -> list[Pack] | None:
        """Return the packs of the segment that has a number; None while it is fetched, or if there is none."""
        for segment in self._card.segments:
            if key in segment.spans and segment.spans[key].covers(number, number):
                size, packs = self._there.get(segment.name, (0, []))
                if size == segment.size:
                    return packs
                if self._coming is None:
                    fetch = self._fetch(segment.name, segment.size)
                    self._coming = asyncio.get_running_loop().create_task(fetch, name=f"journal: read {segment.name}")
        return None

    async def _fetch(self, name: str, size: int) -> None:
        packs = await self._read(name)
        while len(self._there) >= SEGMENTS:
            del self._there[next(iter(self._there))]
        self._there[name] = size, packs
        self._coming = None
        self._arrived()

    async def _read(self, name: str) -> list[Pack]:
        loop = asyncio.get_running_loop()
        for tries_left in reversed(range(TRIES)):
            try:
                return await loop.run_in_executor(None, self._card.read, name)
            except OSError as error:
                self._failed(error)
                if tries_left:
                    await asyncio.sleep(TRY_AGAIN_AFTER)
        return []

    def drop(self, name: str) -> None:
        """Forget a segment that is gone from the card."""
        self._there.pop(name, None)

    def stop(self) -> None:
        """Fetch no more."""
        if self._coming is not None:
            self._coming.cancel()
