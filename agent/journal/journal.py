"""The journal: append at once to the young end, commit what is still unacked to the card, hand out, forget.

It knows no MQTT and no driver, and runs on any two folders.
"""

from __future__ import annotations

import asyncio
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from agent.journal import opening
from agent.journal.committing import Committing
from agent.journal.due import URGENT_GAP, Due
from agent.journal.fetching import Fetching
from agent.journal.frames import Kind
from agent.journal.keeping import Keeping
from agent.journal.losses import Losses
from agent.journal.outbox import UplinkOutbox
from agent.journal.pack import Place
from agent.journal.packing import encode_append, encode_packs, start
from agent.journal.ranges import Ranges
from agent.journal.resending import Resending
from agent.journal.spare import Spare
from agent.journal.state import IDENTITY
from agent.journal.status import Fault, Faults, JournalStatus
from agent.journal.stock import Stock
from agent.journal.tidying import Bounds, Tidying
from agent.readings import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from agent.config.model import Journal as Limits
    from agent.journal.card import Found
    from agent.journal.pack import Outbox, Pack
    from agent.journal.packing import OpenPack
    from agent.journal.resending import Numbers, Resent
    from agent.journal.state import Key
    from agent.logs import Log
    from agent.readings import LedgerEntry, Record
    from agent.seams import Clock, Disk, Random

# Seconds until segments that could not be read at the start are tried again: it may take long, and commits wait for it.
LOOK_AGAIN_EVERY = 300.0

# Looked up once: CPython 3.11 takes 0.4 us to find a member of an enumeration, and each append needs these.
_APPEND, _ALARM = Kind.APPEND, Stream.ALARM


class Journal:
    """Durable streams of records. All methods run on the loop; what needs the card goes to the executor."""

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
        quotas: Mapping[str, int] = MappingProxyType({}),
    ) -> None:
        """Take up what earlier runs left in the two folders; what cannot be read or written is a fault, no error."""
        self.clock = clock
        self._limits = limits
        self._log = log
        self._uplinks = list(uplinks)
        self._listeners: list[Callable[[], None]] = []
        self._opened: dict[Stream, OpenPack] = {}
        self._timers: dict[Stream, asyncio.TimerHandle] = {}
        self._delivered: dict[tuple[str, Key], Ranges] = {}  # in this turn of the loop
        self.has_delivered = False  # whether an uplink has had telemetry that was appended since the start
        self._faults = Faults(log)
        room = min([limits.limit, *quotas.values()])
        start_up = opening.open_both(young, card, clock, random, self._uplinks, limits.young_limit, room)
        self._young, self._card = start_up.young, start_up.card
        self._state, self.epochs = start_up.state, start_up.epochs
        self._stock = Stock(self._state, self.epochs, self._card, self._uplinks)
        if start_up.found is not None:
            self._stock.take_up(start_up.found)
        self._due = Due(clock, self._state, self._stock, self._faults, limits.commit_interval)
        self._look_again_at: int | None = 0  # for what could not be read of the card; None: all could be
        if start_up.found is not None:
            self._note_unread(start_up.found)
        self._late = 0  # how often it was read only after the start
        self._losses = Losses(
            self._card,
            self._stock,
            self._faults,
            clock,
            log,
            append=self.append,
            together=self.together,
            settle=self._done,
            hurry=self._due.hurry,
        )
        self._keeping = Keeping(
            self._young,
            self._stock,
            self._state,
            self._faults,
            limit=limits.young_limit,
            close_packs=self.close_packs,
            give_up=self._losses.give_up,
            refused=self._due.hurry,  # then the card shall have it
        )
        self._fetching = Fetching(
            self._card,
            arrived=self._announce,
            failed=lambda error: self._faults.put(Fault.CARD, str(error)),
            lost=self._losses.lost_in,
        )
        spare = Spare(card)
        self._committing = Committing(
            self._card,
            self._stock,
            self._state,
            self._fetching,
            spare,
            self._faults,
            uncommitted=self._uncommitted,
            lost=self._losses.lost,
        )
        self._card_changes = asyncio.Lock()
        self._resending = Resending(self._card, self._stock, self._state)
        self._tidying = Tidying(
            card,
            self._card,
            self._stock,
            self._committing,
            self._fetching,
            self._faults,
            Bounds(limits.limit, limits.reserve, quotas),
            give_up=self._losses.give_up,
            give_up_for=self._losses.give_up_for,
        )
        self._began_at = self._state.next[Stream.TELEMETRY]
        self._due.looked()
        for pack, file in start_up.packs:
            if not self._stock.is_given_up(pack):
                self._stock.shelve(pack, file)
        self._keeping.begin()
        for fault, message in start_up.faults.items():
            self._faults.put(fault, message)
        self._account(start_up.ledger, start_up.found, start_up.unused)
        self._keeping.vouch()
        # What an earlier run left is hurried, however new it is to this one: else kills that follow each other faster
        # than a commit is due would put it off for ever.
        if start_up.ledger or not start_up.known_to_card:
            # Before the first number is used: so that after a power cut the next start can say what was cut, and the
            # one after that, should the power fail again at once.
            self._committing.write_now()
        else:
            self._due.hurry_snapshot()

    # --- what comes in ---------------------------------------------------------------------------------------------

    def append(self, stream: Stream, records: Sequence[Record]) -> None:
        """Number the records and keep them: once this has returned, a crash of the agent does not lose them."""
        if not records:
            return
        pack = self._opened.get(stream) or start(stream, self._state.next[stream], records[0].at)
        payload, body = encode_append(pack, records)
        self._opened[stream] = pack  # only now: what cannot be encoded leaves no empty pack behind
        self._keeping.write(_APPEND, payload)
        pack.add(body, len(records))
        self._state.next[stream] += len(records)
        if stream is _ALARM:
            self._close_pack(stream)
            self._due.hurry_snapshot()  # although delivered before, perhaps: what is kept of it must not be forgotten
        elif pack.count >= self._limits.pack_size or self._limits.pack_within <= 0:
            self._close_pack(stream)
        elif stream not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[stream] = loop.call_later(self._limits.pack_within, self._close_pack, stream)
        if self._keeping.full:
            self._keeping.turn()

    def keep(self, key: str, value: Any) -> None:  # noqa: ANN401 - any JSON
        """Keep one JSON value under a name across restarts; None forgets it. The value must not change afterwards."""
        self._state.keep(key, value)
        self._keeping.write(Kind.KEEP, opening.encode_keep(key, value))
        self._due.changed()
        if self._keeping.full:
            self._keeping.turn()

    def kept(self, key: str) -> Any:  # noqa: ANN401 - any JSON
        """Return what was kept under a name, or None."""
        return self._state.kept.get(key)

    def kept_below(self, prefix: str) -> list[str]:
        """Return the names that begin so and under which anything was kept."""
        return [key for key, value in self._state.kept.items() if key.startswith(prefix) and value is not None]

    def together(self) -> AbstractContextManager[None]:
        """Write what is appended and kept inside as one: a crash leaves all of it or nothing."""
        return self._keeping

    def close_packs(self) -> None:
        """Close every pack that still grows, so that it can go up now."""
        for stream in list(self._opened):
            self._close_pack(stream)

    def _close_pack(self, stream: Stream) -> None:
        timer = self._timers.pop(stream, None)
        if timer is not None:
            timer.cancel()
        opened = self._opened.pop(stream, None)
        if opened is None:
            return
        pack = opened.close(self._state.epoch, self.clock.boot)
        self._keeping.write(Kind.PACKS, encode_packs([pack]))
        self._stock.shelve(pack, self._keeping.file)
        self._keeping.look()  # here and not at every append: it asks the system
        self._announce()

    def identify(self) -> str:
        """Return what tells this journal and its copies from all others, which is made up the first time."""
        if self.kept(IDENTITY) is None:
            self.keep(IDENTITY, self._state.epoch)
        return str(self.kept(IDENTITY))

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
        found = self._stock.next_number(uplink, stream, place)
        if found is None:
            return None
        key, number = found
        return self._stock.in_memory(key, number) or self._fetching.pack_with(key, number)

    def done(self, uplink: str, pack: Pack) -> None:
        """Mark a pack as delivered by an uplink.

        The young end has it when this turn of the loop is over: a crash in between has the pack sent twice, no more.
        """
        key = (pack.epoch, pack.stream)
        self._state.done_by(uplink, key).add(pack.first, pack.last)
        if key == (self._state.epoch, Stream.TELEMETRY) and pack.last >= self._began_at:
            self.has_delivered = True
        if not self._delivered:
            asyncio.get_running_loop().call_soon(self._keep_delivered)
        self._delivered.setdefault((uplink, key), Ranges()).add(pack.first, pack.last)
        self._due.changed()

    def _keep_delivered(self) -> None:
        if self._delivered:
            self._keeping.write(Kind.DONE, opening.encode_done(self._delivered))
            self._delivered.clear()
            if self._keeping.full:
                self._keeping.turn()

    def _done(self, uplink: str, key: Key, first: int, last: int) -> None:
        self._state.done_by(uplink, key).add(first, last)
        self._keeping.write(Kind.DONE, opening.encode_done({(uplink, key): Ranges([(first, last)])}))

    def resent(self, uplink: str) -> int:
        """Return how often marks of delivery were taken off, or older packs came to light.

        When that changes, an uplink begins to look from the start again.
        """
        return self._state.resent.get(uplink, 0) + self._late

    async def resend(self, uplink: str, wanted: Numbers | int | None) -> Resent:
        """Have an uplink deliver again what is still here: some numbers, all since a boottime, or everything.

        A crash or a power cut does not undo it once this has returned, nor once the card can be written again. Raises
        OSError if the card cannot be read.
        """
        async with self._card_changes:  # nothing is removed meanwhile
            self.close_packs()
            self._keep_delivered()  # or it would come after what takes it off
            resent = await self._resending.resend(uplink, wanted)
            self._keeping.turn()  # a new file of the young end begins with a whole snapshot
            await self._committing.write()
        self._announce()
        return resent

    async def secure(self) -> bool:
        """Commit now, with all that is kept; return whether the card has it."""
        async with self._card_changes:
            return await self._committing.write()

    def _announce(self) -> None:
        for callback in self._listeners:
            callback()

    # --- what is lost ----------------------------------------------------------------------------------------------

    def state_in_ledger(self, entry: LedgerEntry) -> None:
        """Say that numbers will not come, and never look for them again."""
        self._losses.state(entry)

    def _account(
        self, ledger: Iterable[LedgerEntry], found: Found | None, unused: Mapping[Stream, int] = MappingProxyType({})
    ) -> None:
        """Say what has become of what was before; whoever is killed before this says the same the next time."""
        with self._keeping:
            self._state.next |= unused
            for entry in ledger:
                self._losses.state(entry)
            unblinds = self._state.blind and found is not None and found.sees
            if unused or unblinds:
                self._state.blind = self._state.blind and not unblinds
                self.close_packs()
                self._keeping.write(Kind.SNAPSHOT, self._state.snapshot())

    # --- another journal -------------------------------------------------------------------------------------------

    def credit(self, uplink: str, key: Key, ranges: Iterable[tuple[int, int]]) -> None:
        """Take over what an uplink has delivered of an epoch of another journal."""
        for first, last in ranges:
            self._done(uplink, key, first, last)

    def present(self, key: Key) -> Ranges:
        """Return which numbers of an epoch and stream are here."""
        return self._stock.present(key)

    def take_back(self, key: Key, ranges: Iterable[tuple[int, int]]) -> None:
        """Take numbers back that the ledger gave up: they can be read now, in another copy."""
        self._state.take_back(key, ranges)

    def lacks(self, pack: Pack) -> bool:
        """Return whether a pack of another journal is needed: not here, not given up, and not delivered by all."""
        return not (self._stock.has(pack) or self._stock.is_done(pack) or self._stock.is_given_up(pack))

    async def adopt(self, packs: Sequence[Pack]) -> bool:
        """Commit packs of another journal, older than ours, with a whole snapshot; returns whether that succeeded.

        Only before there is any outbox: epochs are put in front of the present one.
        """
        if not await self._committing.write(packs):
            return False
        for pack in packs:
            if pack.epoch not in self.epochs:
                self.epochs.insert(len(self.epochs) - 1, pack.epoch)
        self._stock.adopt(packs)
        return True

    # --- the card --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Commit what has not been delivered within `commit_interval`, and at once after an alarm, until cancelled.

        To look twice in that time, and write when something was there at the look before, spares the card nearly all
        writing while the uplink works: what is newest is always unacked, and hardly ever for long.
        """
        while True:
            is_urgent = await self._due.wait()
            await self.commit(patient=not is_urgent)
            await asyncio.sleep(URGENT_GAP)

    async def commit(self, *, clean: bool = False, patient: bool = False) -> None:
        """Write what is still unacked to the card as one record with one sync, then remove what is not needed there.

        `clean`: the agent stops in order, nothing will be appended after this. `patient`: write nothing while all that
        is unacked came after the last look.
        """
        async with self._card_changes:
            await self._commit(clean=clean, patient=patient)

    async def _commit(self, *, clean: bool, patient: bool) -> None:
        is_due = await self._committing.check()
        self._keeping.check()  # behind that: where both have been removed, it knows what the card has not got any more
        # A card that failed is tried again although nothing waits for it: how else would it be known to be well?
        is_due = is_due or clean or self._due.is_snapshot() or self._faults.stands(Fault.CARD)
        if is_due or (self._due.has_waited(self._opened.values()) if patient else self._uncommitted()):
            changed_at = self._due.begin()
            if not await self._committing.write(clean=clean):
                self._due.failed(changed_at)
        if self._is_to_look_again() and not clean and await self._look_again():
            await self._committing.write()
        self._began_at = self._state.next[Stream.TELEMETRY]
        self._due.looked()
        if not clean:  # which might give up more, and say so behind the last commit
            await self._tidying.tidy()

    def _note_unread(self, found: Found) -> None:
        again_at = self.clock.boottime() + int(LOOK_AGAIN_EVERY * 1e9)
        self._look_again_at = again_at if found.unreadable else None

    def _is_to_look_again(self) -> bool:
        return self._look_again_at is not None and self.clock.boottime() >= self._look_again_at

    async def _look_again(self) -> bool:
        """Take up what of the card could not be read at the start; returns whether there is any of it."""
        known = {segment.name for segment in self._card.segments if not segment.unreadable}
        try:
            found = await self._committing.call(self._card.load, known)
        except OSError as error:
            self._faults.put(Fault.CARD, str(error))
            return False
        self._note_unread(found)
        listed = {segment.name for segment in self._card.segments}
        if found.segments and all(segment.unreadable and segment.name in listed for segment in found.segments):
            return False
        self.close_packs()
        self._keep_delivered()
        if damage := opening.damage_of(found, self._state):
            self._faults.put(Fault.DAMAGED, "; ".join(damage))
        here = dict(self._stock.all_present())
        ledger = opening.take_up(found, self._state, here, self._uplinks, self.clock.boottime(), late=True)
        opening.add_epochs(self.epochs, found)
        self._card.take_up(found)
        self._stock.take_up(found)
        self._account(ledger, found)
        self._late += 1
        self._announce()
        return True

    def _uncommitted(self) -> list[Pack]:
        self.close_packs()
        return self._stock.uncommitted()

    async def close(self, within: float) -> None:
        """Commit in order and let go; a card that stalls is given up after `within` seconds."""
        try:
            await asyncio.wait_for(self.commit(clean=True), within)
        except TimeoutError:
            self._faults.put(Fault.CARD, f"no answer within {within} s at the end")
        for timer in self._timers.values():
            timer.cancel()
        self._fetching.stop()
        self._keep_delivered()
        self._young.close()
        if not self._committing.is_busy:
            self._card.close()

    # --- health ----------------------------------------------------------------------------------------------------

    @property
    def faults(self) -> Mapping[str, str]:
        """The faults that stand, by name: what the system said. Much cheaper than the whole of `status`."""
        return self._faults.messages()

    @property
    def has_stored(self) -> bool:
        """Whether the card has taken a commit since the start."""
        return self._committing.commits > 0

    def status(self) -> JournalStatus:
        """Return what health and `roadside status` show."""
        waiting = {}
        for uplink in self._uplinks:
            counts = self._stock.waiting(uplink)
            for stream, opened in self._opened.items():
                counts[stream] += opened.count
            waiting[uplink] = {stream.value: count for stream, count in counts.items()}
        return JournalStatus(
            epoch=self._state.epoch,
            next={stream.value: number for stream, number in self._state.next.items()},
            waiting=waiting,
            young_bytes=self._young.size(),
            card_bytes=self._card.size(),
            commits=self._committing.commits,
            committed_bytes=self._committing.bytes,
            unkept=self._keeping.unkept,
            faults=self._faults.messages(),
        )
