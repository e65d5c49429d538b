"""The journal: append at once to the young end, commit what is still unacked to the card, hand out, forget.

It knows no MQTT and no driver, and runs on any two folders.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from agent.journal import opening
from agent.journal.frames import Kind
from agent.journal.outbox import UplinkOutbox
from agent.journal.pack import Place
from agent.journal.packing import encode_append, encode_close, encode_packs, start
from agent.journal.ranges import Ranges
from agent.journal.state import LEDGERED
from agent.journal.status import Fault, JournalStatus
from agent.readings import LedgerEntry, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.config.model import Journal as Limits
    from agent.journal.card import Segment
    from agent.journal.pack import Outbox, Pack
    from agent.journal.packing import OpenPack
    from agent.journal.state import Key
    from agent.logs import Log
    from agent.readings import Record
    from agent.seams import Clock, Disk, Random

KEPT_EVERY = 60.0  # seconds within which a changed kept value reaches the card although nothing else does
LOADED_SEGMENTS = 4  # segments of the card held in memory while they are read


class Journal:
    """Durable streams of records. All methods run on the loop; only `commit` uses the executor."""

    def __init__(
        self,
        *,
        young: Disk,
        card: Disk,
        clock: Clock,
        random: Random,
        uplinks: Sequence[str],
        limits: Limits,
        log: Log,
    ) -> None:
        self.clock = clock
        self._limits = limits
        self._log = log
        self._uplinks = list(uplinks)
        self._listeners: list[Callable[[], None]] = []
        self._urgent = asyncio.Event()
        self._opened: dict[Stream, OpenPack] = {}
        self._timers: dict[Stream, asyncio.TimerHandle] = {}
        self._loaded: dict[str, list[Pack]] = {}
        self._loading: dict[str, asyncio.Task[None]] = {}
        self._faults: dict[Fault, str] = {}
        self._kept_changed_at: int | None = None
        self._committed_bytes = self._commits = self._unkept = 0

        start_up = opening.open_both(young, card, clock, random, limits.young_limit)
        self._young, self._card = start_up.young, start_up.card
        self._state, self.epochs = start_up.state, start_up.epochs
        # Young packs by stream, in order; with the number of the young file each lies in.
        self._packs: dict[Stream, list[Pack]] = {stream: [] for stream in Stream}
        self._file_of: dict[tuple[Stream, int], int] = {}
        self._fresh: list[Pack] = []  # not on the card yet
        self._present: dict[Key, Ranges] = defaultdict(Ranges)
        for segment in self._card.segments:
            for key, ranges in segment.spans.items():
                self._present[key].update(ranges)
        self._committed = {stream: Ranges(self._present[self._state.epoch, stream]) for stream in Stream}
        for pack, number in start_up.packs:
            self._shelve(pack, number)
        self._begin_young()
        for fault, message in start_up.faults.items():
            self._raise(fault, message)
        self.append(Stream.LEDGER, start_up.ledger)

    # --- what comes in ---------------------------------------------------------------------------------------------

    def append(self, stream: Stream, records: Sequence[Record]) -> None:
        """Number the records and keep them: once this has returned, a crash of the agent does not lose them."""
        if not records:
            return
        pack = self._opened.get(stream)
        if pack is None:
            pack = self._opened[stream] = start(stream, self._state.next[stream], records[0].at)
        payload, body = encode_append(pack, records)
        self._write(Kind.APPEND, payload)
        pack.add(body, len(records))
        self._state.next[stream] += len(records)
        if stream is Stream.ALARM:
            self._close_pack(stream)
            self._urgent.set()
        elif pack.count >= self._limits.pack_size or self._limits.pack_within <= 0:
            self._close_pack(stream)
        elif stream not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[stream] = loop.call_later(self._limits.pack_within, self._close_pack, stream)
        if self._young.full:
            self._turn_young()

    def close_packs(self) -> None:
        """Close every pack that still grows, so that it can go up now."""
        for stream in list(self._opened):
            self._close_pack(stream)

    def keep(self, key: str, value: Any) -> None:  # noqa: ANN401 - any JSON
        """Keep one JSON value under a name across restarts; None forgets it."""
        if value is None:
            self._state.kept.pop(key, None)
        else:
            self._state.kept[key] = value
        self._write(Kind.KEEP, opening.encode_keep(key, value))
        if self._kept_changed_at is None:
            self._kept_changed_at = self.clock.boottime()

    def kept(self, key: str) -> Any:  # noqa: ANN401 - any JSON
        """Return what was kept under a name, or None."""
        return self._state.kept.get(key)

    # --- what goes out ---------------------------------------------------------------------------------------------

    def outbox(self, uplink: str) -> Outbox:
        """Return the way through the journal of one of the configured uplinks."""
        return UplinkOutbox(self, uplink)

    def on_new(self, callback: Callable[[], None]) -> None:
        """Have `callback` called whenever something new waits."""
        self._listeners.append(callback)

    def live_edge(self) -> Place:
        """Return the place from which on telemetry has not been handed to anybody: the pack that is open now."""
        opened = self._opened.get(Stream.TELEMETRY)
        return Place(len(self.epochs) - 1, opened.first if opened else self._state.next[Stream.TELEMETRY])

    def find(self, uplink: str, stream: Stream, place: Place) -> Pack | None:
        """Return the first pack at or after a place that the uplink has not delivered.

        None also while the pack is being fetched from the card: the listeners are called when it is there.
        """
        for rank in range(place.epoch, len(self.epochs)):
            key = (self.epochs[rank], stream)
            done = self._state.done_by(uplink, key)
            least = place.number if rank == place.epoch else 0
            for first, last in self._present[key]:
                for number, _ in done.gaps(max(first, least), last):
                    return self._pack_with(key, number)
        return None

    def done(self, uplink: str, pack: Pack) -> None:
        """Mark a pack as delivered by an uplink."""
        key = (pack.epoch, pack.stream)
        self._state.done_by(uplink, key).add(pack.first, pack.last)
        self._write(Kind.DONE, opening.encode_done(uplink, pack))

    def _pack_with(self, key: Key, number: int) -> Pack | None:
        epoch, stream = key
        if epoch == self._state.epoch:
            packs = self._packs[stream]
            at = bisect_right(packs, number, key=lambda pack: pack.first) - 1
            if at >= 0 and packs[at].last >= number:
                return packs[at]
        for segment in self._card.segments:
            if key in segment.spans and segment.spans[key].covers(number, number):
                return self._pack_on_card(segment.name, key, number)
        return None

    def _pack_on_card(self, name: str, key: Key, number: int) -> Pack | None:
        if name not in self._loaded:
            if not self._loading:
                loop = asyncio.get_running_loop()
                self._loading[name] = loop.create_task(self._load(name), name=f"journal: read {name}")
            return None
        for pack in self._loaded[name]:
            if (pack.epoch, pack.stream) == key and pack.first <= number <= pack.last:
                return pack
        # It was there when the journal was opened: the card has lost it since.
        self._ledger("damaged", "card", key, number, number)
        return None

    async def _load(self, name: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            packs = await loop.run_in_executor(None, self._card.read, name)
        except OSError as error:
            self._raise(Fault.CARD, str(error))
            packs = []
        while len(self._loaded) >= LOADED_SEGMENTS:
            del self._loaded[next(iter(self._loaded))]
        self._loaded[name] = packs
        del self._loading[name]
        self._announce()

    def _announce(self) -> None:
        for callback in self._listeners:
            callback()

    # --- the young end ---------------------------------------------------------------------------------------------

    def _write(self, kind: Kind, payload: bytes) -> None:
        try:
            self._young.write(kind, payload)
        except OSError as error:
            self._unkept += 1
            self._raise(Fault.YOUNG, str(error))

    def _close_pack(self, stream: Stream) -> None:
        timer = self._timers.pop(stream, None)
        if timer is not None:
            timer.cancel()
        opened = self._opened.pop(stream, None)
        if opened is None:
            return
        pack = opened.close(self._state.epoch, self.clock.boot)
        self._write(Kind.CLOSE, encode_close(pack))
        self._shelve(pack, self._young.number)
        self._announce()

    def _shelve(self, pack: Pack, number: int) -> None:
        self._packs[pack.stream].append(pack)
        if not self._committed[pack.stream].covers(pack.first, pack.last):
            self._fresh.append(pack)
        self._file_of[pack.stream, pack.first] = number
        self._present[pack.epoch, pack.stream].add(pack.first, pack.last)

    def _begin_young(self) -> None:
        try:
            self._young.begin(self._state.snapshot())
        except OSError as error:
            self._raise(Fault.YOUNG, str(error))
        else:
            self._clear(Fault.YOUNG)

    def _turn_young(self) -> None:
        """Begin a new file, and remove the oldest ones when they are too many."""
        self.close_packs()
        self._begin_young()
        while self._young.over:
            self._drop_young()

    def _drop_young(self) -> None:
        oldest = self._young.oldest
        with suppress(OSError):
            self._young.drop_oldest()
        dropped = []
        for stream, packs in self._packs.items():
            stay = []
            for pack in packs:
                if self._file_of[stream, pack.first] > oldest:
                    stay.append(pack)
                    continue
                del self._file_of[stream, pack.first]
                if self._is_safe(pack):
                    if not self._committed[stream].covers(pack.first, pack.last):
                        self._present[pack.epoch, stream].remove(pack.first, pack.last)
                elif stream is Stream.TELEMETRY:
                    dropped.append(pack)
                else:  # alarms last: written again into the newest file
                    self._write(Kind.PACKS, encode_packs(b"", [pack]))
                    self._file_of[stream, pack.first] = self._young.number
                    stay.append(pack)
            self._packs[stream] = stay
        self._drop(dropped, "young_full")

    def _is_safe(self, pack: Pack) -> bool:
        return self._committed[pack.stream].covers(pack.first, pack.last) or self._is_done(pack)

    def _is_done(self, pack: Pack) -> bool:
        return bool(self._uplinks) and all(
            self._state.done_by(uplink, (pack.epoch, pack.stream)).covers(pack.first, pack.last)
            for uplink in self._uplinks
        )

    def _drop(self, packs: Sequence[Pack], why: str) -> None:
        gone = set(map(id, packs))
        self._fresh = [pack for pack in self._fresh if id(pack) not in gone]
        numbers: dict[Key, Ranges] = defaultdict(Ranges)
        for pack in packs:
            numbers[pack.epoch, pack.stream].add(pack.first, pack.last)
        for key, ranges in numbers.items():
            for first, last in ranges:
                self._ledger("dropped", why, key, first, last)

    def _ledger(self, kind: str, why: str, key: Key, first: int, last: int) -> None:
        """Give numbers up, and say so."""
        epoch, stream = key
        self._present[key].remove(first, last)
        self._state.done_by(LEDGERED, key).add(first, last)
        now, count = self.clock.boottime(), last - first + 1
        entry = LedgerEntry(now, kind, why, count, "", "", 0, 0, stream.value, epoch, first, last)
        self._log.warning("journal_" + kind, why=why, stream=stream.value, first=first, last=last)
        self.append(Stream.LEDGER, [entry])

    # --- the card --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Commit every `commit_interval`, and at once after an alarm, until cancelled."""
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._urgent.wait(), self._limits.commit_interval)
            self._urgent.clear()
            await self.commit()

    async def commit(self, *, clean: bool = False) -> None:
        """Write what is still unacked to the card as one record with one sync, then remove what is not needed there.

        `clean`: the agent stops in order, nothing will be appended after this.
        """
        self.close_packs()
        self._fresh = [pack for pack in self._fresh if not self._is_done(pack)]
        if self._fresh or clean or self._kept_is_due():
            await self._commit(list(self._fresh), clean=clean)
        await self._tidy()

    def _kept_is_due(self) -> bool:
        changed = self._kept_changed_at
        return changed is not None and self.clock.boottime() - changed >= KEPT_EVERY * 1e9

    async def _commit(self, packs: list[Pack], *, clean: bool) -> bool:
        payload = encode_packs(self._state.snapshot(clean=clean), packs)
        changed_at, self._kept_changed_at = self._kept_changed_at, None
        try:
            loop = asyncio.get_running_loop()
            name, size = await loop.run_in_executor(None, self._card.write, payload)
        except OSError as error:
            self._kept_changed_at = changed_at
            self._raise(Fault.CARD, str(error))
            return False
        self._card.note(name, size, packs)
        for pack in packs:
            if pack.epoch == self._state.epoch:
                self._committed[pack.stream].add(pack.first, pack.last)
        written = set(map(id, packs))
        self._fresh = [pack for pack in self._fresh if id(pack) not in written]
        self._commits += 1
        self._committed_bytes += size
        self._clear(Fault.CARD)
        return True

    async def _tidy(self) -> None:
        """Remove segments that every uplink has delivered, and the oldest ones beyond the limit.

        The newest segment always stays: it holds the newest snapshot.
        """
        gone = []
        size = self._card.size()
        for segment in self._card.segments[:-1]:
            if self._waits_in(segment) and not (size > self._limits.limit and await self._give_up(segment)):
                continue
            gone.append(segment)
            size -= segment.size
        if not gone:
            return
        names = [segment.name for segment in gone]
        try:
            await asyncio.get_running_loop().run_in_executor(None, self._card.remove, names)
        except OSError as error:
            self._raise(Fault.CARD, str(error))
            return
        self._card.forget(names)
        for segment in gone:
            self._loaded.pop(segment.name, None)
            for key, ranges in segment.spans.items():
                self._forget(key, ranges)

    def _waits_in(self, segment: Segment) -> bool:
        return not self._uplinks or any(
            ranges.shared(self._state.accounted_by(uplink, key)) < ranges.count()
            for uplink in self._uplinks
            for key, ranges in segment.spans.items()
        )

    async def _give_up(self, segment: Segment) -> bool:
        """Give up the telemetry of a segment and commit its alarms again: they are the last to go."""
        try:
            packs = await asyncio.get_running_loop().run_in_executor(None, self._card.read, segment.name)
        except OSError as error:
            self._raise(Fault.CARD, str(error))
            return False
        waiting = [pack for pack in packs if not self._is_done(pack)]
        rest = [pack for pack in waiting if pack.stream is not Stream.TELEMETRY]
        if rest and not await self._commit(rest, clean=False):
            return False
        self._drop([pack for pack in waiting if pack.stream is Stream.TELEMETRY], "card_full")
        return True

    def _forget(self, key: Key, ranges: Ranges) -> None:
        """Drop a removed segment's numbers from what is present, unless they are held elsewhere."""
        epoch, stream = key
        held = Ranges((pack.first, pack.last) for pack in self._packs[stream] if pack.epoch == epoch)
        for segment in self._card.segments:
            held.update(segment.spans.get(key, ()))
        for one in ranges:
            for first, last in list(held.gaps(*one)):
                self._present[key].remove(first, last)
        if epoch != self._state.epoch and not self._present[key]:
            for by_key in self._state.done.values():
                by_key.pop(key, None)

    # --- health ----------------------------------------------------------------------------------------------------

    def _raise(self, fault: Fault, message: str) -> None:
        if self._faults.get(fault) != message:
            self._log.error("journal_fault", fault=fault.value, detail=message)
        self._faults[fault] = message

    def _clear(self, fault: Fault) -> None:
        if self._faults.pop(fault, None) is not None:
            self._log.info("journal_well", fault=fault.value)

    def status(self) -> JournalStatus:
        """Return what health and `roadside status` show."""
        waiting = {}
        for uplink in self._uplinks:
            counts = dict.fromkeys(Stream, 0)
            for key, ranges in self._present.items():
                counts[key[1]] += ranges.count() - ranges.shared(self._state.done_by(uplink, key))
            for stream, opened in self._opened.items():
                counts[stream] += opened.count
            waiting[uplink] = {stream.value: count for stream, count in counts.items()}
        return JournalStatus(
            epoch=self._state.epoch,
            next={stream.value: number for stream, number in self._state.next.items()},
            waiting=waiting,
            young_bytes=self._young.size(),
            card_bytes=self._card.size(),
            commits=self._commits,
            committed_bytes=self._committed_bytes,
            unkept=self._unkept,
            faults={fault.value: message for fault, message in self._faults.items()},
        )

    async def close(self, within: float) -> None:
        """Commit in order and let go; a card that stalls is given up after `within` seconds."""
        try:
            await asyncio.wait_for(self.commit(clean=True), within)
        except TimeoutError:
            self._raise(Fault.CARD, f"no answer within {within} s at the end")
        for timer in self._timers.values():
            timer.cancel()
        for task in self._loading.values():
            task.cancel()
        self._young.close()
        self._card.close()
