"""Have the card keep what was begun before it is gone on with."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.journal.journal import Journal

WITHIN = 2.0  # seconds


class Securing:
    """Call it and wait. A card that stalls does not hold up an alarm siren for long: then it is waited for in vain."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._under_way: asyncio.Task[bool] | None = None

    async def __call__(self) -> None:
        """Return when the card has it all, or when time is over."""
        if self._under_way is None or self._under_way.done():
            self._under_way = asyncio.create_task(self._journal.secure(), name="secure")
        await asyncio.wait({self._under_way}, timeout=WITHIN)
