"""Bringing what is still unacked to the card, and keeping the card within its limit."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from agent.journal.packing import encode_packs
from agent.journal.status import Fault
from agent.readings import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.journal.card import Card, Segment
    from agent.journal.fetching import Fetching
    from agent.journal.pack import Pack
    from agent.journal.state import State
    from agent.journal.status import Faults
    from agent.journal.stock import Stock


class Committing:
    """Owns the card: one call at a time, each in the executor, so that a card that stalls stalls nothing else."""

    def __init__(
        self,
        card: Card,
        stock: Stock,
        state: State,
        fetching: Fetching,
        faults: Faults,
        *,
        limit: int,
        give_up: Callable[[Sequence[Pack], str], None],
    ) -> None:
        """`give_up(packs, why)` is called with telemetry for which there is no more room."""
        self.commits = 0
        self.bytes = 0
        self._card = card
        self._stock = stock
        self._state = state
        self._fetching = fetching
        self._faults = faults
        self._limit = limit
        self._give_up = give_up

    async def write(self, packs: Sequence[Pack], *, clean: bool) -> bool:
        """Write packs and a whole snapshot as one record with one sync; return whether that succeeded."""
        payload = encode_packs(self._state.snapshot(clean=clean), packs)
        try:
            name, size = await asyncio.get_running_loop().run_in_executor(None, self._card.write, payload)
        except OSError as error:
            self._faults.put(Fault.CARD, str(error))
            return False
        self._card.note(name, size, packs)
        self._stock.committed(packs)
        self.commits += 1
        self.bytes += size
        self._faults.clear(Fault.CARD)
        return True

    async def tidy(self) -> None:
        """Remove segments that every uplink has delivered, and the oldest ones beyond the limit.

        The newest segment always stays: it holds the newest snapshot.
        """
        gone = []
        size = self._card.size()
        for segment in self._card.segments[:-1]:
            if self._stock.is_needed(segment) and not (size > self._limit and await self._empty(segment)):
                continue
            gone.append(segment)
            size -= segment.size
        if not gone:
            return
        names = [segment.name for segment in gone]
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._card.remove, names)
        except OSError as error:
            self._faults.put(Fault.CARD, str(error))
            return
        self._card.forget(names)
        for segment in gone:
            self._fetching.drop(segment.name)
            self._stock.leave_segment(segment)

    async def _empty(self, segment: Segment) -> bool:
        """Give up the telemetry of a segment and commit the rest again: alarms are the last to go."""
        try:
            packs = await asyncio.get_running_loop().run_in_executor(None, self._card.read, segment.name)
        except OSError as error:
            self._faults.put(Fault.CARD, str(error))
            return False
        waiting = [pack for pack in packs if not self._stock.is_done(pack)]
        rest = [pack for pack in waiting if pack.stream is not Stream.TELEMETRY]
        if rest and not await self.write(rest, clean=False):
            return False
        self._give_up([pack for pack in waiting if pack.stream is Stream.TELEMETRY], "card_full")
        return True
