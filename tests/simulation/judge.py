"""Holds what the city has against what was measured: docs/promises.md, line by line."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from agent.journal.ranges import Ranges
from agent.receiver import Account
from tests.simulation.alarms import alarms
from tests.simulation.failover import failover
from tests.simulation.losses import ROUNDED, Excuses, losses, true_time
from tests.simulation.universe import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.simulation.city import Arrived, Name
    from tests.simulation.play import Play

SETTLES = 0.02  # seconds after which a tip counts


def judge(play: Play) -> list[str]:
    """Return everything that is wrong; an empty list is a good verdict."""
    judges = (_never, _waiting, _dates, _order, _numbers, _partner, failover, losses, alarms, _rain)
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
    """In live and in history the readings of a device come in the order in which they were made.

    What had been given up may come after all, and late: where a power cut finds a card that never heard of it. What
    was refused comes after what was on its way at that moment, if the broker has changed its mind in between; what was
    too large although alone comes when it can; and what a card would not give back for a while comes when it does
    (docs/wire.md).
    """
    clocks = {clock.boot: clock for clock in play.truth.clocks}
    unread = max((spell.since for spell in play.card_spells if spell.how == "read"), default=-1)
    boots = {clock.boot: rank for rank, clock in enumerate(play.truth.clocks)}
    given_up = {(series.epoch, series.stream): one.given_up for series, one in play.city.receiver.accounts.items()}
    last: dict[tuple[str, str], tuple[tuple[int, float], Arrived]] = {}
    for one in play.city.records.values():
        epoch, stream, number = one.name
        if one.topic not in {"live", "history"} or given_up[epoch, stream].covers(number, number):
            continue
        if one.name in play.city.set_aside:
            continue
        key = (one.topic, one.fields["n"].partition("/")[0])
        place = (boots[one.boot], one.boottime + 0.0005)
        before = last.get(key)
        if before is not None and (before[0] > (place[0], place[1] + ROUNDED) or _backwards(before[1].name, one.name)):
            if before[1].sent <= play.city.refused.get(one.name, -1):
                continue
            if true_time(clocks[one.boot], one.boottime) <= unread:
                continue
            yield f"{one.name} came on {one.topic} after {before[1].name}"
        last[key] = (place, one)


def _backwards(before: Name, now: Name) -> bool:
    return before.epoch == now.epoch and before.number > now.number


def _numbers(play: Play) -> Iterator[str]:
    """From 1 to the last known number of each series, each came or is in the ledger.

    No ledger can speak of an epoch that ended in a power cut before the card took its first commit.
    """
    unheard_of = Excuses(play).unheard_of()
    for broker in play.brokers():
        nameless = {one.name.epoch for one in broker.city.records.values() if one.boot in unheard_of}
        for series, account in broker.city.receiver.accounts.items():
            if account.lost_from is None and series.epoch in nameless:
                continue
            known = Ranges([*account.received, *account.given_up, *account.left_out])
            last = max((end for _, end in known), default=0)
            if account.lost_from is not None:
                last = min(last, account.lost_from - 1)
            for gap in known.gaps(1, last):
                yield f"{broker.name}: {series.epoch} {series.stream}: {gap} neither came nor are accounted for"
    if any(spell.how == "read" for spell in play.card_spells):
        return
    for one in play.city.records.values():
        if one.fields["n"] == "damaged":  # nothing here damages what had reached the card and can be read
            yield f"the ledger speaks of damage: {one.fields}"


def _partner(play: Play) -> Iterator[str]:
    """What a partner has is what the city has, as far as it is his, but for what the ledger or a power cut took."""
    if play.partner is None:
        return
    uplink, city = play.config.uplinks["partner"], play.partner.city
    for one in city.records.values():
        of = one.fields["n"].partition("/")[0].partition(":")[0]
        if one.name.stream in {"telemetry", "alarm"} and of not in (uplink.devices or ()):
            yield f"the partner got {one.name} {one.fields}, which is not his"
    accounts = {(series.epoch, series.stream): account for series, account in city.receiver.accounts.items()}
    clocks = {clock.boot: clock for clock in play.truth.clocks}
    excuses = Excuses(play)
    for one in play.city.records.values():
        epoch, stream, number = one.name
        of = one.fields["n"].partition("/")[0].partition(":")[0]
        if stream != "telemetry" or of not in (uplink.devices or ()) or one.name in city.records:
            continue
        account = accounts.get((epoch, stream), Account())
        is_cut = account.lost_from is not None and number >= account.lost_from
        if is_cut and excuses.cover_time(true_time(clocks[one.boot], one.boottime), {stream}):
            continue
        if not account.given_up.covers(number, number):
            yield f"the partner never got {one.name} {one.fields}, nor an entry of the ledger on it"


# --- what is kept ----------------------------------------------------------------------------------------------------


def _rain(play: Play) -> Iterator[str]:
    """The total of the rain gauge goes on: after each kill exactly, after a power cut but for the last minute.

    A kill that tmpfs could keep little from takes tips as well, also some that are in totals that went up.
    """
    excuses = Excuses(play)
    killed = [(excuses.remembered_until(end.how, end.now), end) for end in play.ends]
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
        begin, end = (true_time(play.truth.clocks[now[0]], one[1]) for one in (before, now))
        gaps = [(since, kill.now) for since, kill in killed if begin < kill.now <= end and since < kill.now]
        forgotten = [tip for tip in tips if any(since - SETTLES * SECOND <= tip.now <= until for since, until in gaps)]
        least -= sum(tip.sure or tip.boottime <= before[1] * SECOND for tip in forgotten)
        fell = round((now[2] - before[2]) / 0.2)
        if not least <= fell <= most:
            yield f"rain rose by {fell} tips to {now[3]} at {now[1]:.3f} s, not by {least} to {most}"
