"""Turns instants (boot id and boottime) into UTC by anchors, and says how far off the result may be.

A Pi has no battery clock: its wall clock is wrong until the network sets it, and then it steps. The boottime never
does. An anchor ties the two together at a moment when the time of day is known.
"""

from __future__ import annotations

from bisect import bisect_left
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from agent.readings import Anchor
from agent.seams import Sync

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agent.gnss import Gnss
    from agent.seams import Clock

SECOND = 1_000_000_000  # nanoseconds
STEP = SECOND // 20  # the offset between UTC and boottime has moved by more than this: the wall clock was set
EVERY = 600 * SECOND  # an anchor at least so often: DRIFT over it is 60 ms
BETTER = 0.1  # seconds by which an anchor would be better than what there is: not worth waiting for the next one
DRIFT = 100e-6  # how fast or slow the crystal of a Pi may be at any temperature of a roadside cabinet
WANDER = 30e-6  # how far that rate may be, at any moment, from its mean between two anchors
KEPT = 24  # anchors; each commit to the card carries them
BOOTS = 24  # boots without an anchor that are remembered, to be dated between their neighbours

BUILT = 1_735_689_600 * SECOND  # 2025-01-01: no gateway has run this software before
JUMP = SECOND  # by so much more than it may be off, a wall clock contradicts what is known
STEADY = 3600 * SECOND  # whoever contradicts what is known for so long without a change is believed after all


class Dated(NamedTuple):
    """The UTC of an instant."""

    utc: int  # nanoseconds since 1970
    uncertainty: float  # seconds, to either side


class ClockFault(StrEnum):
    """Why a time of day is not believed."""

    BEFORE_FLOOR = "before_floor"  # this gateway has already lived through later days
    JUMPED = "jumped"  # away from what the anchors of this boot say, and further than any crystal drifts
    GNSS_DISAGREES = "gnss_disagrees"  # with the time of day that readings are dated by
    GNSS_ROLLOVER = "gnss_rollover"  # the receiver is off by a multiple of 1024 weeks
    GNSS_IMPLAUSIBLE = "gnss_implausible"  # before this gateway's floor, or decades after it


class ClockState(NamedTuple):
    """What is known of the time of day."""

    sync: Sync | None  # None: the time of day is not known to be right
    anchor: Anchor | None  # the last one of this boot
    uncertainty: float | None  # seconds, of a reading made now; None: it cannot be dated yet
    floor: int  # it is later than this; nanoseconds since 1970
    fault: ClockFault | None


class _Claim(NamedTuple):
    """What somebody says the time of day is."""

    sync: Sync
    at: int
    utc: int
    uncertainty: float


class _Doubt(NamedTuple):
    """A claim that contradicts what is known, and since when it has been made without a change."""

    since: int  # boottime
    offset: int  # UTC less boottime, when last seen


class Timekeeper:
    """Makes anchors while the time of day is known, keeps them, and dates by them.

    The wall clock is asked first; a GNSS receiver counts where `gnss` says so, and witnesses otherwise.
    """

    def __init__(self, clock: Clock, gnss: Gnss | None = None) -> None:
        self._clock = clock
        self._gnss = gnss
        self._sync: Sync | None = None
        self._fault: ClockFault | None = None
        self._doubt: _Doubt | None = None
        self._anchors: dict[str, list[Anchor]] = {}  # by boot, ordered by boottime
        self._boots = {clock.boot: 0}  # the last boottime that is known of each, oldest boot first

    # --- looking at the clock --------------------------------------------------------------------------------------

    def look(self) -> list[Anchor]:
        """Look at the clock; return the anchors that are new. To be called every few seconds.

        The first anchor of a boot bounds the boots before it that never had one, and brings an estimate for each.
        """
        boot, now = self._clock.boot, self._clock.boottime()
        self._boots[boot] = now
        claim, self._fault = self._wall(), None
        if claim is not None and self._contradicts(claim) and not self._is_witnessed(claim):
            claim = None
        if self._gnss is not None:
            claim = self._by_gnss(self._gnss, claim, now)
        self._sync = claim.sync if claim is not None else None
        if claim is None or not self._is_due(claim):
            return []
        anchor = Anchor(boot, claim.at, claim.utc, claim.uncertainty, claim.sync.source)
        made = [anchor]
        is_first = boot not in self._anchors
        self.recall([anchor])
        if is_first:
            estimates = self._estimates()
            self.recall(estimates)
            made += estimates
        return made

    def _wall(self) -> _Claim | None:
        """Return what the wall clock says, if it is known to be right."""
        sync = self._clock.synchronised()
        if sync is None:
            self._doubt = None
            return None
        before, utc, after = self._clock.boottime(), self._clock.utc(), self._clock.boottime()
        # The wall clock was read somewhere between two looks at the boottime.
        return _Claim(sync, (before + after) // 2, utc, sync.uncertainty + (after - before) / 2 / SECOND)

    def _contradicts(self, claim: _Claim) -> bool:
        """Return whether a claim contradicts what is known, and has not done so steadily for long.

        For the day on which what is known was wrong: a server or a receiver had put this gateway into the future.
        """
        fault = self._fault_of(claim)
        if fault is None:
            self._doubt = None
            return False
        offset = claim.utc - claim.at
        if self._doubt is None or abs(offset - self._doubt.offset) > STEP:
            self._doubt = _Doubt(claim.at, offset)
        self._doubt = self._doubt._replace(offset=offset)
        if claim.at - self._doubt.since >= STEADY:
            return False
        self._fault = fault
        return True

    def _is_witnessed(self, claim: _Claim) -> bool:
        """Return whether a receiver, which knows nothing of the wall clock, says the same."""
        said = self._gnss.time(claim.at) if self._gnss is not None else None
        if said is None or abs(said.utc - claim.utc) > round((said.uncertainty + claim.uncertainty) * SECOND):
            return False
        self._fault = None
        return True

    def _fault_of(self, claim: _Claim) -> ClockFault | None:
        slack = round(claim.uncertainty * SECOND) + JUMP
        dated = self.date(self._clock.boot, claim.at)
        if dated is None:
            return ClockFault.BEFORE_FLOOR if claim.utc + slack < self.floor() else None
        is_far = abs(claim.utc - dated.utc) > slack + round(dated.uncertainty * SECOND)
        return ClockFault.JUMPED if is_far else None

    def _by_gnss(self, gnss: Gnss, claim: _Claim | None, now: int) -> _Claim | None:
        """Let the receiver witness what the wall clock claims, and take its word where there is no other."""
        said = gnss.time(now)
        if said is None:
            return claim
        known = Dated(claim.utc + now - claim.at, claim.uncertainty) if claim else self.date(self._clock.boot, now)
        fault = gnss.fault(said, known, self.floor())
        self._fault = self._fault or fault
        if claim is None and fault is None and gnss.dates:
            return _Claim(Sync("gnss", said.uncertainty), now, said.utc, said.uncertainty)
        return claim

    def _is_due(self, claim: _Claim) -> bool:
        last, dated = self._last(), self.date(self._clock.boot, claim.at)
        if last is None or dated is None:
            return True
        return (
            claim.at - last.at >= EVERY
            or dated.uncertainty - claim.uncertainty > BETTER
            or abs((claim.utc - claim.at) - (last.utc - last.at)) > max(STEP, claim.uncertainty * SECOND)
        )

    # --- dating ----------------------------------------------------------------------------------------------------

    def date(self, boot: str, at: int) -> Dated | None:
        """Return the UTC of an instant by the anchors of its boot, or None if that boot has none."""
        return date_by(self._anchors.get(boot, ()), at)

    def now(self) -> Dated | None:
        """Return the UTC of this moment, or None as long as this boot has no anchor."""
        return self.date(self._clock.boot, self._clock.boottime())

    def utc(self) -> int | None:
        """Return the UTC of this moment in nanoseconds without its uncertainty, or None."""
        dated = self.now()
        return None if dated is None else dated.utc

    def not_before(self, boot: str, at: int) -> int | None:
        """Return a UTC (ns) that an instant is later than, by what is known of the boots before; None if nothing is."""
        floor: int | None = None
        for one, seen in self._boots.items():
            if one == boot:
                return floor + _at_least(at) if floor is not None else None
            dated = self.date(one, seen)
            if dated is not None:
                floor = dated.utc - round(dated.uncertainty * SECOND)
            elif floor is not None:
                floor += _at_least(seen)
        return None

    def floor(self) -> int:
        """Return a UTC (ns) that it is later than now: the last time that this gateway knew, and what it ran since."""
        now = self._clock.boottime()
        dated = self.date(self._clock.boot, now)
        if dated is not None:
            return dated.utc - round(dated.uncertainty * SECOND)
        return max(BUILT, self.not_before(self._clock.boot, now) or 0)

    def state(self) -> ClockState:
        """Return what is known of the time of day."""
        now = self.date(self._clock.boot, self._clock.boottime())
        return ClockState(self._sync, self._last(), now.uncertainty if now else None, self.floor(), self._fault)

    def _estimates(self) -> list[Anchor]:
        """Date the boots without an anchor before this one, as far as the boots around them bound them.

        They began after the last that is known of the boot before them, and were over when this one began. None if
        that is no time at all: then one of the two was misdated.
        """
        boots = [(boot, seen, self.date(boot, seen)) for boot, seen in self._boots.items()]
        first = max((i for i, (_, _, dated) in enumerate(boots[:-1]) if dated is not None), default=None)
        began = self.date(self._clock.boot, 0)
        if first is None or began is None or (before := boots[first][2]) is None:
            return []
        between = boots[first + 1 : -1]
        ran = sum(_at_least(seen) for _, seen, _ in between)
        earliest = before.utc - round(before.uncertainty * SECOND)
        latest = began.utc + round(began.uncertainty * SECOND) - ran
        estimates, utc = [], (earliest + latest) // 2
        for boot, seen, _ in between if earliest <= latest else ():
            estimates.append(Anchor(boot, 0, utc, (latest - earliest) / 2 / SECOND, "estimate"))
            utc += _at_least(seen)
        return estimates

    # --- memory ----------------------------------------------------------------------------------------------------

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

    def recall_boots(self, boots: Iterable[tuple[str, int]]) -> None:
        """Take up the boots of earlier runs, oldest first, with the last boottime that is known of each."""
        now = self._boots.pop(self._clock.boot)
        self._boots = dict(boots)
        self._boots.pop(self._clock.boot, None)
        self._boots[self._clock.boot] = now

    def boots(self) -> list[tuple[str, int]]:
        """Return the boots worth keeping for the next run: since the last one that is dated, but not too many."""
        boots = list(self._boots.items())
        dated = [i for i, (boot, _) in enumerate(boots) if boot in self._anchors]
        since = dated[-1] if dated else 0
        rest = boots[since + 1 :]
        return boots[since : since + 1] + rest[-BOOTS:]

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
    """Return the UTC of a boottime by its boot's anchors, ordered by boottime; None if there is none.

    Between two anchors the crystal is measured, and only what its rate wanders is unknown; before the first and after
    the last one, all of its drift is.
    """
    if not anchors:
        return None
    place = bisect_left(anchors, at, key=_at)
    if place == len(anchors) or (place == 0 and anchors[0].at != at):
        near = anchors[max(place - 1, 0)]
        return Dated(near.utc + at - near.at, near.uncertainty + DRIFT * abs(at - near.at) / SECOND)
    later = anchors[place]
    if later.at == at:
        return Dated(later.utc, later.uncertainty)
    earlier = anchors[place - 1]
    span, into = later.at - earlier.at, at - earlier.at
    part = into / span
    apart = (later.utc - later.at) - (earlier.utc - earlier.at)
    uncertainty = earlier.uncertainty * (1 - part) + later.uncertainty * part + WANDER * min(into, span - into) / SECOND
    if abs(apart) / SECOND > earlier.uncertainty + later.uncertainty + DRIFT * span / SECOND:
        uncertainty += abs(apart) / SECOND  # no crystal does that: one of them is wrong, and nobody knows which
    return Dated(earlier.utc + into + apart * into // span, uncertainty)


def _at_least(ran: int) -> int:
    """Return how much time has passed, at the very least, while the boottime ran so far."""
    return ran - round(ran * DRIFT)


def _at(anchor: Anchor) -> int:
    return anchor.at
