"""Bringing the journal of a broken gateway to its replacement, which sends what the old one had still to deliver.

Epochs, numbers and boots stay what they were, so that a receiver that has a part of it already drops doubles and can
prove the rest complete. Packs are carried in the order of their numbers, each commit with what was delivered of them:
whenever it is cut off, what has been carried is a whole journal, and the next import goes on behind it. That it is
finished, and what will never come, is said at the end, as one. What was damaged then may be whole in a better copy: it
is remembered, and another import brings it after all.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, TypeVar

from agent.journal.inspect import UnsoundError, body_of
from agent.journal.opening import lost
from agent.journal.packing import weight
from agent.journal.ranges import Ranges
from agent.journal.state import LEDGERED
from agent.memories import read_anchors, read_ranges, read_settled
from agent.readings import LedgerEntry, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from agent.journal.inspect import Inspection
    from agent.journal.journal import Journal
    from agent.journal.pack import Pack
    from agent.journal.state import Key
    from agent.seams import Disk

T = TypeVar("T")

BATCH = 256 << 10  # bytes
IMPORTED = "imported"  # kept: by epoch and stream, the number up to which an import has settled everything
UNREAD = "imported_unread"  # kept: by epoch and stream, what of that was damaged


class CarryingError(Exception):
    """A commit was refused by the card; the text says why."""


@dataclass(slots=True)
class Cargo:
    """What an import brings, once each."""

    numbers: dict[Key, Ranges] = field(default_factory=lambda: defaultdict(Ranges))
    bytes: int = 0

    def count(self, *streams: Stream) -> int:
        """Return how many records of some streams there are."""
        return sum(ranges.count() for key, ranges in self.numbers.items() if key[1] in streams)


class Import:
    """One journal on its way into another, whose agent does not run."""

    def __init__(self, journal: Journal, uplinks: Sequence[str], found: Inspection, card: Disk | None) -> None:
        """Take the new journal with its uplinks, and the old one with the folder its packs are read from."""
        self._journal = journal
        self._uplinks = uplinks
        self._found = found
        self._card = card
        self._sound: dict[Key, Ranges] = defaultdict(Ranges)
        self._settled = _or_none(read_settled, journal.kept(IMPORTED)) or {}
        self._unread = {
            (epoch, stream): Ranges(by_stream[stream.value])
            for epoch, by_stream in (_or_none(read_ranges, journal.kept(UNREAD)) or {}).items()
            for stream in Stream
            if stream.value in by_stream
        }
        self.cargo = Cargo()

    def plan(self) -> Cargo:
        """Find out what is to be brought: what some uplink waits for, and what is not here already."""
        for pack in self._packs():
            self._sound[pack.epoch, pack.stream].add(pack.first, pack.last)
        self._credit()
        regained = {key: self._sound[key].common(unread) for key, unread in self._unread.items()}
        for key, ranges in regained.items():
            self._journal.take_back(key, ranges)
        for pack in self._packs():
            key = (pack.epoch, pack.stream)
            is_new = pack.last > self._settled_of(key)
            if not is_new and key in regained:
                is_new = regained[key].shared(Ranges([(pack.first, pack.last)])) > 0
            if is_new and self._journal.lacks(pack):
                before = self.cargo.numbers[key].count()
                self.cargo.numbers[key].add(pack.first, pack.last)
                if self.cargo.numbers[key].count() > before:
                    self.cargo.bytes += weight(pack)
        return self.cargo

    async def carry(self, batch_size: int = BATCH) -> None:
        """Bring it, so many bytes with one sync; raises CarryingError, and may then be begun again."""
        batch: list[Pack] = []
        size = 0
        for pack in self._in_order():
            batch.append(pack)
            size += weight(pack)
            if size >= batch_size:
                await self._adopt(batch)
                batch, size = [], 0
        await self._adopt(batch)

    def finish(self, names: Collection[str]) -> list[LedgerEntry]:
        """State what is missing for ever, take over kept values, and note that all is settled; returns the statements.

        `names` are the values of single devices that make sense here; one that has begun anew here stays as it is.
        """
        entries = [*self._damaged(), *self._lost()]
        self._note_unread(entries)
        with self._journal.together():
            for entry in entries:
                self._journal.state_in_ledger(entry)
            kept = self._found.state.kept if self._found.state is not None else {}
            for name in sorted(names & kept.keys()):
                if self._journal.kept(name) is None:
                    self._journal.keep(name, kept[name])
            self._merge("anchors", kept.get("anchors"))
            for key in self._found.numbered():
                epoch, stream = key
                of_epoch = self._settled.setdefault(epoch, {})
                of_epoch[stream.value] = max(self._found.last(key), of_epoch.get(stream.value, 0))
            if self._found.state is not None:
                of_epoch = self._settled.setdefault(self._found.state.epoch, {})
                for stream in Stream:  # also of those that no number was used of
                    of_epoch.setdefault(stream.value, 0)
            self._journal.keep(IMPORTED, {**(_or_none(read_settled, kept.get(IMPORTED)) or {}), **self._settled})
        return entries

    # --- packs -----------------------------------------------------------------------------------------------------

    def _packs(self) -> Iterator[Pack]:
        """Yield every good pack of the old journal."""
        for pack in self._found.packs(self._card):
            try:
                body_of(pack)
            except UnsoundError:
                continue
            yield pack

    def _in_order(self) -> Iterator[Pack]:
        """Yield each pack that is to be brought, none before another of its stream with smaller numbers.

        Nearly all lie in that order; what was committed a second time, behind others, lets these wait.
        """
        coming = {key: Ranges(ranges) for key, ranges in self.cargo.numbers.items()}
        waiting: dict[Key, list[Pack]] = defaultdict(list)
        for pack in self._packs():
            key = (pack.epoch, pack.stream)
            if key not in coming or coming[key].shared(Ranges([(pack.first, pack.last)])) == 0:
                continue
            coming[key].remove(pack.first, pack.last)
            waiting[key].append(pack)
            lowest = next(iter(coming[key]), None)
            ready = [one for one in waiting[key] if lowest is None or one.last < lowest[0]]
            if ready:
                waiting[key] = [one for one in waiting[key] if one not in ready]
                yield from sorted(ready, key=_first)
        for rest in waiting.values():
            yield from sorted(rest, key=_first)

    async def _adopt(self, batch: list[Pack]) -> None:
        if batch and not await self._journal.adopt(batch):
            raise CarryingError("; ".join(self._journal.status().faults.values()))

    # --- what was delivered, and what will never come --------------------------------------------------------------

    def _credit(self) -> None:
        """Take over how far each uplink had come.

        An uplink that the old journal does not know has no claim to what had been delivered before it came.
        """
        state = self._found.state
        for uplink, by_key in (state.done if state is not None else {}).items():
            for key, ranges in by_key.items():
                self._journal.credit(uplink, key, ranges)
        for uplink in self._uplinks:
            if state is None or uplink not in state.done:
                for key, ranges in self._sound.items():
                    self._journal.credit(uplink, key, ranges.gaps(1, max(last for _, last in ranges)))
        for key in self._sound:
            # What an earlier import has settled and is not here has gone up, or the ledger has said what became of it.
            here = Ranges([*self._journal.present(key), *self._unread.get(key, ())])
            for uplink in self._uplinks if self._settled_of(key) > 0 else ():
                self._journal.credit(uplink, key, here.gaps(1, self._settled_of(key)))

    def _damaged(self) -> Iterator[LedgerEntry]:
        """Name the numbers that an uplink waits for and that cannot be read."""
        state = self._found.state
        if state is None:
            return
        waited_for = [uplink for uplink in self._uplinks if uplink in state.done] if self._uplinks else [LEDGERED]
        now = self._journal.clock.boottime()
        for key in self._found.numbered():
            missing = Ranges()
            for uplink in waited_for:
                known = Ranges([*self._sound[key], *state.accounted_by(uplink, key)])
                missing.update(known.gaps(max(self._settled_of(key), 0) + 1, self._found.last(key)))
            for first, last in missing:
                count = last - first + 1
                yield LedgerEntry(
                    now, "damaged", "card", count, stream=key[1].value, epoch=key[0], first=first, last=last
                )

    def _lost(self) -> Iterator[LedgerEntry]:
        """Say from which numbers on nothing can come: the young end of a gateway is gone with its power."""
        state = self._found.state
        if state is None or self._found.young:
            return
        for entry in lost(state, self._journal.clock.boottime()):
            if entry.first - 1 > self._settled_of((entry.epoch, Stream(entry.stream))):
                yield replace(entry, why="damaged") if self._found.end_unread else entry

    def _note_unread(self, damaged: Sequence[LedgerEntry]) -> None:
        """Remember what was damaged, here or in what was brought before, and what of that has come by now."""
        for key, ranges in self._unread.items():
            for first, last in self._sound[key]:
                ranges.remove(first, last)
        for entry in damaged:
            if entry.kind == "damaged":
                ranges = self._unread.setdefault((entry.epoch, Stream(entry.stream)), Ranges())
                ranges.add(entry.first, entry.last)
        kept: dict[str, dict[str, list[list[int]]]] = {}
        for (epoch, stream), ranges in self._unread.items():
            if ranges:
                kept.setdefault(epoch, {})[stream.value] = [list(one) for one in ranges]
        if kept or self._journal.kept(UNREAD) is not None:
            self._journal.keep(UNREAD, kept or None)

    def _settled_of(self, key: Key) -> int:
        """Return the number up to which an earlier import has settled an epoch and stream; -1 if there was none."""
        return self._settled.get(key[0], {}).get(key[1].value, -1)

    def _merge(self, name: str, theirs: object) -> None:
        """Add anchors to those that are kept."""
        ours = _or_none(read_anchors, self._journal.kept(name)) or []
        known = {(anchor.boot, anchor.at) for anchor in ours}
        new = [anchor for anchor in _or_none(read_anchors, theirs) or [] if (anchor.boot, anchor.at) not in known]
        if new:
            rows = [[one.boot, one.at, one.utc, one.uncertainty, one.source] for one in [*new, *ours]]
            self._journal.keep(name, rows)


def _or_none(read: Callable[[object], T], kept: object) -> T | None:
    """Read what was kept; None where it is not of the shape that this version keeps."""
    try:
        return read(kept)
    except ValueError:
        return None


def _first(pack: Pack) -> int:
    return pack.first
