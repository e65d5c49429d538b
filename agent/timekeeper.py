"""Turns instants (boot id and boottime) into UTC by anchors, and says how far off the result may be.

A Pi has no battery clock: its wall clock is wrong until the network sets it, and then it steps. The boottime never
does. An anchor ties the two together at a moment when the wall clock is known to be right.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

from agent.readings import Anchor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.seams import Clock, Sync

SECOND = 1_000_000_000  # nanoseconds
STEP = SECOND // 20  # the offset between UTC and boottime has moved by more than this: the wall clock was set
EVERY = 600 * SECOND  # an anchor at least so often: DRIFT over half of it is 30 ms
DRIFT = 100e-6  # how fast or slow the crystal of a Pi may be at any temperature of a roadside cabinet
KEPT = 64  # anchors; each commit to the card carries them


class Dated(NamedTuple):
    """The UTC of an instant."""

    utc: int  # nanoseconds since 1970
    uncertainty: float  # seconds, to either side


class ClockState(NamedTuple):
    """What is known of the time of day."""

    sync: Sync | None  # None: the wall clock is not known to be right
    anchor: Anchor | None  # the last one of this boot
    uncertainty: float | None  # seconds, of a reading made now; None: it cannot be dated yet


class Timekeeper:
    """Makes anchors while the wall clock is right, keeps them, and dates by them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._sync: Sync | None = None
        self._anchors: dict[str, list[Anchor]] = {}  # by boot, ordered by boottime

    def look(self) -> Anchor | None:
        """Look at the clock; return a new anchor when one is due. To be called every few seconds."""
        self._sync = self._clock.synchronised()
        if self._sync is None:
            return None
        before, utc, after = self._clock.boottime(), self._clock.utc(), self._clock.boottime()
        at = (before + after) // 2
        last = self._last()
        if last is not None and at - last.at < EVERY and abs((utc - at) - (last.utc - last.at)) <= STEP:
            return None
        # The wall clock was read somewhere between two looks at the boottime.
        uncertainty = self._sync.uncertainty + (after - before) / 2 / SECOND
        anchor = Anchor(self._clock.boot, at, utc, uncertainty, self._sync.source)
        self.recall([anchor])
        return anchor

    def date(self, boot: str, at: int) -> Dated | None:
        """Return the UTC of an instant by the nearest anchor of its boot, or None if that boot has none."""
        return date_by(self._anchors.get(boot, ()), at)

    def state(self) -> ClockState:
        """Return what is known of the time of day."""
        now = self.date(self._clock.boot, self._clock.boottime())
        return ClockState(self._sync, self._last(), now.uncertainty if now is not None else None)

    def recall(self, anchors: Iterable[Anchor]) -> None:
        """Take up anchors of earlier runs and boots."""
        for anchor in anchors:
            kept = self._anchors.setdefault(anchor.boot, [])
            place = bisect_left(kept, anchor.at, key=_at)
            if place == len(kept) or kept[place].at != anchor.at:
                kept.insert(place, anchor)
        self._thin_out()

    def memory(self) -> list[Anchor]:
        """Return the anchors worth keeping for the next run."""
        return [anchor for anchors in self._anchors.values() for anchor in anchors]

    def _last(self) -> Anchor | None:
        anchors = self._anchors.get(self._clock.boot)
        return anchors[-1] if anchors else None

    def _thin_out(self) -> None:
        """Forget anchors, never the first and the last of a boot, where that adds least to an uncertainty for its age.

        So what was read lately is dated best, and a year takes no more room than a week. Whole boots go when nothing
        else can, oldest first.
        """
        while sum(len(anchors) for anchors in self._anchors.values()) > KEPT:
            newest = max(anchors[-1].utc for anchors in self._anchors.values())
            inner = (
                ((anchors[i + 1].at - anchors[i - 1].at) / max(newest - anchors[i].utc, SECOND), anchors, i)
                for anchors in self._anchors.values()
                for i in range(1, len(anchors) - 1)
            )
            least = min(inner, key=lambda choice: choice[0], default=None)
            if least is not None:
                _, anchors, i = least
                del anchors[i]
            else:
                past = self._anchors.keys() - {self._clock.boot}
                del self._anchors[min(past, key=lambda boot: self._anchors[boot][-1].utc)]


def date_by(anchors: Sequence[Anchor], at: int) -> Dated | None:
    """Return the UTC of a boottime by the nearest of its boot's anchors, ordered by boottime; None if there is none."""
    if not anchors:
        return None
    after = bisect_left(anchors, at, key=_at)
    anchor = min(anchors[max(after - 1, 0) : after + 1], key=lambda anchor: abs(at - anchor.at))
    distance = at - anchor.at
    return Dated(anchor.utc + distance, anchor.uncertainty + DRIFT * abs(distance) / SECOND)


def _at(anchor: Anchor) -> int:
    return anchor.at
