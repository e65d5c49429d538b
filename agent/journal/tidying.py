"""Keeping the card within its limits: what nobody needs any more goes, and the oldest when there is no more room."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agent.journal.status import Fault
from agent.readings import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from agent.journal.card import Card, Segment
    from agent.journal.committing import Committing
    from agent.journal.fetching import Fetching
    from agent.journal.pack import Pack
    from agent.journal.status import Faults
    from agent.journal.stock import Stock
    from agent.seams import Disk

MIB = 1 << 20
# What goes, turn by turn: telemetry first, alarms next, and what accounts for the losses last.
TURNS = (frozenset({Stream.TELEMETRY}), frozenset({Stream.TELEMETRY, Stream.ALARM}), frozenset(Stream))


class Bounds(NamedTuple):
    """How much room there is, in bytes."""

    limit: int  # for all segments together
    reserve: int  # of the card's file system, kept free for others
    quotas: Mapping[str, int]  # by uplink: for the segments that wait for it


class Tidying:
    """Removes segments, never the newest one, nor the newest snapshot."""

    def __init__(
        self,
        disk: Disk,
        card: Card,
        stock: Stock,
        committing: Committing,
        fetching: Fetching,
        faults: Faults,
        bounds: Bounds,
        *,
        give_up: Callable[[Sequence[Pack], str], None],
        give_up_for: Callable[[str, Sequence[Pack], str], None],
    ) -> None:
        """Take what the journal does: it accounts for what is given up, for everybody or for one uplink alone."""
        self._disk = disk
        self._card = card
        self._stock = stock
        self._committing = committing
        self._fetching = fetching
        self._faults = faults
        self._bounds = bounds
        self._give_up = give_up
        self._give_up_for = give_up_for

    async def tidy(self) -> None:
        """Remove segments that every uplink has delivered, and the oldest ones for which there is no room."""
        for segment in self._card.segments[-1:]:  # it stays on the card to be filled, and need not stay in memory
            if not self._stock.is_needed(segment):
                self._fetching.drop(segment.name)
        going = [segment for segment in self._card.segments[:-1] if not self._stock.is_needed(segment)]
        await self._keep_quotas(going)
        await self._make_room(going)
        if going:
            await self._remove(going)
        await self._committing.take_spare()

    async def _remove(self, going: Sequence[Segment]) -> None:
        # A snapshot that says why they are gone. On a full card that fails, and they go all the same, but for the one
        # that holds the last snapshot: after a power cut it is all that is known of this epoch.
        if not await self._committing.write():
            outdated = self._card.outdated()
            going = [segment for segment in going if segment.name in outdated]
            if not going:
                return
        names = [segment.name for segment in going]
        try:
            await self._committing.call(self._card.remove, names)
        except OSError as error:
            self._faults.put(Fault.CARD, str(error))
            return
        self._card.forget(names)
        for segment in going:
            self._fetching.drop(segment.name)
            self._stock.leave_segment(segment)

    # --- the quota of an uplink ------------------------------------------------------------------------------------

    async def _keep_quotas(self, going: list[Segment]) -> None:
        """Give up for uplinks beyond their quotas what no other uplink waits for: else it would free nothing."""
        if not any(excess > 0 for excess in self._excess_of_uplinks(going).values()):
            return
        for streams in TURNS:
            for segment in self._card.segments[:-1]:
                waiting = self._stock.waiting_for(segment)
                excess = self._excess_of_uplinks(going)
                if segment in going or not waiting or not all(excess.get(uplink, 0) > 0 for uplink in waiting):
                    continue
                if self._stock.is_awaited(segment, streams) and await self._empty(segment, streams, "quota", waiting):
                    going.append(segment)
                if self._committing.refuses:
                    return

    def _excess_of_uplinks(self, going: Sequence[Segment]) -> dict[str, int]:
        staying = [segment for segment in self._card.segments if segment not in going]
        excess = {uplink: -quota for uplink, quota in self._bounds.quotas.items()}
        for segment in staying if excess else ():
            for uplink in self._stock.waiting_for(segment) & excess.keys():
                excess[uplink] += segment.size
        return excess

    # --- the room of all -------------------------------------------------------------------------------------------

    async def _make_room(self, going: list[Segment]) -> None:
        """Give up the oldest until the segments are within the limit, and the reserve is free."""
        free = await self._free()
        before = self._card.size()
        for streams in TURNS:
            for segment in self._card.segments[:-1]:
                gone = sum(one.size for one in going)
                beyond_limit = self._card.size() - gone - self._bounds.limit
                beyond_reserve = self._bounds.reserve - (free - (self._card.size() - before) + gone)
                if max(beyond_limit, beyond_reserve) <= 0:
                    return
                if segment in going or not (segment.unreadable or self._stock.is_awaited(segment, streams)):
                    continue
                why = "card_full" if beyond_limit > 0 else "reserve"
                if await self._empty(segment, streams, why):
                    going.append(segment)
                if self._committing.refuses:
                    return

    async def _free(self) -> int:
        """Return how many bytes are free, and say so in health when the reserve is not."""
        if not self._bounds.reserve:
            return 0
        try:
            free = await self._committing.call(self._disk.free)
        except OSError as error:
            self._faults.put(Fault.CARD, str(error))
            return self._bounds.reserve  # what is not known is no reason to give anything up
        if free < self._bounds.reserve:
            text = f"{free / MIB:.0f} MiB of its disk are free, {self._bounds.reserve / MIB:.0f} MiB shall be"
            self._faults.put(Fault.RESERVE, f"{text}: the oldest readings are given up")
        else:
            self._faults.clear(Fault.RESERVE)
        return free

    async def _empty(
        self, segment: Segment, streams: AbstractSet[Stream], why: str, uplinks: Iterable[str] | None = None
    ) -> bool:
        """Give up some streams of a segment, and commit the rest again; nothing on a card that cannot be changed."""
        try:
            packs = await self._committing.call(self._card.read, segment.name)
        except OSError as error:
            self._faults.put(Fault.CARD, str(error))
            return segment.unreadable  # already accounted for: it stayed only as long as there was room
        waiting = [pack for pack in packs if not (self._stock.is_done(pack) or self._stock.is_given_up(pack))]
        rest = [pack for pack in waiting if pack.stream not in streams]
        if not await self._committing.write(rest) and (rest or self._committing.refuses):
            return False
        excess = [pack for pack in waiting if pack.stream in streams]
        if uplinks is None:
            self._give_up(excess, why)
        for uplink in uplinks or ():
            self._give_up_for(uplink, excess, why)
        return True
