"""Alarms: each is raised once and cleared once, and stands while what was measured says so."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tests.simulation.losses import ROUNDED, Excuses, true_time
from tests.simulation.universe import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.city import Arrived
    from tests.simulation.play import Play

FLOOD, OVER = 4.0, 3.0  # metres: the limits of the alarm that every configuration has


def alarms(play: Play) -> Iterator[str]:
    """Hold the alarms against themselves, and the flood against the levels; not where alarms were given up."""
    accounts = play.city.receiver.accounts
    if any(account.given_up for series, account in accounts.items() if series.stream == "alarm"):
        return
    events = [one for one in play.city.records.values() if one.name.stream == "alarm" and "id" in one.fields]
    yield from _pairs(play, events)
    yield from _flood(play, [one for one in events if one.fields["alarm"] == "flood"])


def _pairs(play: Play, events: list[Arrived]) -> Iterator[str]:
    """What a power cut took may be said again: the memory of an alarm is as old as the last commit then."""
    if any(end.how == "power" for end in play.ends) or play.young_spells:
        return
    said: dict[str, list[str]] = defaultdict(list)
    for one in sorted(events, key=lambda one: one.name.number):
        said[one.fields["id"]].append(one.fields["vs"])
    for id_, what in said.items():
        if what not in (["raise"], ["raise", "clear"]):
            yield f"of the alarm {id_} is said: {', '.join(what)}"


def _flood(play: Play, events: list[Arrived]) -> Iterator[str]:
    """While the level is above the limit the alarm stands, and while it is below the other one it does not.

    Whether the agent still knew of an event that a power cut may have taken from it is not known to anybody.
    """
    clocks = {clock.boot: clock for clock in play.truth.clocks}
    excuses = Excuses(play)
    levels = [one for one in play.city.records.values() if one.fields["n"] == "level-1/water_level"]
    story = [(true_time(clocks[one.boot], one.boottime - ROUNDED), 0, one) for one in events]
    story += [(true_time(clocks[one.boot], one.boottime), 1, one) for one in levels]
    story.sort(key=lambda entry: (entry[0], entry[1], entry[2].name))
    stands: bool | None = False
    for now, is_level, one in story:
        if not is_level:
            stands = None if excuses.cover_time(now, {"alarm"}) else one.fields["vs"] == "raise"
        elif "v" in one.fields and not excuses.cover_time(now, {"alarm"}):
            level = one.fields["v"]
            if stands and level < OVER:
                yield f"at {now / SECOND:.3f} s the level is {level} m, and the alarm stands"
            if stands is False and level > FLOOD:
                yield f"at {now / SECOND:.3f} s the level is {level} m, and no alarm stands"
