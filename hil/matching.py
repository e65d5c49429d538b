"""Finding the reading of each emission, one quantity of one device at a time.

Emissions and readings come sorted by time. What is said once (samples) is paired by value and time; what may be
repeated (states, totals) is first reduced to its changes. `unheard` are the emissions that may have gone unheard.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hil.emissions import Emission
    from hil.packs import Received

SAME_INSTANT = 0.0015  # seconds; times go up in whole milliseconds

AT_ONCE = 0.01  # seconds; an increment that shows so soon was heard, even if that was not certain


@dataclass(slots=True)
class Matches:
    """What became of the emissions (by index) and of the readings of one quantity."""

    received: set[int] = field(default_factory=set)
    doubled: list[Received] = field(default_factory=list)
    misdated: list[tuple[Received, int | None]] = field(
        default_factory=list
    )  # and the emission with that value, if any


def samples(
    emissions: Sequence[Emission], readings: Sequence[Received], tolerance: float, unheard: frozenset[int]
) -> Matches:
    """Match readings that go up once each. A reading without value that no device emitted is the agent's own remark."""
    matches = Matches()
    left = _pair(emissions, readings, tolerance, unheard, matches)
    for reading in left:
        if reading.value is not None:
            _explain(reading, emissions, tolerance, matches)
    return matches


def states(
    emissions: Sequence[Emission], readings: Sequence[Received], tolerance: float, unheard: frozenset[int]
) -> Matches:
    """Match changes of a state that may be repeated at any time."""
    matches = Matches()
    valued = [reading for reading in readings if reading.value is not None]
    changes = []
    told, at = not emissions[0].value, -math.inf
    for number, reading in enumerate(valued):
        utc = _utc(reading)
        # A change that nobody heard makes the next report of a state news, even if it repeats the last one.
        behind = any(at < emissions[index].at <= utc for index in unheard)
        if reading.value != told or behind:
            changes.append(reading)
        elif number and _same_instant(reading, valued[number - 1]):
            matches.doubled.append(reading)
        elif not _true(reading, emissions, tolerance):
            matches.misdated.append((reading, None))
        told, at = bool(reading.value), utc
    for reading in _pair(emissions, changes, tolerance, unheard, matches):
        if not _true(reading, emissions, tolerance):
            _explain(reading, emissions, tolerance, matches)
    return matches


def counts(
    emissions: Sequence[Emission], readings: Sequence[Received], tolerance: float, deaf: frozenset[int]
) -> Matches:
    """Match increments of a total that may be repeated at any time; `deaf` are emissions that should not be in it."""
    matches = Matches()
    step = emissions[0].step
    order: list[int] = []  # the emissions that are in the total, in the order in which they came into it
    valued = [reading for reading in readings if isinstance(reading.value, int | float)]
    total, before = 0.0, -math.inf
    for number, reading in enumerate(valued):
        assert isinstance(reading.value, int | float)  # noqa: S101 - filtered above
        tips = round((reading.value - total) / step)
        if tips < 0:  # a total that falls back has forgotten its last increments
            matches.received.difference_update(order[tips:])
            del order[tips:]
        elif tips == 0 and number and total > 0 and _same_instant(reading, valued[number - 1]):
            matches.doubled.append(reading)
        open_ = [i for i in range(len(emissions)) if i not in matches.received]
        near = [i for i in open_ if _in_time(reading, emissions[i], tolerance)]
        near.sort(key=lambda i: (abs(_utc(reading) - emissions[i].at) > AT_ONCE, i in deaf, i))
        open_ = [i for i in open_ if i not in deaf]
        # Several at once may have been counted since the total before, as long as the last of them is now.
        since = [i for i in open_ if before < emissions[i].at < _utc(reading) and i not in near] if near else []
        taken = (near + since[::-1])[: max(tips, 0)]
        for _ in range(tips - len(taken)):
            elsewhere = next((i for i in open_ if i not in taken and i not in {it for _, it in matches.misdated}), None)
            if elsewhere is None:
                matches.doubled.append(reading)
            else:
                matches.misdated.append((reading, elsewhere))
        matches.received.update(taken)
        order += sorted(taken)
        total, before = float(reading.value), _utc(reading)
    return matches


def unspoken(readings: Iterable[Received]) -> Matches:
    """Match what no device ever said: nothing but the state or total at rest is right."""
    return Matches(misdated=[(reading, None) for reading in readings if reading.value])


def _pair(
    emissions: Sequence[Emission],
    readings: Sequence[Received],
    tolerance: float,
    unheard: frozenset[int],
    matches: Matches,
) -> list[Received]:
    """Pair as many as can be paired, first the emissions that must have been heard; return the readings that are left.

    Equal values within the tolerance of each other make it unknown which reading is whose. So this looks for a maximum
    matching, by augmenting paths: an emission that has found a reading never goes without one again. It begins with
    those that are nearest in time: whoever takes another's reading leaves the other to a statement of the ledger that
    does not speak of it.
    """
    choices = _choices(emissions, readings, tolerance)
    owner: dict[int, int] = {}  # reading -> emission
    held: dict[int, int] = {}  # emission -> reading
    dead: set[int] = set()  # readings from which no free one can be reached, now or later
    certain = [index for index in range(len(emissions)) if index not in unheard]
    for indices in (certain, sorted(unheard)):
        pairs = ((index, place) for index in indices for place in choices[index])
        for index, place in sorted(pairs, key=lambda pair: abs(emissions[pair[0]].at - _utc(readings[pair[1]]))):
            if index not in held and place not in owner:
                held[index], owner[place] = place, index
        for index in indices:
            if index not in held:
                _augment(index, choices, owner, held, dead)
    matches.received.update(held)
    return [reading for place, reading in enumerate(readings) if place not in owner]


def _choices(emissions: Sequence[Emission], readings: Sequence[Received], tolerance: float) -> list[list[int]]:
    """Return, for each emission, the readings that may be its own."""
    widest = max((reading.uncertainty for reading in readings), default=0.0) + tolerance
    step = max((emission.step for emission in emissions), default=0.0) or 1.0
    alike: dict[object, tuple[list[float], list[int]]] = defaultdict(lambda: ([], []))  # when, and which reading
    for place, reading in enumerate(readings):
        times, places = alike[_rung(reading, step)]
        times.append(_utc(reading))
        places.append(place)
    choices: list[list[int]] = []
    for emission in emissions:
        rung = _rung(emission, step)
        near = (rung - 1, rung, rung + 1) if isinstance(rung, int) else (rung,)
        choices.append(
            sorted(
                place
                for times, places in (alike[one] for one in near if one in alike)
                for place in places[
                    bisect_left(times, emission.at - widest) : bisect_right(times, emission.at + widest)
                ]
                if _same(readings[place], emission) and _in_time(readings[place], emission, tolerance)
            )
        )
    return choices


def _rung(one: Emission | Received, step: float) -> int | tuple[object, ...]:
    """Return on which rung of a ladder with such steps a value is: what is the same is at most one rung apart."""
    if one.value is None:
        return (str(one.reason),)
    if isinstance(one.value, bool | str):
        return (one.value,)
    return round(one.value / step)


def _augment(
    root: int, choices: Sequence[Sequence[int]], owner: dict[int, int], held: dict[int, int], dead: set[int]
) -> None:
    """Find a reading for one emission, if need be by giving others another one of theirs."""
    asked_by: dict[int, int] = {}  # reading -> the emission that would take it
    queue = deque([root])
    while queue:
        emission = queue.popleft()
        for reading in choices[emission]:
            if reading in asked_by or reading in dead:
                continue
            asked_by[reading] = emission
            if reading in owner:
                queue.append(owner[reading])
                continue
            free: int | None = reading
            while free is not None:
                taker = asked_by[free]
                owner[free] = taker
                held[taker], free = free, held.get(taker)
            return
    dead.update(asked_by)


def _explain(reading: Received, emissions: Sequence[Emission], tolerance: float, matches: Matches) -> None:
    """Say what a reading is that no emission was left for: another's double, or one that is dated wrongly."""
    alike = [index for index, emission in enumerate(emissions) if _same(reading, emission)]
    if any(index in matches.received and _in_time(reading, emissions[index], tolerance) for index in alike):
        matches.doubled.append(reading)
        return
    taken = matches.received | {index for _, index in matches.misdated if index is not None}
    nearest = min(
        (index for index in alike if index not in taken),
        key=lambda index: abs(emissions[index].at - _utc(reading)),
        default=None,
    )
    matches.misdated.append((reading, nearest))


def _same(reading: Received, emission: Emission) -> bool:
    if emission.value is None or reading.value is None:
        return reading.value is emission.value and reading.reason == emission.reason
    if isinstance(emission.value, bool) or isinstance(reading.value, bool):
        return reading.value is emission.value
    if isinstance(emission.value, str) or isinstance(reading.value, str):
        return reading.value == emission.value
    rounding = emission.step / 2 + 1e-9 * max(1.0, abs(emission.value))
    return reading.unit == emission.unit and abs(reading.value - emission.value) <= rounding


def _true(reading: Received, emissions: Sequence[Emission], tolerance: float) -> bool:
    """Tell whether a state was the true one at about the time of the reading."""
    margin = tolerance + reading.uncertainty
    before = [emission for emission in emissions if emission.at <= _utc(reading) - margin]
    around = [emission for emission in emissions if abs(emission.at - _utc(reading)) < margin]
    at_first = before[-1].value if before else not emissions[0].value
    return reading.utc is not None and reading.value in {at_first, *(emission.value for emission in around)}


def _in_time(reading: Received, emission: Emission, tolerance: float) -> bool:
    return abs(_utc(reading) - emission.at) <= tolerance + reading.uncertainty


def _same_instant(reading: Received, other: Received) -> bool:
    return abs(_utc(reading) - _utc(other)) < SAME_INSTANT


def _utc(reading: Received) -> float:
    """Return when; a reading that was never dated comes after all others, and is in time for nothing."""
    return math.inf if reading.utc is None else reading.utc
