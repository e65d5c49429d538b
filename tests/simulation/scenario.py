"""What goes wrong in one simulation, and when: all of it from the seed."""

from __future__ import annotations

import errno
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.config.load import load
from agent.uplink.broker import LinkFault

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from agent.config.model import Config
    from tests.simulation.broker import SimulatedBroker
    from tests.simulation.play import Play
    from tests.simulation.universe import Universe

QUIET = 200.0  # seconds at the end in which nothing goes wrong, and everything must come to an end
HUSH = 60.0  # seconds of it in which the devices still speak
COMMITTED = 35.0  # seconds within which there is a commit, whatever is configured
REFUSALS = (0x80, 0x83, 0x87, 0x89, 0x93, 0x97, 0x95)  # reason codes of MQTT 5, section 2.4


@dataclass(frozen=True)
class Shape:
    """The size of a simulation."""

    name: str
    hours: float
    pace: float  # how slowly the devices speak


SHAPES = (
    Shape("ten minutes", 1 / 6, 0.5),
    Shape("an hour", 1.0, 4.0),
    Shape("a day", 24.0, 60.0),
    Shape("a week", 168.0, 400.0),
)


def shape_of(chance: Random) -> Shape:
    """Draw a shape: mostly short ones."""
    return chance.choices(SHAPES, weights=(600, 190, 9, 1))[0]


def configuration(chance: Random, shape: Shape) -> Config:
    """Draw a configuration."""
    thin = chance.choice(["", "", "", "[devices.level-1.water_level]\ndeadband = 0.1"])
    interval = chance.choice([1, 2, 5, 10, 10, 30])
    young_limit = chance.choice([24, 48, 64, 1024]) * 1024
    config = load(f"""
        [gateway]
        id = "pkt-0001"
        [uplinks.city]
        url = "mqtt://city:1883"
        window = {chance.choice([2, 10, 20, 20])}
        ack_within = "{chance.choice([2, 10])} s"
        live_within = "{chance.choice([5, 30])} s"
        compression = "{chance.choice(["deflate", "deflate", "none"])}"
        [journal]
        commit_interval = "{interval} s"
        young_limit = "64 KiB"
        limit = "{chance.choice([1, 256])} MiB"
        pack_within = "{chance.choice([0, 1, 1, 5])} s"
        pack_size = {chance.choice([3, 20, 100])}
        hold_undated = "{chance.choice([0, 30, 600])} s"
        [devices.air-1]
        driver = "plantower"
        port = "/dev/air"
        warm_up = "0 s"
        silent_after = "{round(60 * shape.pace)} s"
        [devices.level-1]
        driver = "a02yyuw"
        port = "/dev/level"
        mount_height = 5.0
        silent_after = "{round(30 * shape.pace)} s"
        {thin}
        [[devices.level-1.alarms]]
        name = "flood"
        quantity = "water_level"
        above = 4.0
        clear = 3.0
        [devices.meter-1]
        driver = "sdm120"
        port = "/dev/meter"
        every = "{round(20 * shape.pace)} s"
        silent_after = "{round(90 * shape.pace)} s"
        [devices.panic-1]
        driver = "button"
        pin = 27
        [devices.rain-1]
        driver = "rain_gauge"
        pin = 17
        [devices.siren-1]
        driver = "siren"
        pin = 22
        sounds_for = ["panic-1"]
    """)
    # Below what a configuration may say: so that an hour of readings is too much.
    return replace(config, journal=replace(config.journal, young_limit=young_limit))


def special(config: Config, universe: Universe) -> Config:
    """Make the configuration of some seeds special, by chance of its own: the others stay what they were."""
    chance = universe.chance("special")
    journal = config.journal
    match universe.seed % 16:
        case 4:
            limit = chance.choice([12, 24, 48]) * 1024
            journal = replace(journal, limit=limit, young_limit=min(limit, journal.young_limit))
        case 6 | 14:
            partner = replace(
                config.uplinks["city"],
                id="partner",
                devices=("level-1", *chance.choice([(), ("panic-1",)])),
                alarms=chance.random() < 0.5,
                quota=chance.choice([8, 16, 4096]) * 1024,
            )
            return replace(config, uplinks={**config.uplinks, "partner": partner})
    return replace(config, journal=journal)


# --- troubles --------------------------------------------------------------------------------------------------------

Trouble = tuple[float, "Callable[[Play], None]"]  # seconds from the beginning, and what happens


def troubles(chance: Random, seconds: float, seed: int) -> list[Trouble]:
    """Draw what goes wrong. Each kind is drawn often, seldom or not at all: pure cases are told apart best.

    Every second seed is about one thing, which then happens often: what takes two faults at once to go wrong would
    otherwise be met too seldom.
    """
    kinds = {
        _kill: 8,
        _power: 3,
        _stop: 2,
        _outage: 6,
        _break: 8,
        _refusal: 4,
        _card: 5,
        _young: 2,
        _clock: 4,
        _device: 2,
        _failed_syncs: 1,
    }
    theme = THEMES[seed // 2 % len(THEMES)] if seed % 2 else ()
    drawn: list[Trouble] = []
    for kind, most in kinds.items():
        count = chance.choice([0, 0, 1, chance.randint(0, most), chance.randint(0, most)])
        if theme:
            count = chance.randint(most, 2 * most) if kind in theme else 0
        for _ in range(count):
            at = chance.uniform(0, seconds)
            drawn += [(at + after, call) for after, call in kind(chance)]
    return sorted(drawn, key=lambda one: one[0])


def special_troubles(universe: Universe, seconds: float) -> list[Trouble]:
    """Draw what goes wrong in the seeds that are special."""
    chance = universe.chance("special troubles")
    begin, end = seconds * chance.uniform(0, 0.2), seconds * chance.uniform(0.6, 0.95)

    def away(play: Play, *, broker: SimulatedBroker | None) -> None:
        if broker is not None:
            play.universe.tell("outage", f"of {broker.name}")
            broker.down = LinkFault.UNREACHABLE
            broker.drop()

    def back(broker: SimulatedBroker | None) -> None:
        if broker is not None:
            broker.down = None

    match universe.seed % 16:
        case 0:
            return _crash_loop(chance, begin)
        case 4:
            return [
                (begin, lambda play: away(play, broker=play.broker)),
                (end, lambda play: back(play.broker)),
            ]
        case 6 | 14:
            return [
                (begin, lambda play: away(play, broker=play.partner)),
                (end, lambda play: back(play.partner)),
            ]
        case 12:
            moments = [chance.randint(1, 40) for _ in range(3)]
            return [
                *_both_refuse(chance, begin),
                *(one for moment in moments for one in _cut_start(chance, moment, end)),
            ]
    return []


def _crash_loop(chance: Random, at: float) -> list[Trouble]:
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
    happens: list[Trouble] = [(at, begin)]
    for _ in range(40):
        at += chance.uniform(1, 4)
        happens.append((at, lambda play: play.kill(0)))
    return [*happens, (at + chance.uniform(0, 3), end)]


def _both_refuse(chance: Random, at: float) -> list[Trouble]:
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


def _cut_start(chance: Random, moment: int, until: float) -> list[Trouble]:
    """Kill the agent, and cut the power at one of the first operations of the start that follows."""

    def begin(play: Play) -> None:
        play.fatal_start = moment
        play.kill(0)

    return [(chance.uniform(0, until), begin)]


def _moment(chance: Random) -> int:
    """Draw at which of the disk's operations from now on: 0 is between them all."""
    return chance.choice([0, chance.randint(1, 8), chance.randint(1, 60)])


def _kill(chance: Random) -> list[Trouble]:
    moment = _moment(chance)
    return [(0.0, lambda play: play.kill(moment))]


def _power(chance: Random) -> list[Trouble]:
    moment = _moment(chance)
    return [(0.0, lambda play: play.cut_power(moment))]


def _stop(chance: Random) -> list[Trouble]:
    del chance
    return [(0.0, lambda play: play.stop_agent())]


def _outage(chance: Random) -> list[Trouble]:
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


def _break(chance: Random) -> list[Trouble]:
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


def _refusal(chance: Random) -> list[Trouble]:
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


def _card(chance: Random) -> list[Trouble]:
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


def _failed_syncs(chance: Random) -> list[Trouble]:
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
        play.card_well("sync")

    def back(play: Play) -> None:
        play.broker.down = None

    at = 10.0
    for _ in range(chance.randint(1, 5)):
        happens += [(at, fail), (at + COMMITTED, well)]
        at += COMMITTED + chance.uniform(1, 20)
    power = at + COMMITTED + chance.uniform(0, 20)
    return [(0.0, away), *happens, (power, lambda play: play.cut_power(0)), (power + 1, back)]


def _young(chance: Random) -> list[Trouble]:
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


def _clock(chance: Random) -> list[Trouble]:
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


def _device(chance: Random) -> list[Trouble]:
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


THEMES = (
    (_kill, _break),
    (_power, _card, _outage, _failed_syncs),
    (_refusal, _break),
    (_kill, _power, _clock),
    (_young, _kill, _outage),
)
