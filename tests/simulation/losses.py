"""No loss beyond the promise: each measurement came once, or is excused by its place and time."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.simulation.universe import BEGINNING, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.city import Arrived
    from tests.simulation.clock import SimulatedClock
    from tests.simulation.play import Play, Spell
    from tests.simulation.truth import Measured

ROUNDED = 0.002  # seconds: base time and relative time are rounded to milliseconds each
JOBS = 0.3  # seconds: the longest that a commit's jobs on a card in good health take, and the pause between commits
BETWEEN_ALARMS = 0.25 + JOBS  # seconds until an alarm is on the card
STATED = 60.0  # seconds until a count is stated, unless a start comes before
NEAR = 2.0  # seconds between a measurement and the moment at which it gets its number, at most


def losses(play: Play) -> Iterator[str]:
    """Each measurement came once; those that did not were promised nothing, or are where the ledger says so."""
    found = _Found(play)
    missing = [one for one in play.truth.measured if found.take(one) is None]
    yield from found.strangers()
    for room in _filled(_withheld(play), missing):
        if len(room.taken) < room.count:
            yield f"the ledger says {room.count - len(room.taken)} too many were withheld of {room.of}, {room.text()}"
    excuses = Excuses(play)
    rooms = [*_withheld(play), *_given_up(play)]
    for one in missing:
        if one.sure and not excuses.cover(one) and not _find_room(one, rooms, set()):
            yield f"lost: {_said(one)}"


def _said(one: Measured) -> str:
    where = f"boot {one.clock.boot[:4]}, power {one.power}, boottime {one.boottime / SECOND:.3f}"
    return f"{one.device}/{one.quantity} {one.value} at {one.now / SECOND:.3f} s ({where})"


def stream_of(one: Measured) -> str:
    """Return the stream in which a measurement gets its number."""
    return "alarm" if one.quantity == "pressed" else "telemetry"


class _Found:
    """The readings that came, by what they say and the instant of it."""

    def __init__(self, play: Play) -> None:
        self._by: dict[tuple[str, str, object], list[Arrived]] = defaultdict(list)
        for one in play.city.records.values():
            value = one.fields.get("v", one.fields.get("vb"))
            if one.name.stream in {"telemetry", "alarm"} and value is not None:
                self._by[one.boot, one.fields["n"], value].append(one)
        for ones in self._by.values():
            ones.sort(key=lambda one: one.boottime)

    def take(self, one: Measured) -> Arrived | None:
        """Return the reading of a measurement, once."""
        ones = self._by.get((one.clock.boot, f"{one.device}/{one.quantity}", one.value), [])
        at = bisect_left(ones, one.boottime / SECOND - ROUNDED, key=lambda one: one.boottime)
        if at < len(ones) and ones[at].boottime <= one.boottime / SECOND + ROUNDED:
            return ones.pop(at)
        return None

    def strangers(self) -> Iterator[str]:
        """Readings that nobody measured, or that came twice under two numbers."""
        for (boot, name, value), ones in self._by.items():
            if name.startswith(("air-1", "level-1", "meter-1")):
                yield from (f"never measured so: {name} {value} in boot {boot[:4]}: {one.name}" for one in ones)


# --- what the ledger says --------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Room:
    """So many measurements of a stream, or of one quantity, are accounted for between two true times (nanoseconds)."""

    of: str
    since: int
    until: int
    count: int
    taken: list[Measured] = field(default_factory=list)

    def text(self) -> str:
        return f"between {self.since / SECOND:.3f} and {self.until / SECOND:.3f} s"

    def fits(self, one: Measured) -> bool:
        return self.since <= one.now <= self.until and self.of in {stream_of(one), f"{one.device}/{one.quantity}"}


def _filled(rooms: list[_Room], measured: list[Measured]) -> list[_Room]:
    """Put as many measurements into rooms as possible."""
    for one in measured:
        _find_room(one, rooms, set())
    return rooms


def _find_room(one: Measured, rooms: list[_Room], passed: set[_Room]) -> bool:
    """Find room for a measurement, if need be by moving others out of theirs: nobody knows whose is whose.

    Where there is a choice, it takes the room that ends first, so that later ones find theirs. `passed`: rooms out of
    which nobody can move.
    """
    fitting = sorted((room for room in rooms if room not in passed and room.fits(one)), key=lambda room: room.until)
    for room in fitting:
        if len(room.taken) < room.count:
            room.taken.append(one)
            return True
    for room in fitting:
        if room in passed:
            continue
        passed.add(room)
        for at, other in enumerate(room.taken):
            if _find_room(other, rooms, passed):
                room.taken[at] = one
                return True
    return False


def true_time(clock: SimulatedClock, boottime: float) -> int:
    """Return when (true nanoseconds) it was so many seconds after a boot."""
    return clock.true_utc(round(boottime * SECOND)) - BEGINNING


def _given_up(play: Play) -> list[_Room]:
    """Return where numbers were given up: as many as did not come, between the neighbours that did."""
    clocks = {clock.boot: clock for clock in play.truth.clocks}
    came: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for one in play.city.records.values():
        came[one.name.epoch, one.name.stream].append((one.name.number, true_time(clocks[one.boot], one.boottime)))
    rooms = []
    for series, account in play.city.receiver.accounts.items():
        numbers = sorted(came[series.epoch, series.stream])
        for first, last in account.given_up:
            before, behind = bisect_left(numbers, (first, 0)), bisect_left(numbers, (last + 1, 0))
            since = numbers[before - 1][1] if before else 0
            until = numbers[behind][1] if behind < len(numbers) else play.universe.now
            near = round(NEAR * SECOND)
            rooms.append(_Room(series.stream, since - near, until + near, last - first + 1 - (behind - before)))
    return rooms


def _withheld(play: Play) -> list[_Room]:
    """Return what was measured and is not to be a reading; each such statement has to be right to the last one."""
    clocks = {clock.boot: clock for clock in play.truth.clocks}
    rooms = []
    for one in play.city.records.values():
        if one.fields["n"] == "withheld":
            base = one.boottime - one.fields["t"]
            since, until = (
                true_time(clocks[one.boot], base + one.fields[name] + by)
                for name, by in (("since", -ROUNDED), ("until", ROUNDED))
            )
            of = f"{one.fields['device']}/{one.fields['quantity']}"
            rooms.append(_Room(of, since, until, one.fields["count"]))
    return rooms


# --- what may be lost ------------------------------------------------------------------------------------------------


class Excuses:
    """What a power cut may take, and what a tmpfs that refuses could not keep from a kill."""

    def __init__(self, play: Play) -> None:
        self._interval = play.config.journal.commit_interval + JOBS
        self._settled = self._interval + 3.0  # seconds until a card that is well again has all that it had missed
        self._play = play
        self._windows = [window for end in play.ends for window in self._windows_of(end.how, end.now)]

    def forgetful(self) -> list[int]:
        """Return when (true nanoseconds) a power cut may have left no memory of alarms.

        The card could not be written before it, or cannot be read after it.
        """
        spells = self._play.card_spells
        runs = zip(self._play.ends, self._play.starts[1:], strict=False)
        return [
            end.now
            for end, start in runs
            if end.how == "power"
            and (_since(spells, end.now, after=self._settled) is not None or _since(spells, start, after=0) is not None)
        ]

    def unheard_of(self) -> set[str]:
        """Return the boots that the card may never have heard of: in trouble before the first run, and at the cut.

        The next run cannot name an epoch that it does not know.
        """
        boots = set()
        for end in self._play.ends:
            begun = min(
                start for start, one in zip(self._play.starts, self._play.ends, strict=True) if one.power == end.power
            )
            card = _since(self._play.card_spells, end.now, after=self._settled)
            if end.how == "power" and card is not None and card <= begun:
                boots.add(self._play.truth.clocks[end.power].boot)
        return boots

    def remembered_until(self, how: str, at: int) -> int:
        """Return up to when (true nanoseconds) a run that ended at a time has left its memory to the next one.

        While tmpfs refuses, that is what is on the card: a kill takes what came since the last commit.
        """
        young = _since(self._play.young_spells, at, after=2 * self._interval)
        if how != "kill" or young is None:
            return at
        card = _since(self._play.card_spells, at, after=self._settled)
        return max(young, self._running_before(min(at, card or at), self._interval))

    def _windows_of(self, how: str, at: int) -> Iterator[tuple[int, int, str]]:
        """Yield since and until when (true nanoseconds) what was measured may be lost, and of which stream."""
        if how == "stop":
            return
        if how == "kill":
            for stream in ("telemetry", "alarm", "withheld"):
                yield self.remembered_until(how, at), at, stream
        if how == "power":
            card = _since(self._play.card_spells, at, after=self._settled)
            until = min(at, card) if card is not None else at
            yield self._running_before(until, self._interval), at, "telemetry"
            yield self._running_before(until, BETWEEN_ALARMS), at, "alarm"
            yield self._running_before(until, STATED + self._interval), at, "withheld"

    def _running_before(self, at: int, seconds: float) -> int:
        """Return when an agent had run for so much less than at a time: while none runs, nothing is committed."""
        left = round(seconds * SECOND)
        ends = [end.now for end in self._play.ends]
        for start, end in reversed(list(zip(self._play.starts, ends, strict=False))):
            lasted = max(0, min(at, end) - start)
            if lasted >= left:
                return min(at, end) - left
            left -= lasted
        return 0

    def cover(self, one: Measured) -> bool:
        """Return whether a measurement may be lost."""
        streams = {stream_of(one)}
        if f"{one.device}/{one.quantity}" in self._play.thinned:
            streams.add("withheld")  # it may have been counted, and the count is what was lost
        return self.cover_time(one.now, streams)

    def cover_time(self, now: int, streams: set[str]) -> bool:
        """Return whether what any of some streams got at a time may be lost."""
        return any(since <= now <= until for since, until, which in self._windows if which in streams)


def _since(spells: list[Spell], at: int, *, after: float) -> int | None:
    """Return since when a disk had been in trouble at a time, or had just been: for so many seconds after."""
    recent = [
        spell.since
        for spell in spells
        if spell.since <= at and (spell.until is None or at <= spell.until + round(after * SECOND))
    ]
    return min(recent, default=None)
