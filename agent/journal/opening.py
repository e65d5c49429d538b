"""Opening a journal: what an earlier run left in the young end and on the card, and what a power cut took."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agent.journal.card import Card
from agent.journal.frames import Frame, Kind
from agent.journal.packing import OpenPack, decode_append, decode_packs
from agent.journal.ranges import Ranges
from agent.journal.state import LEDGERED, State, restore
from agent.journal.status import Fault
from agent.journal.young import Young
from agent.readings import LedgerEntry, Stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from agent.journal.card import Found
    from agent.journal.pack import Pack
    from agent.journal.packing import Appended
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
    unused: dict[Stream, int] = field(default_factory=dict)  # where `state.next` is not known: a number never used yet
    found: Found | None = None  # None: the card could not be read

    @property
    def known_to_card(self) -> bool:
        """Whether the card says that this epoch is being used."""
        known = self.found.state if self.found is not None else None
        return known is not None and known.epoch == self.state.epoch and not known.clean


def open_both(
    young_disk: Disk,
    card_disk: Disk,
    clock: Clock,
    random: Random,
    uplinks: Sequence[str],
    young_limit: int,
    room: int,
) -> StartUp:
    """Take up what is there; never fails: what cannot be read is a fault, and the journal starts without it."""
    young, card = Young(young_disk, young_limit), Card(card_disk, room)
    faults: dict[Fault, str] = {}
    found = _load(card, faults)
    recovered = _recover(young, faults)
    state = recovered.finish()
    is_torn = state is not None and not young.was_whole
    if state is None:
        state = State(epoch=f"{random.bits(64):016x}", boot=clock.boot, blind=True)
    packs = recovered.packs()
    _tell_damage(faults, found, young, state)
    state.boot = clock.boot
    start_up = StartUp(young, card, state, [state.epoch], packs, faults=faults, found=found)
    if found is not None:
        present: dict[Key, Ranges] = {}
        for pack, _ in packs:
            present.setdefault((pack.epoch, pack.stream), Ranges()).add(pack.first, pack.last)
        start_up.ledger += take_up(found, state, present, uplinks, clock.boottime())
        add_epochs(start_up.epochs, found)
        card.take_up(found)
    if is_torn:
        start_up.unused = _unused(state, clock.boottime())
        start_up.ledger += _skipped(state, start_up.unused, clock.boottime())
    return start_up


def take_up(
    found: Found, state: State, here: Mapping[Key, Ranges], uplinks: Sequence[str], now: int, *, late: bool = False
) -> list[LedgerEntry]:
    """Add to a state what was found on the card; returns what the ledger has to say of it.

    `here`: the numbers that are there besides. `late`: it could not be read at the start, other segments perhaps could.
    """
    ended = [*found.before, found.state] if found.state is not None else []
    before = {uplink for one in ended for uplink in one.done}
    known = before | state.done.keys()
    ledger: list[LedgerEntry] = []
    kept: dict[str, Any] = {}
    for one in ended:
        if state.blind and one.epoch != state.epoch:
            kept |= one.kept
            ledger += lost(one, now)
        if one.epoch == state.epoch and one.keeps > state.keeps and not (late or found.kept_is_old):
            state.kept, state.keeps = one.kept, one.keeps  # the young end had refused what the card took
        state.take_over(one)
    state.kept = {key: value for key, value in (kept | state.kept).items() if value is not None}
    present = {key: Ranges(ranges) for key, ranges in here.items()}
    for segment in found.segments:
        for key, ranges in segment.spans.items():
            state.take_back(key, ranges)  # of a segment that could not be read then, and can be now
            present.setdefault(key, Ranges()).update(ranges)
    ledger += _missing(present, state, ended, uplinks, (before if state.blind or late else known, known), now)
    if not (found.unreadable or late):
        # The card's own epoch stays until the card knows this one: a start that reads it again says no loss twice.
        state.forget_all_but({key for key, ranges in present.items() if ranges}, {one.epoch for one in [state, *ended]})
    return ledger


def add_epochs(epochs: list[str], found: Found) -> None:
    """Put the epochs of the card in front of those that are known."""
    epochs[:0] = [epoch for epoch in found.epochs if epoch not in epochs]


def _load(card: Card, faults: dict[Fault, str]) -> Found | None:
    try:
        return card.load()
    except OSError as error:
        faults[Fault.CARD] = str(error)
        return None


def damage_of(found: Found, state: State) -> list[str]:
    """Say what of the card could not be read."""
    damage = list(found.unreadable)
    if found.damaged:
        damage.append(f"{found.damaged} bytes of the card")
    if found.kept_is_old and state.blind:
        damage.append("of the kept values, older ones had to be taken: newer ones cannot be read")
    return damage


def _tell_damage(faults: dict[Fault, str], found: Found | None, young: Young, state: State) -> None:
    damage = [*(damage_of(found, state) if found is not None else []), *young.unreadable]
    if young.damaged:
        damage.append(f"{young.damaged} bytes of the young end")
    if damage:
        faults[Fault.DAMAGED] = "; ".join(damage)


def _recover(young: Young, faults: dict[Fault, str]) -> Recovered:
    recovered = Recovered()
    try:
        for number, one in young.recover():
            recovered.take(number, one)
    except OSError as error:
        faults[Fault.YOUNG] = str(error)
    return recovered


class Recovered:
    """Plays the frames of the young end back."""

    def __init__(self) -> None:
        self._packs: dict[tuple[Stream, int], tuple[Pack, int]] = {}
        self._state: State | None = None
        self._appended: dict[Stream, list[Appended]] = {stream: [] for stream in Stream}  # and in no pack yet
        self._number = 0

    def take(self, number: int, one: Frame) -> None:
        """Play one frame of the file with a number."""
        if number != self._number:
            self.finish()  # no pack grows on in another file
            self._number = number
        try:
            if one.kind == Kind.SNAPSHOT:
                self._state = restore(one.payload)
            elif self._state is not None:
                self._apply(self._state, one)
        except (ValueError, LookupError, TypeError):
            return  # a good checksum around nonsense: not of this agent's making

    def _apply(self, state: State, one: Frame) -> None:
        if one.kind == Kind.APPEND:
            appended = decode_append(one.payload)
            self._appended[appended.stream].append(appended)
            state.next[appended.stream] = appended.last + 1
        elif one.kind == Kind.PACKS:
            for pack in decode_packs(one.payload):
                self._take(state, pack)
        elif one.kind == Kind.DONE:
            for uplink, epoch, stream, first, last in json.loads(one.payload):
                state.done_by(uplink, (epoch, Stream(stream))).add(first, last)
        elif one.kind == Kind.KEEP:
            key, value = json.loads(one.payload)
            state.keep(key, value)

    def _take(self, state: State, pack: Pack) -> None:
        """Take a pack as it was closed, in place of what it was made of."""
        self._put(pack)
        appended = self._appended[pack.stream]
        self._appended[pack.stream] = [one for one in appended if not pack.first <= one.first <= pack.last]
        state.next[pack.stream] = max(state.next[pack.stream], pack.last + 1)

    def _put(self, pack: Pack) -> None:
        self._packs[pack.stream, pack.first] = (pack, self._number)  # one that was written again lies in the later file

    def finish(self) -> State | None:
        """Make packs of what was still growing; return the state, or None if there was no snapshot."""
        if self._state is not None:
            for appended in self._appended.values():
                for pack in _closed(appended):
                    self._put(pack.close(self._state.epoch, self._state.boot))
                appended.clear()
        return self._state

    def packs(self) -> list[tuple[Pack, int]]:
        """Return the packs in order, each with the number of the file it lies in."""
        packs: list[tuple[Pack, int]] = []
        ends = dict.fromkeys(Stream, 0)
        for pack, number in sorted(self._packs.values(), key=lambda one: one[0].first):
            if pack.last > ends[pack.stream]:  # else it is a piece of one that is here whole
                packs.append((pack, number))
                ends[pack.stream] = pack.last
        return packs


def _closed(appended: Iterable[Appended]) -> list[OpenPack]:
    """Return packs of what was appended: more than one where what stood between is damaged."""
    packs: list[OpenPack] = []
    for one in appended:
        # Neither numbers nor times must slip.
        if not packs or (packs[-1].base, packs[-1].first + packs[-1].count) != (one.base, one.first):
            packs.append(OpenPack(one.stream, one.base, one.first))
        packs[-1].add(one.records, one.last - one.first + 1)
    return packs


def encode_keep(key: str, value: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Return the payload of a KEEP frame."""
    return json.dumps([key, value], ensure_ascii=False, separators=(",", ":")).encode()


def encode_done(done: Mapping[tuple[str, Key], Ranges]) -> bytes:
    """Return the payload of a DONE frame: by uplink, epoch and stream, the numbers that were delivered."""
    rows = [
        [uplink, epoch, stream.value, first, last]
        for (uplink, (epoch, stream)), ranges in done.items()
        for first, last in ranges
    ]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()


def lost(before: State, now: int) -> list[LedgerEntry]:
    """Say from which numbers on nothing of an epoch can come: what stood behind them is gone with the young end.

    Also where the agent had stopped in order: it may have run again while the card took nothing, not even that.
    """
    why = "restart" if before.clean else "power_cut"
    return [
        LedgerEntry(now, "lost", why, 0, stream=stream.value, epoch=before.epoch, first=number)
        for stream, number in before.next.items()
    ]


def _unused(state: State, now: int) -> dict[Stream, int]:
    """Return numbers that were never used, although how many were is not known: the young end had refused some.

    The epoch is not older than the boot, and nobody appends a million records a second: whatever was numbered so far,
    by whichever run, has a number below the microseconds since the boot.
    """
    return {stream: max(number, now // 1000) for stream, number in state.next.items()}


def _skipped(state: State, unused: Mapping[Stream, int], now: int) -> list[LedgerEntry]:
    """Say of numbers that a crash may have taken that they will not come."""
    return [
        LedgerEntry(
            now,
            "skipped",
            "crash",
            0,
            stream=stream.value,
            epoch=state.epoch,
            first=state.next[stream],
            last=number - 1,
        )
        for stream, number in unused.items()
        if number > state.next[stream]
    ]


def _missing(
    present: Mapping[Key, Ranges],
    state: State,
    ended: Sequence[State],
    uplinks: Sequence[str],
    known: tuple[AbstractSet[str], AbstractSet[str]],
    now: int,
) -> list[LedgerEntry]:
    """Name, once, the numbers that ought to be here for some uplink and are not: records that were damaged.

    An uplink that is new has no claim to what had been delivered before it came. `known`: the uplinks that are not new
    to earlier epochs, and to this one.
    """
    used = {(one.epoch, stream): one.next[stream] - 1 for one in [*ended, state] for stream in Stream}
    for uplink in uplinks:
        state.done.setdefault(uplink, {})
    entries = []
    for key in {**present, **used}:
        here = present.get(key, Ranges())
        last = max(used.get(key, 0), *(other for _, other in here), 0)
        missing = Ranges()
        for uplink in uplinks or [LEDGERED]:
            if uplinks and uplink not in known[key[0] == state.epoch]:
                state.done_by(uplink, key).update(here.gaps(1, last))
            else:
                missing.update(Ranges([*here, *state.accounted_by(uplink, key)]).gaps(1, last))
        entries += [
            LedgerEntry(now, "damaged", "card", other - one + 1, "", "", 0, 0, key[1].value, key[0], one, other)
            for one, other in missing
        ]
    return entries
