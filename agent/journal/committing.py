"""Bringing what is still unacked to the card."""

from __future__ import annotations

import asyncio
import errno
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from agent.journal.commit import Commit
from agent.journal.packing import encode_packs
from agent.journal.ranges import Ranges
from agent.journal.status import Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent.journal.card import Card
    from agent.journal.fetching import Fetching
    from agent.journal.pack import Pack
    from agent.journal.spare import Spare
    from agent.journal.state import Key, State
    from agent.journal.status import Faults
    from agent.journal.stock import Stock


P = ParamSpec("P")
T = TypeVar("T")

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
STALLED_AFTER = 5.0  # seconds: a worn card may take one or two to put its house in order


class Committing:
    """Owns the card: one call at a time, each in the executor, so that a card that stalls stalls nothing else."""

    def __init__(
        self,
        card: Card,
        stock: Stock,
        state: State,
        fetching: Fetching,
        spare: Spare,
        faults: Faults,
        *,
        uncommitted: Callable[[], list[Pack]],
        lost: Callable[[Mapping[Key, Ranges]], bool],
    ) -> None:
        """Take what the journal does: it knows what is not there yet, and accounts for what is gone.

        Every commit takes along what is `uncommitted()`: a snapshot must not say that numbers are accounted for while
        the ledger's entry on them could still be lost.
        """
        self.commits = 0
        self.bytes = 0
        self.refuses = False  # the last commit failed, and not for want of room: then nothing can be removed either
        self._is_well = False
        self._card = card
        self._stock = stock
        self._state = state
        self._fetching = fetching
        self._spare = spare
        self._faults = faults
        self._uncommitted = uncommitted
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
        try:
            name, size = await self.call(self._write, self._commit(packs, clean=clean))
        except OSError as error:
            self._fail(error)
            return False
        self._written(name, size, packs)
        return True

    def write_now(self) -> None:
        """Do the same while the loop waits: for the start alone."""
        packs = self._uncommitted()
        try:
            name, size = self._write(self._commit(packs))
        except OSError as error:
            self._fail(error)
        else:
            self._written(name, size, packs)

    def _commit(self, packs: Sequence[Pack], *, clean: bool = False) -> Commit:
        state = self._state
        return Commit(state.epoch, state.progress(clean=clean), dict(state.kept), encode_packs(packs))

    def _write(self, commit: Commit) -> tuple[str, int]:
        """Write one commit; on a full card in the room that was taken ahead of need."""
        try:
            return self._card.write(commit)
        except OSError as error:
            if error.errno not in NO_ROOM or not self._spare.give_back():
                raise
            return self._card.write(commit)

    def _written(self, name: str, size: int, packs: Sequence[Pack]) -> None:
        self._card.note(name, size, packs)
        self._stock.committed(packs)
        self.commits += 1
        self.bytes += size
        self._is_well = True
        self.refuses = False
        self._say_well()

    async def take_spare(self) -> None:
        """Take room ahead of need, unless it is taken already."""
        if await self.call(self._spare.take):
            self._say_well()

    def _say_well(self) -> None:
        if self._spare.is_out:
            self._faults.put(Fault.CARD, "full: the room that was taken ahead of need is in use")
        elif self._is_well:
            self._faults.clear(Fault.CARD)

    def _fail(self, error: OSError) -> None:
        self._is_well = False
        self.refuses = error.errno not in NO_ROOM
        self._faults.put(Fault.CARD, str(error))

    async def call(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Make one call on the card at a time: the next one waits also for a call whose caller was cancelled."""
        while self._busy is not None and not self._busy.done():
            await asyncio.wait([self._busy])
        self._busy = asyncio.get_running_loop().run_in_executor(None, partial(call, *args, **kwargs))
        self._busy.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be left to ask
        self._watch(self._busy, STALLED_AFTER)
        return await asyncio.shield(self._busy)

    def _watch(self, call: asyncio.Future[Any], after: float, waited: float = 0.0) -> None:
        """Say that the card stalls while it does, each time twice as late; the next commit says that it is well."""

        def stalls() -> None:
            self._faults.put(Fault.CARD, f"a call has not returned for {waited + after:g} s")
            self._watch(call, waited + after, waited + after)

        timer = asyncio.get_running_loop().call_later(after, stalls)
        call.add_done_callback(lambda _: timer.cancel())

    async def check(self) -> bool:
        """Notice segments that somebody has removed; returns whether there are any: then a new snapshot is due."""
        gone = await self.call(self._card.vanished, [segment.name for segment in self._card.segments])
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
