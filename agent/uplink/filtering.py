"""The outbox of an uplink whose receiver is given a part: what is left out is still accounted for, number by number.

Numbers of which nothing is left cost no message of their own: the next pack of the stream that goes up covers them,
too. Only where none comes for a while, or older numbers would be known later than newer ones, messages without records
cover them.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict, deque
from typing import TYPE_CHECKING, Any

from agent.journal.pack import Lane
from agent.journal.ranges import Ranges
from agent.readings import Stream
from agent.selection import covering, covers_alone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from agent.journal.pack import Outbox, Pack
    from agent.seams import Clock
    from agent.selection import Selection

COVER_EVERY = 600.0  # seconds that left-out numbers wait at the most to be covered
AT_ONCE = (
    50  # packs of which nothing is left that are passed over in one turn of the loop: an alarm must get in between
)
_LANES = {Stream.TELEMETRY: Lane.HISTORY, Stream.ALARM: Lane.ALARMS, Stream.LEDGER: Lane.LEDGER}

_Key = tuple[str, Stream]
_Identity = tuple[str, Stream, int, int]


class FilteredOutbox:
    """Implements `agent.journal.pack.Outbox` over another one."""

    def __init__(
        self,
        outbox: Outbox,
        selection: Selection,
        clock: Clock,
        *,
        keep: Callable[[str, list[Any] | None], None],
    ) -> None:
        """Take the whole outbox, and what keeps the numbers of an epoch that were left out and are not yet said to be.

        Each epoch for itself: where the card could not be read at a start, what it had kept of earlier epochs comes to
        light beside what was kept since.
        """
        self._outbox = outbox
        self._selection = selection
        self._clock = clock
        self._keep = keep
        self._left_out: defaultdict[_Key, Ranges] = defaultdict(Ranges)
        self._origins: dict[_Identity, Pack] = {}  # of what was taken and is not the whole pack
        self._due: dict[Lane, deque[Pack]] = {lane: deque() for lane in Lane}
        self._on_the_way: defaultdict[_Key, Ranges] = defaultdict(Ranges)  # what was returned, or is due, covers these
        self._alone: defaultdict[_Key, Ranges] = defaultdict(Ranges)  # what a message of its own shall cover, or has
        self._newest: defaultdict[_Key, float] = defaultdict(float)  # number that was returned
        self._callbacks: list[Callable[[], None]] = []
        self._timer: asyncio.TimerHandle | None = None

    def recall(self, epoch: str, kept: object) -> None:
        """Take up, before the first pack, what an earlier run had kept; raises ValueError, and takes nothing then."""
        recalled: dict[_Key, Ranges] = {}
        for row in kept if isinstance(kept, list) else [kept]:
            match row:
                case [str(stream), list(ranges)] if all(map(_is_range, ranges)):
                    recalled[epoch, Stream(stream)] = Ranges(ranges)
                case _:
                    raise ValueError(f"not numbers that were left out: {row!r:.50}")
        self._left_out.update(recalled)

    def next(self, lane: Lane) -> Pack | None:
        """Take the next pack of a lane of which anything is left, or one that covers what was left out long ago."""
        if self._due[lane]:
            return self._due[lane].popleft()
        passed: list[Pack] = []
        while len(passed) < AT_ONCE:
            pack = self._outbox.next(lane)
            if pack is None:
                self._leave_out(passed)
                self._cover_older(lane)
                return self._due[lane].popleft() if self._due[lane] else None
            given = self._selection.of(pack)
            if given.numbers != ():
                self._leave_out(passed)
                return self._give(given, pack)
            passed.append(pack)
        self._leave_out(passed)
        asyncio.get_running_loop().call_soon(self._announce)
        return None

    def done(self, pack: Pack) -> None:
        """The broker has it."""
        if pack.numbers is None:
            self._outbox.done(pack)
            return
        origin = self._origins.pop(_identity(pack), None)
        if origin is not None:
            self._outbox.done(origin)
        for ranges in (self._left_out, self._on_the_way, self._alone):
            ranges[pack.epoch, pack.stream].remove(pack.first, pack.last)
        self._remember({pack.epoch})

    def rewind(self) -> None:
        """The connection is gone: return again what was taken and not done."""
        were_due = self._timer is None
        self._origins.clear()
        self._outbox.rewind()
        self._take_back_due()
        if were_due:
            self._cover()
        else:
            for key, ranges in self._alone.items():
                for first, last in list(ranges):
                    self._cover_alone(key, first, last)

    def demote(self, pack: Pack) -> None:
        """Give back a live pack that has waited too long."""
        self._on_the_way[pack.epoch, pack.stream].remove(pack.first, pack.last)
        self._outbox.demote(self._origins.pop(_identity(pack), pack))

    def age(self, pack: Pack) -> float:
        """Return how many seconds ago the oldest record of a pack of this boot was made; infinity for other boots."""
        return self._outbox.age(pack)

    def on_new(self, callback: Callable[[], None]) -> None:
        """Have `callback` called on the loop whenever something new waits."""
        self._callbacks.append(callback)
        self._outbox.on_new(callback)

    def _give(self, given: Pack, pack: Pack) -> Pack:
        """Have a pack cover also what was left out right before it."""
        key = (pack.epoch, pack.stream)
        first = next((one for one, last in self._left_out[key] if last == pack.first - 1), None)
        if first is not None:
            given = covering(given, first, pack.last)
            self._on_the_way[key].add(first, pack.last)
        self._newest[key] = max(self._newest[key], pack.last)
        if given is not pack:
            self._origins[_identity(given)] = pack
        return given

    def _leave_out(self, packs: Sequence[Pack]) -> None:
        if not packs:
            return
        for pack in packs:
            key = (pack.epoch, pack.stream)
            self._left_out[key].add(pack.first, pack.last)
            if pack.boot != self._clock.boot:
                self._newest[key] = math.inf  # its epoch has ended with its boot: no pack will cover the last of it
        self._remember(
            {pack.epoch for pack in packs}
        )  # before the journal forgets them: what is neither kept nor there would be missing for ever
        for pack in packs:
            self._outbox.done(pack)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(COVER_EVERY, self._cover_now)

    def _remember(self, epochs: Iterable[str]) -> None:
        for epoch in epochs:
            kept = [
                [key[1].value, list(ranges)] for key, ranges in self._left_out.items() if key[0] == epoch and ranges
            ]
            self._keep(epoch, kept or None)

    def _cover_now(self) -> None:
        self._timer = None
        self._cover()
        self._announce()

    def _cover(self) -> None:
        """Make messages without records for all that was left out and is not covered yet."""
        self._take_back_due()
        for key, ranges in self._left_out.items():
            for first, last in ranges:
                self._cover_alone(key, first, last)

    def _cover_older(self, lane: Lane) -> None:
        """Do so at once for what is older than numbers that the receiver knows, and stands before no pack to come."""
        for key, ranges in self._left_out.items():
            if _LANES.get(key[1]) is lane:
                for first, last in ranges:
                    if last < self._newest[key] and not self._on_the_way[key].covers(first, last):
                        self._cover_alone(key, first, last)

    def _cover_alone(self, key: _Key, first: int, last: int) -> None:
        epoch, stream = key
        now = self._clock.boottime()
        self._due[_LANES[stream]].append(covers_alone(stream, epoch, self._clock.boot, now, first, last))
        self._on_the_way[key].add(first, last)
        self._alone[key].add(first, last)

    def _take_back_due(self) -> None:
        for lane in self._due.values():
            lane.clear()
        self._on_the_way.clear()

    def _announce(self) -> None:
        for callback in self._callbacks:
            callback()


def _is_range(value: object) -> bool:
    match value:
        case [int(first), int(last)]:
            return 0 < first <= last
    return False


def _identity(pack: Pack) -> _Identity:
    return pack.epoch, pack.stream, pack.first, pack.last
