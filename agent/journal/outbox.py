"""One uplink's way through the journal: which pack comes next in each lane."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from agent.journal.pack import Lane, Place
from agent.readings import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.journal.journal import Journal
    from agent.journal.pack import Pack

STREAM_OF = {
    Lane.ALARMS: Stream.ALARM,
    Lane.ANCHORS: Stream.ANCHOR,
    Lane.LEDGER: Stream.LEDGER,
    Lane.LIVE: Stream.TELEMETRY,
    Lane.HISTORY: Stream.TELEMETRY,
}


_START = Place(0, 0)


class UplinkOutbox:
    """The `Outbox` of one uplink.

    Each lane has a place; nothing before it is looked at again until the outbox is rewound. Live and history are one
    stream: history holds what came before `_live_from`, which only ever moves forward, so both topics are in order.
    """

    def __init__(self, journal: Journal, uplink: str) -> None:
        self._journal = journal
        self._uplink = uplink
        self._places = dict.fromkeys(Lane, _START)
        self._taken: set[tuple[str, Stream, int, int]] = set()
        self._live_from = journal.live_edge()
        self._resent = journal.resent(uplink)

    def next(self, lane: Lane) -> Pack | None:
        """Take the next pack of a lane that is neither done nor taken; None when nothing waits."""
        stream = STREAM_OF[lane]
        self._look_back()
        while True:
            place = self._places[lane]
            if lane is Lane.LIVE:
                place = max(place, self._live_from)
            pack = self._journal.find(self._uplink, stream, place)
            if pack is None:
                return None
            here = Place(self._journal.epochs.index(pack.epoch), pack.first)
            if lane is Lane.HISTORY and here >= self._live_from:
                return None
            self._places[lane] = Place(here.epoch, pack.last + 1)
            if _identity(pack) not in self._taken:
                self._taken.add(_identity(pack))
                return pack

    def _look_back(self) -> None:
        """Begin from the start again when marks of delivery were taken off: what was live then is history now."""
        if self._journal.resent(self._uplink) != self._resent:
            self._resent = self._journal.resent(self._uplink)
            self._places = dict.fromkeys(Lane, _START)
            self._live_from = self._journal.live_edge()

    def done(self, pack: Pack) -> None:
        """The broker has it: never return it again."""
        self._taken.discard(_identity(pack))
        self._journal.done(self._uplink, pack)

    def rewind(self) -> None:
        """The connection is gone: return again, in order, whatever was taken and not done."""
        self._taken.clear()
        self._places = dict.fromkeys(Lane, _START)
        self._live_from = self._journal.live_edge()

    def demote(self, pack: Pack) -> None:
        """Give back a live pack that has waited too long to be called live: it becomes the newest of history."""
        self._taken.discard(_identity(pack))
        here = Place(self._journal.epochs.index(pack.epoch), pack.first)
        self._live_from = max(self._live_from, here._replace(number=pack.last + 1))
        self._places[Lane.HISTORY] = min(self._places[Lane.HISTORY], here)

    def age(self, pack: Pack) -> float:
        """Return how many seconds ago a pack of this boot began; infinity for other boots."""
        clock = self._journal.clock
        return (clock.boottime() - pack.base) / 1e9 if pack.boot == clock.boot else math.inf

    def on_new(self, callback: Callable[[], None]) -> None:
        """Have `callback` called on the loop whenever something new waits."""
        self._journal.on_new(callback)


def _identity(pack: Pack) -> tuple[str, Stream, int, int]:
    """Return what makes a pack the same one; where the young end lost its tail, the card may have a longer one."""
    return pack.epoch, pack.stream, pack.first, pack.last
