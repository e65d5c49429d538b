"""What may go wrong: each kind draws when something begins and ends, and what it does to a play."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from agent.uplink.broker import LinkFault

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from tests.simulation.play import Play

COMMITTED = 35.0  # seconds within which there is a commit, whatever is configured
REFUSALS = (0x80, 0x83, 0x87, 0x89, 0x93, 0x97, 0x95)  # reason codes of MQTT 5, section 2.4

Trouble = tuple[float, "Callable[[Play], None]"]  # seconds from the beginning, and what happens


def _moment(chance: Random) -> int:
    """Draw at which of the disk's operations from now on: 0 is between them all."""
    return chance.choice([0, chance.randint(1, 8), chance.randint(1, 60)])


def kill(chance: Random) -> list[Trouble]:
    """Kill the agent, at once or at one of its next operations on a disk."""
    moment = _moment(chance)
    return [(0.0, lambda play: play.kill(moment))]


def power_cut(chance: Random) -> list[Trouble]:
    """Cut the power, at once or then."""
    moment = _moment(chance)
    return [(0.0, lambda play: play.cut_power(moment))]


def stop(chance: Random) -> list[Trouble]:
    """Stop the agent in order."""
    del chance
    return [(0.0, lambda play: play.stop_agent())]


def outage(chance: Random) -> list[Trouble]:
    """Nothing goes up for a while."""
    lasts = chance.choice([chance.uniform(1, 20), chance.uniform(20, 1500)])
    how = chance.choice(["down", "slow", "deaf"])

    def begin(play: Play) -> None:
        play.universe.tell("outage", f"{how} {lasts:.0f}")
        if how == "deaf":
            play.broker.deaf = True
            return
        play.broker.down = LinkFault.UNREACHABLE if how == "down" else LinkFault.TIMED_OUT
        play.broker.drop()

    def end(play: Play) -> None:
        play.broker.down = None
        play.broker.deaf = False
        play.universe.tell("outage over")

    return [(0.0, begin), (lasts, end)]


def broken_line(chance: Random) -> list[Trouble]:
    """Break the line, or have it lose or withhold an acknowledgement."""
    how = chance.choice(["now", "before", "after", "withhold"])

    def break_(play: Play) -> None:
        play.universe.tell("break", how)
        if how == "now":
            play.broker.drop()
        elif how == "withhold":
            play.broker.withhold_next = True
        else:
            play.broker.lose_next = how

    return [(0.0, break_)]


def refusal(chance: Random) -> list[Trouble]:
    """Have the broker refuse what goes to one topic."""
    code = chance.choice(REFUSALS)
    topic = chance.choice(["live", "history", "history", "alarms", "ledger", "anchors", "health"])
    lasts = chance.choice([1.0, 10.0, 300.0]) * chance.random()
    away = chance.choice([0.0, 5.0, 20.0])  # seconds without a line before: then much is on the way at once

    def leave(play: Play) -> None:
        if away:
            play.broker.down = LinkFault.UNREACHABLE
            play.broker.drop()

    def begin(play: Play) -> None:
        play.universe.tell("refusal", f"{code:#x} {topic} {lasts:.0f}")
        play.broker.refused[topic] = code
        if away:
            play.broker.down = None

    def end(play: Play) -> None:
        play.broker.refused.pop(topic, None)
        if code == 0x95:  # set aside until the next connection
            play.broker.drop()

    return [(0.0, leave), (away, begin), (away + 2.0 + lasts, end)]


def card(chance: Random) -> list[Trouble]:
    """Have the card fail in one of its ways."""
    how = chance.choice(["stall", "stall", "full", "read_only", "sync", "write", "create", "remove", "read"])
    lasts = chance.choice([0.0, chance.uniform(1, 300)])
    times = chance.choice([1, 1, 3])

    def begin(play: Play) -> None:
        play.card_trouble(how)
        match how:
            case "stall":
                play.stall = 60.0
            case "full":
                play.card.capacity = play.card.used() + chance_bytes
            case "read_only":
                play.card.read_only = True
            case "read":
                play.card.refuse("read", errno.EIO, times=1)
            case _:
                code = errno.EIO if how == "sync" else errno.ENOSPC
                play.card.refuse(how, code, times=times)

    def end(play: Play) -> None:
        play.stall = 0.0
        play.card.heal()
        play.card_well()

    chance_bytes = chance.randint(0, 5000)
    return [(0.0, begin), (lasts, end)]


def failed_syncs(chance: Random) -> list[Trouble]:
    """While nothing goes up, some syncs fail once; long after, the power fails, and shows what they had brought."""
    happens: list[Trouble] = []

    def away(play: Play) -> None:
        play.universe.tell("outage", "of failed syncs")
        play.broker.down = LinkFault.UNREACHABLE
        play.broker.drop()

    def fail(play: Play) -> None:
        play.card_trouble("sync")
        play.card.refuse("sync", errno.EIO)

    def well(play: Play) -> None:
        play.card.relent("sync")
        play.card_well("sync")

    def back(play: Play) -> None:
        play.broker.down = None

    at = 10.0
    for _ in range(chance.randint(1, 5)):
        happens += [(at, fail), (at + COMMITTED, well)]
        at += COMMITTED + chance.uniform(1, 20)
    power = at + COMMITTED + chance.uniform(0, 20)
    return [(0.0, away), *happens, (power, lambda play: play.cut_power(0)), (power + 1, back)]


def young(chance: Random) -> list[Trouble]:
    """Have tmpfs fail in one of its ways."""
    how = chance.choice(["full", "write", "create"])
    lasts = chance.uniform(1, 100)
    extra = chance.randint(0, 3000)

    def begin(play: Play) -> None:
        play.young_trouble(how)
        if how == "full":
            play.young.capacity = play.young.used() + extra
        else:
            play.young.refuse(how, errno.ENOSPC)

    def end(play: Play) -> None:
        play.young.heal()
        play.young_well()

    return [(0.0, begin), (lasts, end)]


def clock(chance: Random) -> list[Trouble]:
    """Step the clock, or leave it alone."""
    how = chance.choice(["step", "step", "alone", "again"])
    by = chance.choice([-1, 1]) * chance.choice([0.04, 1.0, 3600.0, 86_400.0 * 300])

    def begin(play: Play) -> None:
        match how:
            case "step":
                play.clock.step(by)
            case "alone":
                play.clock.be_alone()
            case _:
                play.clock.be_set()

    return [(0.0, begin), (chance.uniform(1, 900), lambda play: play.clock.be_set())]


def device(chance: Random) -> list[Trouble]:
    """Unplug or silence a device."""
    which = chance.choice(["/dev/air", "/dev/level", "/dev/meter"])
    lasts = chance.uniform(1, 300)
    how = chance.choice(["unplug", "quiet"])

    def set_(play: Play, *, well: bool) -> None:
        play.universe.tell("device", f"{which} {how} {'over' if well else ''}")
        if how == "quiet":
            play.devices[which].quiet = not well
        elif well:
            play.sockets[which].there = True
        else:
            play.sockets[which].unplug()

    return [(0.0, lambda play: set_(play, well=False)), (lasts, lambda play: set_(play, well=True))]


def crash_loop(chance: Random) -> list[Trouble]:
    """While nothing goes up, no run lasts for long enough to commit at its leisure; then the power fails."""

    def begin(play: Play) -> None:
        play.reached.add("a crash loop, and a power cut")
        play.universe.tell("outage", "and a crash loop")
        play.broker.down = LinkFault.UNREACHABLE
        play.broker.drop()

    def end(play: Play) -> None:
        play.broker.down = None
        play.fatal_start = moment
        play.kill(0)

    moment = chance.randint(1, 40)
    happens: list[Trouble] = [(0.0, begin)]
    at = 0.0
    for _ in range(40):
        at += chance.uniform(1, 4)
        happens.append((at, lambda play: play.kill(0)))
    return [*happens, (at + chance.uniform(0, 3), end)]


def both_refuse(chance: Random, at: float) -> list[Trouble]:
    """Neither tmpfs nor the card takes anything."""

    def begin(play: Play) -> None:
        play.reached.add("young end and card refuse together")
        play.young_trouble("full")
        play.young.capacity = play.young.used()
        play.card_trouble("read_only")
        play.card.read_only = True

    def end(play: Play) -> None:
        play.young.heal()
        play.young_well()
        play.card.heal()
        play.card_well()

    return [(at, begin), (at + chance.uniform(5, 60), end)]


def cut_start(chance: Random, moment: int, until: float) -> list[Trouble]:
    """Kill the agent, and cut the power at one of the first operations of the start that follows."""

    def begin(play: Play) -> None:
        play.fatal_start = moment
        play.kill(0)

    return [(chance.uniform(0, until), begin)]


KINDS: Mapping[str, Callable[[Random], list[Trouble]]] = {
    kind.__name__: kind
    for kind in (
        kill,
        power_cut,
        stop,
        outage,
        broken_line,
        refusal,
        card,
        failed_syncs,
        young,
        clock,
        device,
        crash_loop,
    )
}
