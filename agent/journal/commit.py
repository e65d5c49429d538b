"""Commits: what the card gets, each one record with one sync, and what all that are there say together.

A commit holds its packs, a whole snapshot of every uplink's progress, and of the kept values those that changed since
the commit before it. The first commit of each segment holds them all.
"""

from __future__ import annotations

from contextlib import suppress
from struct import Struct, error
from typing import TYPE_CHECKING, Any, NamedTuple

from agent.journal.packing import decode_spans
from agent.journal.state import decode, encode, restore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.journal.packing import Span
    from agent.journal.state import State

_HEADER = Struct("<8sIII")  # epoch, number of the kept values, length of the progress, length of the kept values


class Commit(NamedTuple):
    """What the journal wants on the card."""

    epoch: str  # the one whose numbers are being used
    progress: bytes  # `State.progress`
    kept: Mapping[str, Any]  # all values, and none of them changes any more
    packs: bytes  # `packing.encode_packs`


class Stored(NamedTuple):
    """One commit as it lies on the card."""

    epoch: str
    kept_number: int  # how many commits of the segment hold kept values, this one included: shows that one is missing
    progress: bytes
    kept: bytes  # the values that changed, null for one that is forgotten; empty if none did
    packs: bytes


def encode_commit(commit: Commit, kept_before: Mapping[str, Any] | None, kept_number: int) -> bytes:
    """Return the payload of a COMMIT frame; `kept_before` is what its segment says so far, None at the beginning."""
    kept = b""
    if commit.kept != kept_before:
        before = kept_before or {}
        changed = [key for key in {**before, **commit.kept} if commit.kept.get(key) != before.get(key)]
        kept = encode({key: commit.kept.get(key) for key in changed})
    header = _HEADER.pack(bytes.fromhex(commit.epoch), kept_number, len(commit.progress), len(kept))
    return b"".join([header, commit.progress, kept, commit.packs])


def decode_commit(payload: bytes) -> Stored:
    """Return what `encode_commit` made; raises ValueError if this is none."""
    try:
        epoch, kept_number, progress_size, kept_size = _HEADER.unpack_from(payload)
    except error as cut:
        raise ValueError("not a commit") from cut
    kept_at = _HEADER.size + progress_size
    packs_at = kept_at + kept_size
    parts = payload[_HEADER.size : kept_at], payload[kept_at:packs_at], payload[packs_at:]
    return Stored(epoch.hex(), kept_number, *parts)


class Committed:
    """What the commits of a card say together, taken segment by segment from the oldest on.

    Of each segment, the last progress that can be read is: a start costs no more for the commits before it.
    """

    def __init__(self) -> None:
        self.state: State | None = None  # after the last commit whose progress can be read
        self.before: list[State] = []  # the last ones of earlier epochs whose end no later one has stated, oldest first
        self.epochs: list[str] = []  # oldest first
        self.kept_is_old = False  # newer values than those of `state` stood in a record that is damaged
        self._kept: dict[str, Any] = {}
        self._kept_number = 0
        self._progress: list[bytes] = []  # of this segment

    def take(self, payload: bytes) -> list[Span]:
        """Take the next commit; returns the numbers that are in it; raises ValueError if it makes no sense."""
        commit = decode_commit(payload)
        spans = decode_spans(commit.packs)
        values = decode(commit.kept) if commit.kept else {}
        note_epochs(self.epochs, commit.epoch, (span.key[0] for span in spans))
        self._progress.append(commit.progress)
        if commit.kept_number == 1 and commit.kept:  # all of them
            self._kept = {}
            self.kept_is_old = False
        elif commit.kept_number > self._kept_number + bool(commit.kept):
            self.kept_is_old = True
        self._kept_number = commit.kept_number
        if values:  # each is newer than what there is of its key, whatever was damaged in between
            self._kept = {key: value for key, value in (self._kept | values).items() if value is not None}
        return spans

    def end_segment(self) -> None:
        """Note that what comes next is of another segment: each is written by one run of the agent, in one epoch."""
        for progress in reversed(self._progress):
            with suppress(ValueError):  # a good checksum around nonsense: made by something else than this agent
                self._note(restore(progress))
                break
        self._progress.clear()
        self._kept_number = 0

    def _note(self, state: State) -> None:
        state.kept = dict(self._kept)
        if not state.blind:
            self.before.clear()
        elif self.state is not None and self.state.epoch != state.epoch:
            self.before.append(self.state)
        self.state = state


def note_epochs(epochs: list[str], current: str, others: Iterable[str]) -> None:
    """Put the epochs of one commit where they belong: an alarm that was moved here from an older one goes before it."""
    if current not in epochs:
        epochs.append(current)
    at = epochs.index(current)
    for epoch in others:
        if epoch not in epochs:
            epochs.insert(at, epoch)
            at += 1
