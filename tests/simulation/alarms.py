"""Alarms: each is raised once and cleared once, and stands while what was measured says so."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from tests.simulation.city import Told
from tests.simulation.losses import ROUNDED, Excuses, true_time
from tests.simulation.universe import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.city import Arrived
    from tests.simulation.play import Play

BEHIND = 5 * SECOND  # docs/wire.md: a health document that is later by less may not know of an alarm yet
FLOOD, OVER = 4.0, 3.0  # metres: the limits of the alarm that every configuration has


def alarms(play: Play) -> Iterator[str]:
    """Hold the alarms against themselves, and the flood against the levels; not where alarms were given up."""
    events = [one for one in play.city.records.values() if one.name.stream == "alarm" and "id" in one.fields]
    yield from _standing(play, events)
    accounts = play.city.receiver.accounts
    if any(account.given_up for series, account in accounts.items() if series.stream == "alarm"):
        return
    yield from _pairs(play, events)
    yield from _flood(play, [one for one in events if one.fields["alarm"] == "flood"])


def _standing(play: Play, events: list[Arrived]) -> Iterator[str]:
    """Whatever was lost, in the end the city and the agent believe in the same alarms."""
    clocks = {clock.boot: clock for clock in play.truth.clocks}
    told = [(true_time(clocks[one.boot], one.boottime), one.standing) for one in play.city.told]
    open_: dict[str, int] = {}
    for one in sorted(events, key=lambda one: true_time(clocks[one.boot], one.boottime)):
        if one.fields["vs"] == "raise":
            open_[one.fields["id"]] = true_time(clocks[one.boot], one.boottime)
        elif one.fields["vs"] == "clear":
            open_.pop(one.fields["id"], None)
    believed = {id_ for id_, at in open_.items() if all(id_ in ids for now, ids in told if now >= at + BEHIND)}
    listed = max(told, key=lambda one: one[0])[1] if told else {}
    for id_ in sorted(believed - play.standing.keys()):
        yield f"the city believes that the alarm {id_} stands, and it does not"
    for id_ in sorted(play.standing.keys() - believed - listed.keys()):
        yield f"the alarm {play.standing[id_]} {id_} stands, and the city does not know of it"


def _pairs(play: Play, events: list[Arrived]) -> Iterator[str]:
    """Each is raised and cleared once; what a power cut may have taken may be said again, or never."""
    excuses = Excuses(play)
    if excuses.forgetful() or play.young_spells:
        return
    clocks = {clock.boot: clock for clock in play.truth.clocks}
    said: dict[str, list[Arrived]] = defaultdict(list)
    for one in sorted(events, key=lambda one: true_time(clocks[one.boot], one.boottime)):
        said[one.fields["id"]].append(one)
    for id_, ones in said.items():
        what = [one.fields["vs"] for one in ones]
        is_sure = not any(excuses.cover_time(true_time(clocks[one.boot], one.boottime), {"alarm"}) for one in ones)
        if is_sure and what not in (["raise"], ["raise", "clear"]):
            yield f"of the alarm {id_} is said: {', '.join(what)}"


def _flood(play: Play, events: list[Arrived]) -> Iterator[str]:
    """While the level is above the limit the alarm stands, and while it is below the other one it does not.

    Whether the agent still knew of an event that a power cut may have taken from it is not known to anybody.
    """
    clocks = {clock.boot: clock for clock in play.truth.clocks}
    excuses = Excuses(play)
    levels = [one for one in play.city.records.values() if one.fields["n"] == "level-1/water_level"]
    story: list[tuple[int, Arrived | Told]] = [
        (true_time(clocks[one.boot], one.boottime - ROUNDED), one) for one in events
    ]
    story += [(true_time(clocks[one.boot], one.boottime), one) for one in levels]
    story += [(true_time(clocks[told.boot], told.boottime), told) for told in play.city.told]
    story.sort(key=lambda entry: entry[0])
    cuts = excuses.forgetful()
    stands: bool | None = False
    changed = -BEHIND
    for now, one in story:
        while cuts and cuts[0] <= now:  # nobody knows of it until the next health
            cuts.pop(0)
            stands = None
        if isinstance(one, Told):
            if now >= changed + BEHIND:
                stands = "flood" in one.standing.values()
        elif "id" in one.fields:
            stands = None if excuses.cover_time(now, {"alarm"}) else one.fields["vs"] == "raise"
            changed = now
        elif "v" in one.fields and not excuses.cover_time(now, {"alarm"}):
            level = one.fields["v"]
            if stands and level < OVER:
                yield f"at {now / SECOND:.3f} s the level is {level} m, and the alarm stands"
            if stands is False and level > FLOOD:
                yield f"at {now / SECOND:.3f} s the level is {level} m, and no alarm stands"
