"""What goes wrong in one simulation, and when: all of it from the seed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.config.load import load
from agent.uplink.broker import LinkFault
from tests.simulation.failover import brokers_away
from tests.simulation.troubles import (
    KINDS,
    both_refuse,
    broken_line,
    card,
    clock,
    crash_loop,
    cut_start,
    device,
    failed_syncs,
    kill,
    outage,
    power_cut,
    refusal,
    stop,
    young,
)

if TYPE_CHECKING:
    from random import Random

    from agent.config.model import Config
    from tests.simulation.broker import SimulatedBroker
    from tests.simulation.fit import Fit
    from tests.simulation.play import Play
    from tests.simulation.troubles import Trouble
    from tests.simulation.universe import Universe


@dataclass(frozen=True)
class Shape:
    """The size of a simulation."""

    name: str
    hours: float
    pace: float  # how slowly the devices speak
    quiet: float = 200.0  # seconds at the end in which nothing goes wrong, and everything must come to an end
    hush: float = 60.0  # seconds of it in which the devices still speak


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


def special(config: Config, universe: Universe, which: int | None) -> Config:
    """Make the configuration of some seeds special, by chance of its own: the others stay what they were.

    `which` of sixteen: the lowest bits of a seed, unless the simulation is fitted for something.
    """
    chance = universe.chance("special")
    journal = config.journal
    match which:
        case 2:
            city = replace(
                config.uplinks["city"],
                backup_url="mqtt://backup:1883",
                failover_after=chance.choice([5.0, 20.0, 60.0]),
                failback_after=chance.choice([10.0, 30.0, 90.0]),
            )
            return replace(config, uplinks={"city": city})
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

THEMES = (
    (kill, broken_line),
    (power_cut, card, outage, failed_syncs),
    (refusal, broken_line),
    (kill, power_cut, clock),
    (young, kill, outage),
)


def drawn(chance: Random, seconds: float, seed: int) -> list[Trouble]:
    """Draw what goes wrong. Each kind is drawn often, seldom or not at all: pure cases are told apart best.

    Every second seed is about one thing, which then happens often: what takes two faults at once to go wrong would
    otherwise be met too seldom.
    """
    kinds = {
        kill: 8,
        power_cut: 3,
        stop: 2,
        outage: 6,
        broken_line: 8,
        refusal: 4,
        card: 5,
        young: 2,
        clock: 4,
        device: 2,
        failed_syncs: 1,
    }
    theme = THEMES[seed // 2 % len(THEMES)] if seed % 2 else ()
    happens: list[Trouble] = []
    for kind, most in kinds.items():
        count = chance.choice([0, 0, 1, chance.randint(0, most), chance.randint(0, most)])
        if theme:
            count = chance.randint(most, 2 * most) if kind in theme else 0
        for _ in range(count):
            at = chance.uniform(0, seconds)
            happens += [(at + after, call) for after, call in kind(chance)]
    return sorted(happens, key=lambda one: one[0])


def special_troubles(universe: Universe, seconds: float, which: int | None) -> list[Trouble]:
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

    match which:
        case 0:
            return [(begin + after, call) for after, call in crash_loop(chance)]
        case 2:
            return brokers_away(chance, seconds)
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
                *both_refuse(chance, begin),
                *(one for moment in moments for one in cut_start(chance, moment, end)),
            ]
    return []


# --- short ones about one thing --------------------------------------------------------------------------------------


def fitted_shape(fit: Fit) -> Shape:
    """Return the shape of a simulation that is fitted for something."""
    return Shape("fitted", fit.seconds / 3600, 0.5, hush=10.0)


def fitted(config: Config, fit: Fit) -> Config:
    """Return the configuration with what is fitted."""
    devices = {name: device for name, device in config.devices.items() if name not in fit.without}
    return replace(config, devices=devices, journal=replace(config.journal, **fit.journal))


def fitted_troubles(chance: Random, fit: Fit) -> list[Trouble]:
    """Draw what goes wrong: each kind as often as is said, at any moment."""
    happens = KINDS[fit.first](chance) if fit.first else []
    for kind, count in fit.troubles.items():
        for _ in range(count):
            at = chance.uniform(0, fit.seconds)
            happens += [(at + after, call) for after, call in KINDS[kind](chance)]
    return sorted(happens, key=lambda one: one[0])
