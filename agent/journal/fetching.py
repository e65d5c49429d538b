"""Reading the backlog back from the card, a segment at a time, without making the loop wait for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.journal.ranges import Ranges
from agent.journal.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.journal.card import Card, Segment
    from agent.journal.pack import Pack
    from agent.journal.state import Key

SEGMENTS = 4  # held in memory at once, however long the backlog is
TRIES = 3  # before a segment that cannot be read is taken for lost
TRY_AGAIN_AFTER = 1.0  # seconds


class Fetching:
    """Segments of the card that are in memory, and the one that is on its way there."""

    def __init__(
        self,
        card: Card,
        *,
        arrived: Callable[[], None],
        failed: Callable[[OSError], None],
        lost: Callable[[Segment, dict[Key, Ranges], str], None],
    ) -> None:
        """Take what the journal does when a segment is there, could not be read for once, or lacks numbers it had."""
        self._card = card
        self._arrived = arrived
        self._failed = failed
        self._lost = lost
        self._there: dict[str, Shelf] = {}  # by segment
        self._coming: asyncio.Task[None] | None = None

    @property
    def under_way(self) -> bool:
        """Whether a segment is being read now; `arrived` is called when it is there."""
        return self._coming is not None

    def pack_with(self, key: Key, number: int) -> Pack | None:
        """Return the pack that has a number; None while its segment is fetched, or if there is none."""
        for there in self._there.values():
            if (pack := there.pack_with(key, number)) is not None:
                return pack
        if self._coming is None:
            for segment in self._card.segments:  # never read, or grown since
                if key in segment.spans and segment.spans[key].covers(number, number):
                    fetch = self._fetch(segment)
                    self._coming = asyncio.get_running_loop().create_task(fetch, name=f"journal: read {segment.name}")
                    break
        return None

    async def _fetch(self, segment: Segment) -> None:
        missing = {key: Ranges(ranges) for key, ranges in segment.spans.items()}  # until they are found in it
        why = f"{segment.name}: records that had been written are not there any more"
        try:
            there = await self._read(segment.name)
        except OSError as error:
            there, why = Shelf(()), f"{segment.name}: {error}"
        for key, ranges in missing.items():
            for first, last in there.spans(key):
                ranges.remove(first, last)
        while len(self._there) >= SEGMENTS:
            del self._there[next(iter(self._there))]
        self._there[segment.name] = there
        self._coming = None
        if any(missing.values()):
            self._lost(segment, missing, why)
        self._arrived()

    async def _read(self, name: str) -> Shelf:
        loop = asyncio.get_running_loop()
        for _ in range(TRIES - 1):
            try:
                return await loop.run_in_executor(None, self._card.read, name)
            except FileNotFoundError:
                raise
            except OSError as error:
                self._failed(error)
            await asyncio.sleep(TRY_AGAIN_AFTER)
        return await loop.run_in_executor(None, self._card.read, name)

    def drop(self, name: str) -> None:
        """Forget a segment that is gone from the card."""
        self._there.pop(name, None)

    def stop(self) -> None:
        """Fetch no more."""
        if self._coming is not None:
            self._coming.cancel()
