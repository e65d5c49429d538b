"""Holds what the city has against what was measured: docs/promises.md, line by line."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from itertools import pairwise
from typing import TYPE_CHECKING

from agent.journal.ranges import Ranges
from tests.simulation.universe import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.city import Arrived, Name
    from tests.simulation.play import Play, Spell
    from tests.simulation.truth import Measured

ROUNDED = 0.002  # seconds: base time and relative time are rounded to milliseconds each
JOBS = 0.3  # seconds: the longest that a commit's jobs on a card in good health take, and the pause between commits
BETWEEN_ALARMS = 0.25 + JOBS  # seconds until an alarm is on the card
KEPT = 60.0  # seconds until a kept value is on the card although nothing else goes there
SETTLES = 0.02  # seconds after which a tip counts


def judge(play: Play) -> list[str]:
    """Return everything that is wrong; an empty list is a good verdict."""
    judges = (_never, _waiting, _dates, _order, _numbers, _losses, _rain)
    return [fault for one in judges for fault in one(play)]


def _never(play: Play) -> Iterator[str]:
    """What was seen on the way: failed parts, doubles that contradict, a window overrun."""
    yield from play.universe.faults


def _waiting(play: Play) -> Iterator[str]:
    """After a quiet time nothing waits."""
    if play.waiting is None:
        yield "no agent runs at the end"
    elif play.waiting:
        yield f"{play.waiting} records still wait at the end"


def _dates(play: Play) -> Iterator[str]:
    """Every date is right within what it says of itself, and what can be dated is."""
    clocks = {clock.boot: clock for clock in play.truth.clocks}
    anchored = {one.fields["boot"] for one in play.city.records.values() if one.topic == "anchors"}
    for one in play.city.records.values():
        if one.utc is None or one.uncertainty is None:
            if one.boot in anchored:
                yield f"{one.name} could be dated and is not"
            continue
        true = clocks[one.boot].true_utc(round(one.boottime * SECOND)) / SECOND
        if abs(one.utc - true) > one.uncertainty + ROUNDED:
            yield f"{one.name} {one.fields}: dated {one.utc - true:+.3f} s off, and says {one.uncertainty} s"


def _order(play: Play) -> Iterator[str]:
    """In live and in history the readings of a device come in the order in which they were made."""
    boots = {clock.boot: rank for rank, clock in enumerate(play.truth.clocks)}
    last: dict[tuple[str, str], tuple[tuple[int, float], Name]] = {}
    for one in play.city.records.values():
        if one.topic not in {"live", "history"}:
            continue
        key = (one.topic, one.fields["n"].partition("/")[0])
        place = (boots[one.boot], one.boottime + 0.0005)
        before = last.get(key)
        if before is not None and (before[0] > (place[0], place[1] + ROUNDED) or _backwards(before[1], one.name)):
            yield f"{one.name} came on {one.topic} after {before[1]}"
        last[key] = (place, one.name)


def _backwards(before: Name, now: Name) -> bool:
    return before.epoch == now.epoch and before.number > now.number


def _numbers(play: Play) -> Iterator[str]:
    """From 1 to the last known number of each series, each came or is in the ledger."""
    for series, account in play.city.receiver.accounts.items():
        known = Ranges([*account.received, *account.given_up])
        last = max((end for _, end in known), default=0)
        if account.lost_from is not None:
            last = min(last, account.lost_from - 1)
        for gap in known.gaps(1, last):
            yield f"{series.epoch} {series.stream}: numbers {gap} neither came nor are accounted for"
    for one in play.city.records.values():
        if one.fields["n"] == "damaged":  # nothing here damages what had reached the card
            yield f"the ledger speaks of damage: {one.fields}"


# --- no loss beyond the promise --------------------------------------------------------------------------------------


def _losses(play: Play) -> Iterator[str]:
    """Each measurement came once; those that did not were promised nothing."""
    found = _Found(play)
    excused = _Excuses(play)
    for one in play.truth.measured:
        arrived = found.take(one)
        if arrived is None and one.sure and not excused.covers(one):
            yield f"lost: {_said(one)}"
    yield from found.strangers()


def _said(one: Measured) -> str:
    where = f"boot {one.clock.boot[:4]}, power {one.power}, boottime {one.boottime / SECOND:.3f}"
    return f"{one.device}/{one.quantity} {one.value} at {one.now / SECOND:.3f} s ({where})"


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


class _Excuses:
    """What may be lost: what a power cut took, what a refusing tmpfs could not keep, and what the ledger gives up."""

    def __init__(self, play: Play) -> None:
        self._interval = play.config.journal.commit_interval + JOBS
        self._play = play
        self._lost: dict[str, int] = defaultdict(int)
        self._windows = [window for end in play.ends for window in self._windows_of(end.how, end.now)]

    def _windows_of(self, how: str, at: int) -> Iterator[tuple[int, int, str]]:
        """Yield since and until when (true nanoseconds) what was measured may be lost, and of which stream."""
        if how == "stop":
            return
        young = _since(self._play.young_spells, at, after=2 * self._interval)
        if young is not None:
            yield young, at, "telemetry"
            yield young, at, "alarm"
        if how == "power":
            card = _since(self._play.card_spells, at, after=self._interval + 3.0)
            until = min(at, card) if card is not None else at
            yield until - round(self._interval * SECOND), at, "telemetry"
            yield until - round(BETWEEN_ALARMS * SECOND), at, "alarm"

    def covers(self, one: Measured) -> bool:
        """Return whether a measurement may be lost."""
        stream = "alarm" if one.quantity == "pressed" else "telemetry"
        if any(since <= one.now <= until for since, until, which in self._windows if which == stream):
            return True
        self._lost[stream] += 1
        return self._lost[stream] <= self._given_up(stream)

    def _given_up(self, stream: str) -> int:
        accounts = self._play.city.receiver.accounts
        return sum(account.given_up.count() for series, account in accounts.items() if series.stream == stream)


def _since(spells: list[Spell], at: int, *, after: float) -> int | None:
    """Return since when a disk had been in trouble at a time, or had just been: for so many seconds after."""
    recent = [
        spell.since
        for spell in spells
        if spell.since <= at and (spell.until is None or at <= spell.until + round(after * SECOND))
    ]
    return min(recent, default=None)


# --- what is kept ----------------------------------------------------------------------------------------------------


def _rain(play: Play) -> Iterator[str]:
    """The total of the rain gauge goes on: after each kill exactly, after a power cut but for the last minute."""
    powers = {clock.boot: power for power, clock in enumerate(play.truth.clocks)}
    readings = [
        (powers[one.boot], one.boottime, one.fields["v"], one.name)
        for one in play.city.records.values()
        if one.fields["n"] == "rain-1/rain" and "v" in one.fields
    ]
    readings.sort(key=lambda one: one[:3])
    for before, now in pairwise(readings):
        if before[0] != now[0]:
            continue
        tips = [tip for tip in play.truth.tips if tip.power == now[0]]
        least = sum(before[1] + ROUNDED < tip.boottime / SECOND <= now[1] - SETTLES and tip.sure for tip in tips)
        most = sum(before[1] - SETTLES <= tip.boottime / SECOND <= now[1] + SETTLES for tip in tips)
        fell = round((now[2] - before[2]) / 0.2)
        if not least <= fell <= most:
            yield f"rain rose by {fell} tips to {now[3]} at {now[1]:.3f} s, not by {least} to {most}"
