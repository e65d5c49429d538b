"""What is lost on the way: given up for want of room, or damaged on the card. The ledger says of each which numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.journal.restating import restate
from agent.journal.state import LEDGERED
from agent.journal.status import Fault
from agent.readings import LedgerEntry, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from agent.journal.card import Card, Segment
    from agent.journal.pack import Pack
    from agent.journal.ranges import Ranges
    from agent.journal.state import Key
    from agent.journal.status import Faults
    from agent.journal.stock import Stock
    from agent.logs import Log
    from agent.readings import Record
    from agent.seams import Clock


class Losses:
    """Takes what is lost out of the stock and states it, both or neither after a crash."""

    def __init__(
        self,
        card: Card,
        stock: Stock,
        faults: Faults,
        clock: Clock,
        log: Log,
        *,
        append: Callable[[Stream, Sequence[Record]], None],
        together: Callable[[], AbstractContextManager[None]],
        settle: Callable[[str, Key, int, int], None],
        hurry: Callable[[], None],
    ) -> None:
        """Take what the journal does: it appends, writes as one, marks numbers as settled, and hurries a commit."""
        self._card = card
        self._stock = stock
        self._faults = faults
        self._clock = clock
        self._log = log
        self._append = append
        self._together = together
        self._settle = settle
        self._hurry = hurry

    def give_up(self, packs: Sequence[Pack], why: str) -> None:
        """Give packs up for everybody: there is no room for them."""
        with self._together():
            for key, first, last in self._stock.give_up(packs):
                self.state(self._loss("dropped", why, key, first, last))
            self._append(Stream.LEDGER, restate(packs, "", self._clock.boottime()))

    def give_up_for(self, uplink: str, packs: Sequence[Pack], why: str) -> None:
        """Give packs up for one uplink, whose quota is full."""
        with self._together():
            for key, first, last in self._stock.give_up_for(uplink, packs):
                self.state(replace(self._loss("dropped", why, key, first, last), uplink=uplink))
            self._append(Stream.LEDGER, restate(packs, uplink, self._clock.boottime()))

    def lost_in(self, segment: Segment, missing: Mapping[Key, Ranges], why: str) -> None:
        """Account for what a segment had and cannot be read any more; `why` is what health says."""
        self._card.lose(segment, missing)
        if self.lost(missing):
            self._faults.put(Fault.DAMAGED, why)
        self._hurry()  # what is in memory still shall be on the card again

    def lost(self, missing: Mapping[Key, Ranges]) -> bool:
        """Account for what the card had and has not any more; returns whether anybody still waited for it."""
        lost = self._stock.lose(missing)
        for key, first, last in lost:
            self.state(self._loss("damaged", "card", key, first, last))
        return bool(lost)

    def _loss(self, kind: str, why: str, key: Key, first: int, last: int) -> LedgerEntry:
        (epoch, stream), count = key, last - first + 1
        at = self._clock.boottime()
        return LedgerEntry(at, kind, why, count, stream=stream.value, epoch=epoch, first=first, last=last)

    def state(self, entry: LedgerEntry) -> None:
        """Say that numbers will not come, and never look for them again."""
        first, last = entry.first, entry.last
        tell = self._log.info if entry.why == "restart" else self._log.warning
        tell("journal_" + entry.kind, why=entry.why, stream=entry.stream, first=first, last=last or None)
        with self._together():
            self._append(Stream.LEDGER, [entry])
            if last:  # open-ended is what a power cut took: nothing of it was ever here
                key = (entry.epoch, Stream(entry.stream))
                if not entry.uplink:
                    self._stock.absent(key, first, last)
                self._settle(entry.uplink or LEDGERED, key, first, last)
