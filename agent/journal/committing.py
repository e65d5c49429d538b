"""Bringing what is still unacked to the card, and keeping the card within its limit."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from agent.journal.packing import encode_packs
from agent.journal.ranges import Ranges
from agent.journal.status import Fault
from agent.readings import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent.journal.card import Card, Segment
    from agent.journal.fetching import Fetching
    from agent.journal.pack import Pack
    from agent.journal.state import Key, State
    from agent.journal.status import Faults
    from agent.journal.stock import Stock


P = ParamSpec("P")
T = TypeVar("T")


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
        uncommitted: Callable[[], list[Pack]],
        give_up: Callable[[Sequence[Pack], str], None],
        lost: Callable[[Mapping[Key, Ranges]], bool],
    ) -> None:
        """Take what the journal does: it knows what is not there yet, and accounts for what has no room or is gone.

        Every commit takes along what is `uncommitted()`: a snapshot must not say that numbers are accounted for while
        the ledger's entry on them could still be lost.
        """
        self.commits = 0
        self.bytes = 0
        self._card = card
        self._stock = stock
        self._state = state
        self._fetching = fetching
        self._faults = faults
        self._limit = limit
        self._uncommitted = uncommitted
        self._give_up = give_up
        self._lost = lost
        self._busy: asyncio.Future[Any] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a call on the card is still under way, perhaps for somebody who has stopped waiting for it."""
        return self._busy is not None and not self._busy.done()

    async def write(self, moved: Sequence[Pack] = (), *, clean: bool = False) -> bool:
        """Write what is not on the card yet, packs that move there, and a whole snapshot, as one record with one sync.

        Returns whether that succeeded.
        """
        packs = [*moved, *self._uncommitted()]
        payload = encode_packs(self._state.snapshot(clean=clean), packs)
        try:
            name, size = await self._in_thread(self._card.write, payload)
        except OSError as error:
            self._faults.put(Fault.CARD, str(error))
            return False
        self._written(name, size, packs)
        return True

    def write_now(self) -> None:
        """Do the same while the loop waits: for the start alone."""
        packs = self._uncommitted()
        try:
            name, size = self._card.write(encode_packs(self._state.snapshot(), packs))
        except OSError as error:
            self._faults.put(Fault.CARD, str(error))
        else:
            self._written(name, size, packs)

    def _written(self, name: str, size: int, packs: Sequence[Pack]) -> None:
        self._card.note(name, size, packs)
        self._stock.committed(packs)
        self.commits += 1
        self.bytes += size
        self._faults.clear(Fault.CARD)

    async def _in_thread(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Make one call on the card at a time: the next one waits also for a call whose caller was cancelled."""
        while self._busy is not None and not self._busy.done():
            await asyncio.wait([self._busy])
        self._busy = asyncio.get_running_loop().run_in_executor(None, partial(call, *args, **kwargs))
        self._busy.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be left to ask
        return await asyncio.shield(self._busy)

    async def check(self) -> bool:
        """Notice segments that somebody has removed; returns whether there are any: then a new snapshot is due."""
        gone = await self._in_thread(self._card.vanished, [segment.name for segment in self._card.segments])
        missing: dict[Key, Ranges] = {}
        for segment in [one for one in self._card.segments if one.name in gone]:
            for key, ranges in segment.spans.items():
                missing.setdefault(key, Ranges()).update(ranges)
            self._card.lose(segment, {key: Ranges(ranges) for key, ranges in segment.spans.items()})
            self._fetching.drop(segment.name)
        self._card.forget(gone)
        if gone:
            self._faults.put(Fault.DAMAGED, f"{len(gone)} segments, the first {min(gone)}: removed while the agent ran")
            self._lost(missing)
        return bool(gone)

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
        # A snapshot that says why they are gone. On a full card that fails, and they go all the same.
        await self.write()
        names = [segment.name for segment in gone]
        try:
            await self._in_thread(self._card.remove, names)
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
            packs = await self._in_thread(self._card.read, segment.name)
        except OSError as error:
            self._faults.put(Fault.CARD, str(error))
            return segment.unreadable  # already accounted for: it stayed only as long as there was room
        waiting = [pack for pack in packs if not self._stock.is_done(pack)]
        rest = [pack for pack in waiting if pack.stream is not Stream.TELEMETRY]
        if rest and not await self.write(rest):
            return False
        self._give_up([pack for pack in waiting if pack.stream is Stream.TELEMETRY], "card_full")
        return True
