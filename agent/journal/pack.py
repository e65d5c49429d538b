"""Packs: runs of numbered records of one stream, stored as they are sent, and the way an uplink takes them out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.readings import Stream


class Lane(StrEnum):
    """One ordered way through the journal, and at the same time a topic. Most urgent first."""

    ALARMS = "alarms"
    ANCHORS = "anchors"
    LEDGER = "ledger"
    LIVE = "live"  # telemetry that came after the uplink was there to take it
    HISTORY = "history"  # telemetry that had to wait


@dataclass(slots=True, frozen=True)
class Pack:
    """Records `first` to `last` of one stream; immutable, the same bytes on the card and on the wire."""

    stream: Stream
    epoch: str  # 16 hexadecimal digits; numbers are gap-free within an epoch
    boot: str  # the boot that `base` belongs to
    base: int  # boottime in nanoseconds; times in the body are seconds relative to it
    first: int
    last: int
    body: bytes  # the records as JSON objects joined by commas, as raw deflate ending in a final block
    size: int  # bytes of the body when inflated
    adler: int  # Adler-32 of the inflated body
    numbers: tuple[tuple[int, int], ...] | None = None  # first and last of each run in the body; None: it has all


class Place(NamedTuple):
    """A place in one stream, over all epochs."""

    epoch: int  # index into the journal's epochs, oldest first
    number: int


class Outbox(Protocol):
    """One uplink's way through the journal."""

    def next(self, lane: Lane) -> Pack | None:
        """Take the next pack of a lane that is neither done nor taken; None when nothing waits."""
        ...

    def done(self, pack: Pack) -> None:
        """The broker has it: never return it again, also not after a restart.

        A crash before this turn of the loop is over may undo it: then the pack is sent twice.
        """
        ...

    def rewind(self) -> None:
        """The connection is gone: return again, in order, what was taken and not done; live becomes history."""
        ...

    def demote(self, pack: Pack) -> None:
        """Give back a live pack that has waited too long to be called live: it becomes the newest of history."""
        ...

    def age(self, pack: Pack) -> float:
        """Return how many seconds ago the oldest record of a pack of this boot was made; infinity for other boots."""
        ...

    def on_new(self, callback: Callable[[], None]) -> None:
        """Have `callback` called on the loop whenever something new waits."""
        ...
