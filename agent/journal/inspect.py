"""Looking into a journal from outside: one on a card that was carried home, or one that an agent writes at this moment.

Nothing is written, locked or made. The young end is read before the card: what an agent commits, delivers or removes
meanwhile is then in the one, on the other, or accounted for by a snapshot that is read later.
"""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.journal.commit import Committed, decode_commit, note_epochs
from agent.journal.frames import Damage, Frame, Kind, is_cut, scan
from agent.journal.numbered import NumberedFiles
from agent.journal.opening import Recovered
from agent.journal.packing import OpenPack, decode_packs
from agent.journal.ranges import Ranges
from agent.journal.state import IDENTITY, LEDGERED, State
from agent.readings import Anchor, Stream
from agent.timekeeper import Dated, date_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.journal.pack import Pack
    from agent.journal.state import Key
    from agent.seams import Disk

KINDS = frozenset(Kind)
SEGMENT, YOUNG = "segment", "young"  # what the names of the files end in
TRIES = 5  # as long as files vanish between being listed and being read
SECOND = 1_000_000_000  # nanoseconds


class UnsoundError(ValueError):
    """A pack whose body is not what its sums say."""


@dataclass(slots=True)
class SeenFile:
    """One file of a journal."""

    name: str
    size: int = 0  # bytes
    spans: dict[Key, Ranges] = field(default_factory=dict)  # which numbers are in it
    damaged: list[Damage] = field(default_factory=list)
    cut: int = 0  # bytes at the end of the newest file: written at this moment, or cut short when the power went
    unsound: list[Pack] = field(default_factory=list)
    unknown: int = 0  # records of kinds that this version does not know
    unreadable: str = ""  # what the system said
    ends_damaged: bool = False  # nothing good stands behind the damage

    @property
    def is_damaged(self) -> bool:
        """Whether anything in it could not be read."""
        return bool(self.damaged or self.unsound or self.unknown or self.unreadable)

    def note(self, pack: Pack) -> None:
        """Remember that a pack is in it."""
        self.spans.setdefault((pack.epoch, pack.stream), Ranges()).add(pack.first, pack.last)


class Run(NamedTuple):
    """Records of one stream whose numbers follow each other, as a pack of exactly these."""

    pack: Pack
    records: list[dict[str, Any]]  # as they are sent
    dated: Dated | None  # the base time; None: no anchor of that boot is known


@dataclass(slots=True)
class Inspection:
    """What a journal holds."""

    young: list[SeenFile] = field(default_factory=list)
    card: list[SeenFile] = field(default_factory=list)
    epochs: list[str] = field(default_factory=list)  # oldest first
    state: State | None = None  # None: there is no snapshot that could be read
    present: dict[Key, Ranges] = field(default_factory=lambda: defaultdict(Ranges))
    end_unread: bool = False  # the last commits of the card are damaged: up to which number there were any is not known
    _young_packs: list[Pack] = field(default_factory=list)
    _used: dict[Key, int] = field(default_factory=lambda: defaultdict(int))  # the last number that was given out
    _anchors: dict[str, dict[int, Anchor]] = field(default_factory=lambda: defaultdict(dict))  # by boot and boottime

    @property
    def gateway(self) -> str | None:
        """The gateway whose journal it is; None: nothing in it says so."""
        gateway = self.state.kept.get("gateway") if self.state is not None else None
        return gateway if isinstance(gateway, str) else None

    @property
    def identity(self) -> object:
        """What this journal and its copies alone keep, see `IDENTITY`; None: nothing in it says so."""
        return self.state.kept.get(IDENTITY) if self.state is not None else None

    def uplinks(self) -> list[str]:
        """Return the uplinks that the journal knows of."""
        return sorted(uplink for uplink in (self.state.done if self.state else ()) if uplink != LEDGERED)

    def waiting(self, uplink: str, key: Key) -> int:
        """Return how many records of an epoch and stream are here and were not delivered by an uplink."""
        here = self.present[key]
        return here.count() - here.shared(self.state.accounted_by(uplink, key)) if self.state else here.count()

    def numbered(self) -> list[Key]:
        """Return every epoch and stream that numbers are known of, in order."""
        known = {key for key in (*self.present, *self._used) if self.present[key] or self._used[key]}
        return sorted(known, key=lambda key: (self.epochs.index(key[0]), list(Stream).index(key[1])))

    def last(self, key: Key) -> int:
        """Return the last number that was given out in an epoch and stream, as far as is known."""
        return max(self._used[key], *(last for _, last in self.present[key]), 0)

    def missing(self, key: Key) -> Ranges:
        """Return the numbers that are not here, that no uplink has delivered and no ledger has given up."""
        known = Ranges(self.present[key])
        for by_key in self.state.done.values() if self.state else ():
            known.update(by_key.get(key, ()))
        return Ranges(known.gaps(1, self.last(key)))

    def given_up(self, key: Key) -> Ranges:
        """Return the numbers that are not here because the ledger has given them up."""
        given_up = Ranges(self.state.done.get(LEDGERED, {}).get(key, ()) if self.state else ())
        for first, last in self.present[key]:
            given_up.remove(first, last)
        return given_up

    def is_whole(self) -> bool:
        """Return whether nothing is damaged or missing."""
        return not any(file.is_damaged for file in (*self.young, *self.card)) and not any(
            self.missing(key) for key in self.numbered()
        )

    def runs(self, card: Disk | None, since: int | None = None) -> Iterator[Run]:
        """Yield all records that are on the card and in the young end, each once.

        `since` (UTC in nanoseconds) leaves out what is known to be older. A segment that vanishes meanwhile has been
        delivered, or moved into one that is read later.
        """
        given: dict[Key, Ranges] = defaultdict(Ranges)
        for pack in self.packs(card):
            try:
                records = records_of(pack)
            except UnsoundError:
                continue  # `look` has noted it
            anchors = self._anchors.get(pack.boot, {})
            dated = date_by([anchors[at] for at in sorted(anchors)], pack.base)
            wanted = Ranges()
            for number, record in enumerate(records, pack.first):
                is_old = since is not None and dated is not None and time_of(record, dated) < since
                if not is_old and not given[pack.epoch, pack.stream].covers(number, number):
                    wanted.add(number, number)
            given[pack.epoch, pack.stream].add(pack.first, pack.last)
            for first, last in wanted:
                yield _run(pack, records, dated, first, last)

    def take(self, young: Disk | None, card: Disk | None, *, thorough: bool) -> None:
        """Read everything once; raises FileNotFoundError when a file goes before it is read."""
        recovered = Recovered()
        files: dict[int, SeenFile] = {}
        for number, file, frames in _files(young, YOUNG):
            files[number] = file
            self.young.append(file)
            for one in frames:
                recovered.take(number, one)
        newest = recovered.finish()
        committed = Committed()
        for _number, file, frames in _files(card, SEGMENT):
            self.card.append(file)
            for one in frames:
                with suppress(ValueError):  # a good checksum around nonsense: made by something else than the agent
                    committed.take(one.payload)
                for pack in _packs_of(one):
                    self._note(file, pack, thorough=thorough)
            committed.end_segment()
            self.end_unread = file.ends_damaged
        self.epochs = committed.epochs
        for pack, number in recovered.packs():
            note_epochs(self.epochs, pack.epoch, [])
            self._note(files[number], pack, thorough=thorough)
            self._young_packs.append(pack)
        for state in (newest, committed.state):
            if state is not None:
                note_epochs(self.epochs, state.epoch, [])
                self._know(state)

    def packs(self, card: Disk | None) -> Iterator[Pack]:
        """Yield every pack in the order of the files, some perhaps twice, the young end last."""
        read = 0
        while card is not None and (numbers := [one for one in NumberedFiles(card, SEGMENT).numbers() if one > read]):
            for read in numbers:
                try:
                    data = card.read(NumberedFiles(card, SEGMENT).name(read))
                except OSError:
                    continue  # gone meanwhile; or unreadable, which `look` has noted
                for found in scan(data):
                    if isinstance(found, Frame) and found.kind == Kind.COMMIT:
                        yield from _packs_of(found)
        yield from self._young_packs

    def _note(self, file: SeenFile, pack: Pack, *, thorough: bool) -> None:
        """Take note of a pack; of all streams, only anchors have to be read for that."""
        try:
            records = records_of(pack) if thorough or pack.stream is Stream.ANCHOR else []
            if pack.stream is Stream.ANCHOR:
                self._recall(_anchor(record) for record in records)
        except UnsoundError:
            file.unsound.append(pack)
            return
        file.note(pack)
        self.present[pack.epoch, pack.stream].add(pack.first, pack.last)

    def _recall(self, anchors: Iterable[Anchor]) -> None:
        for anchor in anchors:
            self._anchors[anchor.boot].setdefault(anchor.at, anchor)

    def _know(self, state: State) -> None:
        """Take note of a state; of several, the first is the newest."""
        for stream, number in state.next.items():
            self._used[state.epoch, stream] = max(self._used[state.epoch, stream], number - 1)
        self._recall(Anchor(*fields) for fields in state.kept.get("anchors") or [])
        if self.state is None:
            self.state = state
        else:
            self.state.take_over(state)


def look(young: Disk | None, card: Disk | None, *, thorough: bool = False) -> Inspection:
    """Return what is in the folders that there are; `thorough` holds every single pack against its sums.

    Raises OSError if a folder cannot be read; a file that cannot be read is noted.
    """
    for left in reversed(range(TRIES)):
        found = Inspection()
        try:
            found.take(young, card, thorough=thorough)
        except FileNotFoundError:
            if not left:
                raise
            continue  # an agent has removed a file: what was in it lies elsewhere now
        break
    return found


def records_of(pack: Pack) -> list[dict[str, Any]]:
    """Return the records of a pack as they are sent; raises UnsoundError."""
    try:
        records: list[dict[str, Any]] = json.loads(b"[" + body_of(pack))
    except (ValueError, RecursionError) as error:
        raise UnsoundError(str(error)) from error
    if len(records) != pack.last - pack.first + 1:
        raise UnsoundError("not as many records as its numbers say")
    return records


def body_of(pack: Pack) -> bytes:
    """Return the body of a pack inflated, closing bracket included; raises UnsoundError."""
    try:
        body = zlib.decompress(pack.body, -zlib.MAX_WBITS)
    except zlib.error as error:
        raise UnsoundError(str(error)) from error
    if (len(body), zlib.adler32(body)) != (pack.size, pack.adler):
        raise UnsoundError("not what its sums say")
    return body


def time_of(record: dict[str, Any], dated: Dated) -> int:
    """Return the UTC of a record in nanoseconds, given that of its base."""
    time: float = record["t"]
    return dated.utc + round(time * SECOND)


def _files(disk: Disk | None, suffix: str) -> Iterator[tuple[int, SeenFile, list[Frame]]]:
    """Yield the number, the file and the good frames of each file; raises FileNotFoundError if one has vanished."""
    if disk is None:
        return
    files = NumberedFiles(disk, suffix)
    numbers = files.numbers()
    for number in numbers:
        file = SeenFile(files.name(number))
        frames: list[Frame] = []
        try:
            data = disk.read(file.name)
        except FileNotFoundError:
            raise
        except OSError as error:
            file.unreadable = str(error)
            file.ends_damaged = True
            data = b""
        file.size = len(data)
        for found in scan(data):
            if isinstance(found, Frame):
                frames.append(found)
                file.unknown += found.kind not in KINDS
                file.ends_damaged = False
            elif number == numbers[-1] and is_cut(data, found):
                file.cut = found.size
            else:
                file.damaged.append(found)
                file.ends_damaged = True
        yield number, file, frames


def _packs_of(commit: Frame) -> list[Pack]:
    try:
        return decode_packs(decode_commit(commit.payload).packs)
    except ValueError:
        return []


def _anchor(record: dict[str, Any]) -> Anchor:
    try:
        at, utc = round(record["at"] * SECOND), round(record["utc"] * SECOND)
        return Anchor(record["boot"], at, utc, record["uncertainty"], record["source"])
    except (KeyError, TypeError) as error:
        raise UnsoundError(f"not an anchor: {error!r}") from error


def _run(pack: Pack, records: list[dict[str, Any]], dated: Dated | None, first: int, last: int) -> Run:
    if (first, last) == (pack.first, pack.last):
        return Run(pack, records, dated)
    some = records[first - pack.first : last - pack.first + 1]
    part = OpenPack(pack.stream, pack.base, first)
    part.add(",".join(json.dumps(one, ensure_ascii=False, separators=(",", ":")) for one in some).encode(), len(some))
    return Run(part.close(pack.epoch, pack.boot), some, dated)
