"""Sending again what an uplink has had: for a receiver that lost what the broker had acknowledged."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from agent.journal.ranges import Ranges
from agent.readings import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.journal.card import Card
    from agent.journal.pack import Pack
    from agent.journal.state import Key, State
    from agent.journal.stock import Stock


class Numbers(NamedTuple):
    """Records `first` to `last` of one stream."""

    epoch: str  # "" for the present one
    stream: Stream
    first: int
    last: int


@dataclass(slots=True)
class Resent:
    """What became of a wish to have records again."""

    again: dict[Key, Ranges] = field(default_factory=dict)  # had been delivered, and go up once more
    waiting: dict[Key, Ranges] = field(default_factory=dict)  # are here, and go up for the first time
    gone: dict[Key, Ranges] = field(default_factory=dict)  # are not here any more
    never: dict[Key, Ranges] = field(default_factory=dict)  # numbers that were not given out


class Resending:
    """Takes the marks of delivery off what is still here."""

    def __init__(self, card: Card, stock: Stock, state: State) -> None:
        self._card = card
        self._stock = stock
        self._state = state

    async def resend(self, uplink: str, wanted: Numbers | int | None) -> Resent:
        """Have an uplink deliver again some numbers, what was made since an instant of this boot, or all there is.

        The instant is a boottime in nanoseconds. Raises OSError if the card cannot be read to look for it.
        """
        resent = Resent()
        for key, ranges in (await self._ranges(wanted)).items():
            here = self._stock.present(key)
            for one in ranges:
                for first, last in here.gaps(*one):
                    self._note_absent(resent, key, first, last)
                # Not `done_by`, which makes what is not there: an epoch of nobody leaves no trace.
                done = self._state.done.get(uplink, {}).get(key, Ranges())
                asked = Ranges([one]).common(here)
                for first, last in asked.common(done):
                    resent.again.setdefault(key, Ranges()).add(first, last)
                    asked.remove(first, last)
                for first, last in asked:
                    resent.waiting.setdefault(key, Ranges()).add(first, last)
        for key, again in resent.again.items():
            for first, last in again:
                self._state.done_by(uplink, key).remove(first, last)
        self._state.resent[uplink] = self._state.resent.get(uplink, 0) + 1
        self._stock.refresh()
        return resent

    def _note_absent(self, resent: Resent, key: Key, first: int, last: int) -> None:
        """Tell what was here once from what never was: of an epoch that has ended, nobody knows its end."""
        end = self._state.next[key[1]] if key[0] == self._state.epoch else last + 1
        if first < end:
            resent.gone.setdefault(key, Ranges()).add(first, min(last, end - 1))
        if last >= end:
            resent.never.setdefault(key, Ranges()).add(max(first, end), last)

    async def _ranges(self, wanted: Numbers | int | None) -> dict[Key, Ranges]:
        if isinstance(wanted, Numbers):
            key = (wanted.epoch or self._state.epoch, wanted.stream)
            return {key: Ranges([(wanted.first, wanted.last)])}
        present = (self._state.epoch, self._state.next)
        if wanted is None:
            ranges = {key: Ranges([(1, max(last for _, last in here))]) for key, here in self._stock.all_present()}
            return ranges | {
                (present[0], stream): Ranges([(1, end - 1)]) for stream, end in present[1].items() if end > 1
            }
        firsts = {stream: await self._first_since(stream, wanted) for stream in Stream}
        return {
            (present[0], stream): Ranges([(firsts[stream], end - 1)])
            for stream, end in present[1].items()
            if firsts[stream] < end
        }

    async def _first_since(self, stream: Stream, since: int) -> int:
        """Return the number with which the first pack begins that may hold anything since an instant."""
        first = self._state.next[stream]
        packs: Iterable[Pack] = self._stock.packs(stream)
        for segment in [None, *reversed(self._card.segments)]:
            if segment is not None:
                if (self._state.epoch, stream) not in segment.spans:
                    continue
                loop = asyncio.get_running_loop()
                packs = await loop.run_in_executor(None, self._card.read, segment.name)
            for pack in self._of_this_boot(packs, stream):
                first = min(first, pack.first)
                if pack.base <= since:
                    return first
        return first

    def _of_this_boot(self, packs: Iterable[Pack], stream: Stream) -> list[Pack]:
        """Return the packs of a stream, the newest first, whose times can be compared with now."""
        here = [pack for pack in packs if (pack.epoch, pack.boot) == (self._state.epoch, self._state.boot)]
        return sorted((pack for pack in here if pack.stream is stream), key=lambda pack: -pack.first)
