"""Opening a journal: what an earlier run left in the young end and on the card, and what a power cut took."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.journal.card import Card, Found
from agent.journal.frames import Frame, Kind
from agent.journal.packing import OpenPack, decode_append, decode_close, decode_packs, encode_packs
from agent.journal.ranges import Ranges
from agent.journal.state import LEDGERED, State, restore
from agent.journal.status import Fault
from agent.journal.young import Young
from agent.readings import LedgerEntry, Stream

if TYPE_CHECKING:
    from agent.journal.pack import Pack
    from agent.journal.state import Key
    from agent.seams import Clock, Disk, Random


@dataclass(slots=True)
class StartUp:
    """What `open_both` found."""

    young: Young
    card: Card
    state: State
    epochs: list[str]  # oldest first, the present one last
    packs: list[tuple[Pack, int]]  # of the young end, in order, each with the number of its file
    ledger: list[LedgerEntry] = field(default_factory=list)
    faults: dict[Fault, str] = field(default_factory=dict)


def open_both(young_disk: Disk, card_disk: Disk, clock: Clock, random: Random, young_limit: int) -> StartUp:
    """Take up what is there; never fails: what cannot be read is a fault, and the journal starts without it."""
    young, card = Young(young_disk, young_limit), Card(card_disk)
    faults: dict[Fault, str] = {}
    found = _load(card, faults)
    recovered = _recover(young, faults)
    state = recovered.finish()
    ledger: list[LedgerEntry] = []
    if state is None:
        state = State(epoch=f"{random.bits(64):016x}", boot=clock.boot)
        if found.state is not None:
            state.kept = found.state.kept
            ledger += _lost(found.state, clock.boottime())
    if found.state is not None:
        state.deliver_all(found.state)
    state.boot = clock.boot
    if found.state is None or found.state.clean or found.state.epoch != state.epoch:
        _announce_epoch(card, state, faults)
    if found.damaged or young.damaged:
        faults[Fault.DAMAGED] = f"{found.damaged} bytes of the card, {young.damaged} bytes of the young end"
    epochs = [epoch for epoch in found.epochs if epoch != state.epoch] + [state.epoch]
    ledger += _missing(card, recovered.packs, state, clock.boottime())
    return StartUp(young, card, state, epochs, recovered.packs, ledger, faults)


def _load(card: Card, faults: dict[Fault, str]) -> Found:
    try:
        return card.load()
    except OSError as error:
        faults[Fault.CARD] = str(error)
        return Found(None, [], 0)


def _recover(young: Young, faults: dict[Fault, str]) -> _Recovered:
    recovered = _Recovered()
    try:
        for number, one in young.recover():
            recovered.take(number, one)
    except OSError as error:
        faults[Fault.YOUNG] = str(error)
    return recovered


class _Recovered:
    """Plays the frames of the young end back."""

    def __init__(self) -> None:
        self.packs: list[tuple[Pack, int]] = []
        self._state: State | None = None
        self._open: dict[Stream, OpenPack] = {}
        self._number = 0

    def take(self, number: int, one: Frame) -> None:
        self._number = number
        try:
            if one.kind == Kind.SNAPSHOT:
                self.finish()
                self._state = restore(one.payload)
            elif self._state is not None:
                self._apply(self._state, one)
        except (ValueError, LookupError, TypeError):
            return  # a good checksum around nonsense: not of this agent's making

    def _apply(self, state: State, one: Frame) -> None:
        if one.kind == Kind.APPEND:
            stream, count, first, base, records = decode_append(one.payload)
            if stream not in self._open:
                self._open[stream] = OpenPack(stream, base, first)
            self._open[stream].add(records, count)
            state.next[stream] = first + count
        elif one.kind == Kind.CLOSE:
            self._close(state, decode_close(one.payload))
        elif one.kind == Kind.DONE:
            uplink, epoch, stream_name, first, last = json.loads(one.payload)
            state.done_by(uplink, (epoch, Stream(stream_name))).add(first, last)
        elif one.kind == Kind.KEEP:
            key, value = json.loads(one.payload)
            if value is None:
                state.kept.pop(key, None)
            else:
                state.kept[key] = value
        elif one.kind == Kind.PACKS:
            self.packs += [(pack, self._number) for pack in decode_packs(one.payload)]

    def _close(self, state: State, stream: Stream) -> None:
        pack = self._open.pop(stream)
        self.packs.append((pack.close(state.epoch, state.boot), self._number))

    def finish(self) -> State | None:
        if self._state is not None:
            for stream in list(self._open):
                self._close(self._state, stream)
        self.packs.sort(key=lambda one: one[0].first)
        return self._state


def encode_keep(key: str, value: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Return the payload of a KEEP frame."""
    return json.dumps([key, value], ensure_ascii=False, separators=(",", ":")).encode()


def encode_done(uplink: str, pack: Pack) -> bytes:
    """Return the payload of a DONE frame."""
    return json.dumps([uplink, pack.epoch, pack.stream.value, pack.first, pack.last]).encode()


def _announce_epoch(card: Card, state: State, faults: dict[Fault, str]) -> None:
    """Put the epoch on the card before its first number is used, so that a later start can say what was cut."""
    try:
        name, size = card.write(encode_packs(state.snapshot(), []))
    except OSError as error:
        faults[Fault.CARD] = str(error)
    else:
        card.note(name, size, [])


def _lost(before: State, now: int) -> list[LedgerEntry]:
    """Say what a power cut may have taken: from the last durable numbers on, unless the agent had stopped in order."""
    if before.clean:
        return []
    return [
        LedgerEntry(now, "lost", "power_cut", 0, stream=stream.value, epoch=before.epoch, first=number)
        for stream, number in before.next.items()
    ]


def _missing(card: Card, packs: list[tuple[Pack, int]], state: State, now: int) -> list[LedgerEntry]:
    """Name, once, the numbers that ought to be here and are not: records that were damaged."""
    present: dict[Key, Ranges] = {}
    for segment in card.segments:
        for key, ranges in segment.spans.items():
            present.setdefault(key, Ranges()).update(ranges)
    for pack, _ in packs:
        present.setdefault((pack.epoch, pack.stream), Ranges()).add(pack.first, pack.last)
    entries = []
    for key, ranges in present.items():
        known = state.accounted(key, ranges)
        first, last = min(one for one, _ in known), max(other for _, other in known)
        if key[0] == state.epoch:
            first, last = 1, state.next[key[1]] - 1
        for one, other in list(known.gaps(first, last)):
            state.done_by(LEDGERED, key).add(one, other)
            entries.append(
                LedgerEntry(now, "damaged", "card", other - one + 1, "", "", 0, 0, key[1].value, key[0], one, other)
            )
    return entries
