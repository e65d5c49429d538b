"""The card: segments of commits, each one record and one sync.

Only the committing task calls what writes, in a thread, one call at a time; `spans` is touched on the loop alone.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.journal.commit import Committed, decode_commit, encode_commit
from agent.journal.frames import Damage, Kind, frame, scan
from agent.journal.numbered import NumberedFiles
from agent.journal.packing import Span
from agent.journal.ranges import Ranges
from agent.journal.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Mapping

    from agent.journal.commit import Commit
    from agent.journal.pack import Pack
    from agent.journal.state import Key, State
    from agent.seams import Disk, File

SEGMENT_SIZE = 1 << 20  # bytes, at most
SMALLEST = 1 << 14  # bytes: each commit has its snapshot, and giving a segment up takes one
SEGMENTS = 8  # at least, in the room that there is: only whole ones are given up


@dataclass(slots=True)
class Segment:
    """One file of the card, as far as it is worth remembering."""

    name: str
    size: int = 0
    spans: dict[Key, Ranges] = field(default_factory=dict)  # which numbers are in it
    unreadable: bool = False  # what is in it is not known: it stays, and the next start tries again
    is_sure: bool = False  # a snapshot in it is known to be on the medium

    def note(self, spans: Iterable[Span]) -> None:
        """Remember which numbers are in it."""
        for key, first, last in spans:
            if key not in self.spans:
                self.spans[key] = Ranges()
            self.spans[key].add(first, last)


class Found(NamedTuple):
    """What was on the card at start."""

    state: State | None  # of the last commit
    before: list[State]  # the last ones of earlier epochs whose end no later one has stated, oldest first
    epochs: list[str]  # oldest first
    kept_is_old: bool  # of the kept values, newer ones are damaged
    damaged: int  # bytes
    unreadable: list[str]  # segments, each with what the system said
    segments: list[Segment]  # oldest first
    # What the last commit holds. The run that wrote it may have been killed before its sync, or told that the sync
    # failed: then it is read back from the page cache and is not on the medium, nor ever will be.
    doubtful: list[Span]

    @property
    def sees(self) -> bool:
        """Whether enough could be read to account for what was before."""
        return self.state is not None or not self.unreadable


class Card:
    """The durable part of the journal. Methods raise OSError."""

    def __init__(self, disk: Disk, room: int = SEGMENTS * SEGMENT_SIZE) -> None:
        """`room` is the smallest bound of what may be there, in bytes."""
        self._disk = disk
        self._segment_size = max(SMALLEST, min(SEGMENT_SIZE, room // SEGMENTS))
        self._files = NumberedFiles(disk, "segment")
        self._file: File | None = None
        self._number = 0
        self._is_blank = True  # nothing is in it yet
        self._kept: Mapping[str, Any] | None = None  # what the segment says of the kept values
        self._kept_number = 0  # in how many of its commits
        self._ended = False
        self._removed: set[str] = set()  # by us, perhaps for somebody who did not wait for the end of it
        self.segments: list[Segment] = []

    def load(self, but: Container[str] = ()) -> Found:
        """Read what is there, but for some segments; one that cannot be read costs none of the others."""
        committed = Committed()
        damaged = 0
        unreadable: list[str] = []
        segments: list[Segment] = []
        doubtful: list[Span] = []
        for name in map(self._files.name, self._files.numbers()):
            if name in but:
                continue
            segment = Segment(name)
            segments.append(segment)
            try:
                data = self._disk.read(segment.name)
            except OSError as error:
                unreadable.append(f"{segment.name}: {error}")
                segment.unreadable = True
                with suppress(OSError):
                    segment.size = self._disk.size(segment.name)
                continue
            segment.size = len(data)
            commits = 0
            for found in scan(data):
                if isinstance(found, Damage):
                    damaged += found.size
                    continue
                if found.kind != Kind.COMMIT:  # of a later release
                    continue
                with suppress(ValueError):  # a good checksum around nonsense: made by something else than this agent
                    doubtful = committed.take(found.payload)
                    segment.note(doubtful)
                    commits += 1
            segment.is_sure = commits > 1  # behind a sync that failed no run writes in the same segment
            committed.end_segment()
        return Found(
            committed.state,
            committed.before,
            committed.epochs,
            committed.kept_is_old,
            damaged,
            unreadable,
            segments,
            doubtful,
        )

    def take_up(self, found: Found) -> None:
        """Have the segments that were found, also in place of those that could not be read.

        What was written meanwhile comes behind them.
        """
        new = {segment.name: segment for segment in found.segments}
        known = [new.pop(segment.name, segment) for segment in self.segments]
        self.segments = [*new.values(), *known]

    def write(self, commit: Commit) -> tuple[str, int]:
        """Put one commit on the medium and return the segment's name and the bytes written.

        After any error the segment is given up: what a failed sync left in the page cache may never reach the medium
        although a second sync says so. The caller writes the same packs again, into a new segment.
        """
        try:
            if self._ended:
                self.close()
            if self._file is None:
                self._number, self._file = self._files.create_after(self._number)
                self._ended = False
                self._is_blank = True
                self._kept, self._kept_number = None, 0
                self._disk.sync_folder()
            kept_number = self._kept_number + (commit.kept != self._kept)
            data = frame(Kind.COMMIT, encode_commit(commit, self._kept, kept_number))
            self._file.append(data)
            self._is_blank = False
            self._file.sync()
        except OSError:
            self._abandon()
            raise
        self._kept, self._kept_number = commit.kept, kept_number
        return self._files.name(self._number), len(data)

    def _abandon(self) -> None:
        """Write nothing more into the segment; of one that holds nothing, leave nothing: there may be one each try."""
        if self._file is not None and self._is_blank:
            with suppress(OSError):
                self._disk.remove(self._files.name(self._number))
        self.close()

    def note(self, name: str, size: int, packs: Iterable[Pack]) -> None:
        """Remember what `write` wrote; ends the segment when it is large enough."""
        if not self.segments or self.segments[-1].name != name:
            self.segments.append(Segment(name))
        segment = self.segments[-1]
        segment.size += size
        segment.is_sure = True
        segment.note(Span((pack.epoch, pack.stream), pack.first, pack.last) for pack in packs)
        if segment.size >= self._segment_size:
            self.close()

    def read(self, name: str) -> Shelf:
        """Return every good pack of a segment."""
        return Shelf(self._blocks(name))

    def _blocks(self, name: str) -> Iterator[bytes]:
        for found in scan(self._disk.read(name)):
            if not isinstance(found, Damage) and found.kind == Kind.COMMIT:
                with suppress(ValueError):  # as above
                    yield decode_commit(found.payload).packs

    def remove(self, names: Iterable[str]) -> None:
        """Remove segments, also those that an earlier try had removed before it failed."""
        for name in names:
            self._removed.add(name)
            with suppress(FileNotFoundError):
                self._disk.remove(name)
        self._disk.sync_folder()

    def forget(self, names: Iterable[str]) -> None:
        """Forget segments that were removed."""
        gone = set(names)
        self.segments = [segment for segment in self.segments if segment.name not in gone]
        self._removed -= gone

    def vanished(self, names: Iterable[str]) -> set[str]:
        """Return which of some segments somebody else has removed."""
        return {name for name in names if name not in self._removed and self._files.is_gone(name)}

    def lose(self, segment: Segment, missing: Mapping[Key, Ranges]) -> None:
        """Note that a segment has not got numbers that it ought to have; nothing is written behind them any more."""
        for key, ranges in missing.items():
            for first, last in ranges:
                segment.spans[key].remove(first, last)
        segment.spans = {key: ranges for key, ranges in segment.spans.items() if ranges}
        segment.unreadable = not segment.spans
        self._ended = self._ended or any(one is segment for one in self.segments[-1:])

    def outdated(self) -> set[str]:
        """Return the segments that are older than one whose snapshot is known to be on the medium."""
        sure = max((at for at, segment in enumerate(self.segments) if segment.is_sure), default=0)
        return {segment.name for segment in self.segments[:sure]}

    def size(self) -> int:
        """Return how many bytes the segments hold."""
        return sum(segment.size for segment in self.segments)

    def close(self) -> None:
        """End the segment."""
        if self._file is not None:
            file, self._file = self._file, None
            file.close()
