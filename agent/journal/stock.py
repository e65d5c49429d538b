"""What the journal has, and where: packs in memory, numbers on the card, and which of them nobody needs any more."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING

from agent.journal.ranges import Ranges
from agent.journal.state import LEDGERED
from agent.readings import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from agent.journal.card import Card, Found, Segment
    from agent.journal.pack import Pack, Place
    from agent.journal.state import Key, State


class Stock:
    """The packs of the young end, and the numbers of everything that has not been given up."""

    def __init__(self, state: State, epochs: Sequence[str], card: Card, uplinks: Sequence[str]) -> None:
        self.fresh: list[Pack] = []  # not on the card yet
        self._state = state
        self._epochs = epochs
        self._card = card
        self._uplinks = uplinks
        self._packs: dict[Stream, list[Pack]] = {stream: [] for stream in Stream}  # of the present epoch, in order
        self._lying_in: dict[int, list[Pack]] = defaultdict(list)  # the same packs, by file of the young end
        self._present: dict[Key, Ranges] = defaultdict(Ranges)
        self._committed = {stream: Ranges() for stream in Stream}

    def take_up(self, found: Found) -> None:
        """Note what was found on the card."""
        committed = {stream: Ranges() for stream in Stream}
        for segment in found.segments:
            for key, ranges in segment.spans.items():
                self._present[key].update(ranges)
                if key[0] == self._state.epoch:
                    committed[key[1]].update(ranges)
        for (epoch, stream), first, last in found.doubtful:  # what the young end has of it is committed again
            if epoch == self._state.epoch:
                committed[stream].remove(first, last)
        for stream, ranges in committed.items():
            self._committed[stream].update(ranges)
        self._not_fresh([pack for pack in self.fresh if self._committed[pack.stream].covers(pack.first, pack.last)])

    # --- what is there ---------------------------------------------------------------------------------------------

    def shelve(self, pack: Pack, file: int) -> None:
        """Take a pack of the present epoch, which lies in a file of the young end."""
        self._packs[pack.stream].append(pack)
        if not self._committed[pack.stream].covers(pack.first, pack.last):
            self.fresh.append(pack)
        self._lying_in[file].append(pack)
        self._present[pack.epoch, pack.stream].add(pack.first, pack.last)

    def next_number(self, uplink: str, stream: Stream, place: Place) -> tuple[Key, int] | None:
        """Return the first number at or after a place that is here and that the uplink has not delivered."""
        for rank in range(place.epoch, len(self._epochs)):
            key = (self._epochs[rank], stream)
            done = self._state.done_by(uplink, key)
            here = self._present[key]
            number = here.next_in(place.number if rank == place.epoch else 0)
            while number is not None:
                waiting = done.next_out(number)
                number = here.next_in(waiting)
                if number == waiting:
                    return key, number
        return None

    def in_memory(self, key: Key, number: int) -> Pack | None:
        """Return the pack with a number, if it is in memory."""
        epoch, stream = key
        if epoch != self._state.epoch:
            return None
        packs = self._packs[stream]
        at = bisect_right(packs, number, key=lambda pack: pack.first) - 1
        return packs[at] if at >= 0 and packs[at].last >= number else None

    def present(self, key: Key) -> Ranges:
        """Return which numbers of an epoch and stream are here."""
        return Ranges(self._present.get(key, ()))

    def all_present(self) -> Iterator[tuple[Key, Ranges]]:
        """Yield which numbers are here, of each epoch and stream of which there are any."""
        return ((key, ranges) for key, ranges in self._present.items() if ranges)

    def packs(self, stream: Stream) -> list[Pack]:
        """Return the packs of a stream that are in memory."""
        return list(self._packs[stream])

    def waiting(self, uplink: str) -> dict[Stream, int]:
        """Return how many records of each stream an uplink has not delivered."""
        counts = dict.fromkeys(Stream, 0)
        for key, ranges in self._present.items():
            counts[key[1]] += ranges.count() - ranges.shared(self._state.done_by(uplink, key))
        return counts

    def has(self, pack: Pack) -> bool:
        """Return whether all of a pack is here."""
        return self._present[pack.epoch, pack.stream].covers(pack.first, pack.last)

    def adopt(self, packs: Sequence[Pack]) -> None:
        """Note packs of other epochs that were written to the card."""
        for pack in packs:
            self._present[pack.epoch, pack.stream].add(pack.first, pack.last)

    # --- what is done ----------------------------------------------------------------------------------------------

    def is_done(self, pack: Pack) -> bool:
        """Return whether every uplink has delivered a pack."""
        key = (pack.epoch, pack.stream)
        return bool(self._uplinks) and all(
            self._state.done_by(uplink, key).covers(pack.first, pack.last) for uplink in self._uplinks
        )

    def is_needed(self, segment: Segment) -> bool:
        """Return whether a segment of the card holds, or may hold, anything that some uplink has yet to deliver."""
        return not self._uplinks or segment.unreadable or self.is_awaited(segment)

    def is_awaited(self, segment: Segment, streams: AbstractSet[Stream] = frozenset(Stream)) -> bool:
        """Return whether some uplink has yet to deliver anything of some streams in a segment.

        Without an uplink everything is awaited that the ledger has not given up.
        """
        return any(self._awaits(uplink, segment, streams) for uplink in self._uplinks or [LEDGERED])

    def waiting_for(self, segment: Segment) -> set[str]:
        """Return the uplinks that have yet to deliver anything in a segment."""
        return {uplink for uplink in self._uplinks if self._awaits(uplink, segment, frozenset(Stream))}

    def _awaits(self, uplink: str, segment: Segment, streams: AbstractSet[Stream]) -> bool:
        return any(
            ranges.shared(self._state.accounted_by(uplink, key)) < ranges.count()
            for key, ranges in segment.spans.items()
            if key[1] in streams
        )

    def uncommitted(self) -> list[Pack]:
        """Return what the next commit has to write: what is neither on the card nor delivered."""
        self.fresh = [pack for pack in self.fresh if not self.is_done(pack)]
        return list(self.fresh)

    def committed(self, packs: Sequence[Pack]) -> None:
        """Note that packs are on the card now."""
        for pack in packs:
            if pack.epoch == self._state.epoch:
                self._committed[pack.stream].add(pack.first, pack.last)
        self._not_fresh(packs)

    # --- what goes -------------------------------------------------------------------------------------------------

    def leave_file(self, file: int, into: int | None = None) -> list[Pack]:
        """Take out of memory all packs of a file of the young end; return those that are safe nowhere else.

        What is on the card stays in memory as a part of the file `into`, if there is one: the card may be gone as well.
        """
        leaving = sorted(self._lying_in.pop(file, ()), key=lambda pack: pack.first)
        gone = set(map(id, leaving))
        for stream, packs in self._packs.items():
            self._packs[stream] = [pack for pack in packs if id(pack) not in gone]
        homeless, over = [], []
        for pack in leaving:
            if self._committed[pack.stream].covers(pack.first, pack.last):
                if into is not None:
                    self.move_in(pack, into)
                continue
            if self.is_done(pack) or self.is_given_up(pack):
                self._present[pack.epoch, pack.stream].remove(pack.first, pack.last)
                over.append(pack)
            else:
                homeless.append(pack)
        self._not_fresh(over)
        return homeless

    def is_lived_in(self, file: int) -> bool:
        """Return whether packs of a file of the young end are neither on the card nor done."""
        uncommitted = set(map(id, self.uncommitted()))
        return any(id(pack) in uncommitted for pack in self._lying_in.get(file, ()))

    def move_in(self, pack: Pack, file: int) -> None:
        """Take a homeless pack back, which was written into another file, or into none."""
        packs = self._packs[pack.stream]
        packs.insert(bisect_right(packs, pack.first, key=lambda one: one.first), pack)
        self._lying_in[file].append(pack)

    def leave_segment(self, segment: Segment) -> None:
        """Note that a segment of the card, already forgotten there, is gone."""
        is_unsure = any(one.unreadable for one in self._card.segments)  # more of the same may come to light
        for key, ranges in segment.spans.items():
            held = self._held(key)
            held.update(self._on_card(key))
            for one in ranges:
                for first, last in held.gaps(*one):
                    self._present[key].remove(first, last)
            if key[0] != self._state.epoch and not self._present[key] and not is_unsure:
                self._state.forget(key)

    def lose(self, missing: Mapping[Key, Ranges]) -> list[tuple[Key, int, int]]:
        """Note that segments have lost numbers, which they already have been rid of.

        What is in memory waits for the next commit again. Returns the numbers that are nowhere now although some
        uplink still waits for them.
        """
        lost = []
        for key, ranges in missing.items():
            gone = Ranges(gap for one in ranges for gap in self._on_card(key).gaps(*one))
            nowhere = Ranges(gap for one in gone for gap in self._held(key).gaps(*one))
            if key[0] == self._state.epoch:
                self._uncommit(key[1], gone)
            for first, last in nowhere:
                self._present[key].remove(first, last)
            awaited = Ranges()
            for uplink in self._uplinks or [LEDGERED]:
                accounted = self._state.accounted_by(uplink, key)
                awaited.update(gap for one in nowhere for gap in accounted.gaps(*one))
            lost += [(key, first, last) for first, last in awaited]
        return lost

    def _uncommit(self, stream: Stream, gone: Ranges) -> None:
        for first, last in gone:
            self._committed[stream].remove(first, last)
        self._refresh(stream)

    def refresh(self) -> None:
        """Have all that is in memory alone wait for the next commit, also what had been delivered."""
        for stream in Stream:
            self._refresh(stream)

    def _refresh(self, stream: Stream) -> None:
        known = set(map(id, self.fresh))
        for pack in self._packs[stream]:
            if not self._committed[stream].covers(pack.first, pack.last) and id(pack) not in known:
                self.fresh.append(pack)

    def _on_card(self, key: Key) -> Ranges:
        on_card = Ranges()
        for segment in self._card.segments:
            on_card.update(segment.spans.get(key, ()))
        return on_card

    def _held(self, key: Key) -> Ranges:
        """Return what of an epoch and stream is in memory."""
        return Ranges((pack.first, pack.last) for pack in self._packs[key[1]] if pack.epoch == key[0])

    def give_up(self, packs: Sequence[Pack]) -> Iterator[tuple[Key, int, int]]:
        """Give packs up; yields the numbers that the ledger has to state."""
        self._not_fresh(packs)
        numbers: dict[Key, Ranges] = defaultdict(Ranges)
        for pack in packs:
            numbers[pack.epoch, pack.stream].add(pack.first, pack.last)
        for key, ranges in numbers.items():
            for first, last in ranges:
                yield key, first, last

    def give_up_for(self, uplink: str, packs: Sequence[Pack]) -> Iterator[tuple[Key, int, int]]:
        """Give packs up for one uplink alone; yields the numbers that the ledger has to state to it."""
        numbers: dict[Key, Ranges] = defaultdict(Ranges)
        for pack in packs:
            key = (pack.epoch, pack.stream)
            numbers[key].update(self._state.accounted_by(uplink, key).gaps(pack.first, pack.last))
        for key, ranges in numbers.items():
            for first, last in ranges:
                yield key, first, last

    def absent(self, key: Key, first: int, last: int) -> None:
        """Note that numbers are not here any more."""
        self._present[key].remove(first, last)

    def is_given_up(self, pack: Pack) -> bool:
        """Return whether the ledger accounts for a pack: then nobody will be given it."""
        return self._state.done_by(LEDGERED, (pack.epoch, pack.stream)).covers(pack.first, pack.last)

    def _not_fresh(self, packs: Sequence[Pack]) -> None:
        gone = set(map(id, packs))
        self.fresh = [pack for pack in self.fresh if id(pack) not in gone]
