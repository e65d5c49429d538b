"""Plays one seed: the agent's runs, one after the other, and what befalls them."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent import logs
from agent.app import Agent
from tests.simulation.broker import SimulatedBroker
from tests.simulation.city import City, standing
from tests.simulation.clock import STARTING, SimulatedClock
from tests.simulation.disk import SimulatedDisk
from tests.simulation.failover import Pair
from tests.simulation.loop import SimulatedLoop
from tests.simulation.losses import Excuses
from tests.simulation.ports import (
    Air,
    Button,
    Meter,
    RainGauge,
    SimulatedGpio,
    SimulatedSerial,
    Socket,
    Water,
)
from tests.simulation.scenario import (
    configuration,
    drawn,
    fitted,
    fitted_shape,
    fitted_troubles,
    shape_of,
    special,
    special_troubles,
)
from tests.simulation.truth import Truth
from tests.simulation.universe import SECOND, Dead, Universe
from tests.simulation.world import Manager, SimulatedRandom, SimulatedWorld

if TYPE_CHECKING:
    from agent.config.model import Uplink
    from agent.uplink.broker import Broker
    from tests.simulation.fit import Fit
    from tests.simulation.ports import Contact, Talker

LOOKS = frozenset({"size", "free", "names"})  # operations that change nothing and are of no interest in the trace
PATIENCE = 120.0  # seconds more, at the end, for what came last


@dataclass
class End:
    """How and when a run of the agent ended."""

    how: str  # "kill", "power", "stop"
    now: int
    power: int


@dataclass
class Spell:
    """A time in which a disk was in trouble."""

    how: str
    since: int
    until: int | None = None


class Play:
    """One simulation. `run` it, then judge it."""

    def __init__(self, seed: int, fit: Fit | None = None) -> None:
        """`fit`: a short one about one thing; else shape, configuration and all that goes wrong are drawn."""
        self.universe = universe = Universe(seed)
        chance = universe.chance("scenario")
        self.shape = shape_of(chance) if fit is None else fitted_shape(fit)
        which = seed % 16 if fit is None else fit.special
        config = special(configuration(chance, self.shape), universe, which)
        self.config = config if fit is None else fitted(config, fit)
        self.thinned = {
            f"{name}/{quantity}"
            for name, device in self.config.devices.items()
            for quantity, rules in device.rules.items()
            if rules.deadband is not None
        }
        self.truth = Truth(universe)
        self.city = City(universe)
        self.broker = SimulatedBroker(
            universe, self.city, window=chance.choice([2, 5, 20, 20, 20]), latency=chance.choice([0.01, 0.1, 1.0])
        )
        # The second uplink's: a partner that is given a part. Most seeds have none.
        self.partner = (
            SimulatedBroker(universe, City(universe), name="partner") if len(self.config.uplinks) > 1 else None
        )
        # Of the city's uplink, in some seeds: the broker and another one, before the same city.
        self.pair = (
            Pair(self.broker, SimulatedBroker(universe, self.city, name="backup"))
            if self.config.uplinks["city"].backup_url is not None
            else None
        )
        self.card = WatchedDisk(self, "card")
        self.young = WatchedDisk(self, "young", volatile=True)
        self.quiet_since: int | None = None
        self.clock = self._boot()
        self.stall = 0.0  # seconds that a job of the card takes on top
        self._stalled_until = 0  # true time at which the last of such jobs is over
        self.starts: list[int] = []  # of the agent's runs
        self.ends: list[End] = []
        self.card_spells: list[Spell] = []
        self.young_spells: list[Spell] = []
        self._fatal = 0  # at which of the disks' operations from now the agent dies; 0: at none
        self.fatal_start = 0  # at which of its operations the next start dies; 0: at none
        self.reached: set[str] = set()  # of what is seldom
        self._how = ""
        self._stop: asyncio.Event | None = None
        self._agent: Agent | None = None
        self.waiting: int | None = None  # records, at the end
        self.standing: dict[str, str] = {}  # alarms, at the end: names by id
        self._over = False
        self._chance = universe.chance("play")
        self._rests = fit.rests if fit is not None else None
        pace = self.shape.pace
        self.sockets = {
            path: Socket(path, device, self.truth)
            for path, device in (("/dev/air", "air-1"), ("/dev/level", "level-1"), ("/dev/meter", "meter-1"))
        }
        self.meter = Meter(universe, self.sockets["/dev/meter"])
        self.devices: dict[str, Talker | Meter] = {
            "/dev/air": Air(universe, self.sockets["/dev/air"], 8.0 * pace),
            "/dev/level": Water(universe, self.sockets["/dev/level"], 3.0 * pace),
            "/dev/meter": self.meter,
        }
        self.contacts: dict[int, Contact] = {
            27: Button(universe, self.truth, "panic-1", every=200.0 * pace, lasts=(0.1, 3.0), hold=0.03),
            17: RainGauge(universe, self.truth, "rain-1", every=40.0 * pace, lasts=(0.06, 0.2), hold=0.01),
        }
        self.seconds = self.shape.hours * 3600
        happens = drawn(chance, self.seconds, seed) if fit is None else fitted_troubles(chance, fit)
        for at, call in happens + special_troubles(universe, self.seconds, which):
            if at < self.seconds:  # what ends later is ended by `_heal`
                universe.after(at, lambda call=call: call(self))
        universe.after(self.seconds, self._heal)
        universe.after(self.seconds + self.shape.hush, self._hush)
        universe.after(self.seconds + self.shape.quiet, self._end)

    # --- the machine -----------------------------------------------------------------------------------------------

    def _boot(self) -> SimulatedClock:
        chance = self.universe.chance(f"boot {self.truth.power}")
        clock = SimulatedClock(self.universe, chance)
        self.truth.clocks.append(clock)
        if self.quiet_since is not None:
            clock.be_set()
        elif chance.random() < 0.9:
            late = chance.choice([0.0, chance.uniform(1, 60), chance.uniform(60, 1500)])

            def be_set() -> None:
                if self.clock is clock:
                    clock.be_set()

            self.universe.after(late, be_set)
        return clock

    def run(self) -> None:
        """Play it to the end."""
        with _Listening(self.universe):
            while not self._over:
                self._live()

    def _live(self) -> None:
        universe = self.universe
        universe.dying = False
        self._how = "stop"
        number = len(self.ends)
        world = SimulatedWorld(
            clock=self.clock,
            random=SimulatedRandom(universe.chance(f"agent {number}")),
            young=self.young,
            card=self.card,
            serial=SimulatedSerial(self.sockets, self.clock),
            pins=SimulatedGpio(self.contacts, self.clock),
            way=self._way,
            manager=Manager(),
        )
        loop = SimulatedLoop(universe, self.clock, self._delays)
        universe.tell("agent starts", f"{number} {self.clock.boot}")
        self.starts.append(universe.now)
        if self.fatal_start:
            self._how, self._fatal, self.fatal_start = "power", self.fatal_start, 0
            self.reached.add("power cut in the first moments of a start")
        with suppress(Dead):
            loop.run(self._be_agent(world))
        self._stop = self._agent = None
        self._fatal = self._stalled_until = 0
        for spell in self.card_spells:
            spell.until = min(spell.until, universe.now) if spell.until is not None else None
        self.ends.append(End(self._how, universe.now, self.truth.power))
        universe.dying = False
        universe.tell("agent ends", self._how)
        since = 0 if self._how == "power" else Excuses(self).remembered_until(self._how, universe.now)
        for broker in self.brokers():
            broker.city.forget_acks(since)
        self._leave()
        if self._how == "power":
            self._lose_power()
        else:
            self.young.kill()
            self.card.kill()
        if not self._over:
            rests = self._chance.choice([0.1, 1.0, self._chance.uniform(1, 60)])
            self._pass(rests if self._rests is None else self._rests)

    async def _be_agent(self, world: SimulatedWorld) -> None:
        self._stop = asyncio.Event()
        self._agent = Agent(self.config, world, version="1.0", config_problems=[])
        await self._agent.run(self._stop)

    def _way(self, uplink: Uplink) -> Broker:
        if self.partner is not None and uplink.id == "partner":
            return self.partner
        return self.broker if self.pair is None else self.pair.way(uplink, len(self.ends))

    def _leave(self) -> None:
        """What the process held is free."""
        if self.pair is not None:
            self.pair.leave()
        for broker in self.brokers():
            if broker.link is not None:
                broker.link.hang_up()
        for socket in self.sockets.values():
            socket.port = None
        for contact in self.contacts.values():
            contact.line = None
        self.meter.forget()

    def brokers(self) -> list[SimulatedBroker]:
        """Return those that there are."""
        return [self.broker] if self.partner is None else [self.broker, self.partner]

    def _lose_power(self) -> None:
        chance = self._chance
        for disk in (self.young, self.card):
            disk.power_cut(chance.randrange)
        self.young.heal()
        self._pass(STARTING + chance.uniform(1, 100))
        self.truth.power += 1
        self.clock = self._boot()

    def _pass(self, seconds: float) -> None:
        """Let time pass while no agent runs."""
        until = self.universe.now + round(seconds * SECOND)
        while self.universe.now < until:
            self.universe.go_on(until)

    def _delays(self) -> tuple[float, float]:
        chance = self._chance
        before, after = chance.uniform(0, 0.02), chance.uniform(0, 0.02)
        if self.stall:
            self._stalled_until = self.universe.now + round((before + self.stall + after) * SECOND)
            return (before + self.stall, after) if chance.random() < 0.5 else (before, after + self.stall)
        return before, after

    # --- what befalls it -------------------------------------------------------------------------------------------

    def kill(self, moment: int) -> None:
        """Kill the agent, now or at one of its next operations on a disk."""
        self._doom("kill", moment)

    def cut_power(self, moment: int) -> None:
        """Cut the power, at once or then."""
        self._doom("power", moment)

    def _doom(self, how: str, moment: int) -> None:
        if self._stop is None or self._over:
            return  # nobody runs
        self._how = how
        self._fatal = moment
        if not moment:
            self.universe.die()

    def before(self, disk: str, operation: str, name: str) -> None:
        """Be told of each operation of the disks."""
        universe = self.universe
        if universe.dying:
            raise Dead
        if operation not in LOOKS:
            universe.tell(disk, f"{operation} {name}")
        if self._fatal and self._stop is not None:
            self._fatal -= 1
            if not self._fatal:
                universe.die()

    def stop_agent(self) -> None:
        """Stop it in order."""
        if self._stop is not None:
            self._stop.set()

    def card_trouble(self, how: str) -> None:
        """Note that the card is in trouble."""
        self.universe.tell("card", how)
        self.card_spells.append(Spell(how, self.universe.now))

    def card_well(self, again: str = "") -> None:
        """Note that it is well, or that it is in one respect; what had stalled still takes its time."""
        self.universe.tell("card well", again)
        for spell in self.card_spells:
            if again in {"", spell.how}:
                until = max(self.universe.now, self._stalled_until if spell.how == "stall" else 0)
                spell.until = until if spell.until is None else spell.until

    def young_trouble(self, how: str) -> None:
        """Note that the young end is in trouble."""
        self.universe.tell("young", how)
        self.young_spells.append(Spell(how, self.universe.now))

    def young_well(self) -> None:
        """Note that it is well."""
        self.universe.tell("young well")
        _end_all(self.young_spells, self.universe.now)

    def _heal(self) -> None:
        """From here on nothing goes wrong any more."""
        self.universe.tell("quiet")
        self.broker.down, self.broker.deaf = None, False
        self.broker.latency = 0.01  # or a narrow window on a slow line would take longer than anybody watches
        self.broker.refused.clear()
        self.broker.lose_next, self.broker.withhold_next = "", False
        self.broker.drop()
        if self.partner is not None:
            self.partner.down = None
            self.partner.drop()
        if self.pair is not None:
            self.pair.heal()
        self.stall = 0.0
        self._fatal = self.fatal_start = 0
        self.card.heal()
        self.young.heal()
        self.card_well()
        self.young_well()
        self.clock.be_set()
        for socket in self.sockets.values():
            socket.there = True
        for device in self.devices.values():
            device.quiet = False
        self.quiet_since = self.universe.now

    def _hush(self) -> None:
        """Let the devices fall silent, so that the last of what they said can go up."""
        for device in (*self.devices.values(), *self.contacts.values()):
            device.quiet = True

    def _end(self) -> None:
        """End as soon as nothing waits, or when it has had its time."""
        self.waiting = None
        if self._agent is not None:
            self.waiting = sum(sum(one.values()) for one in self._agent._journal.status().waiting.values())
        if self.waiting and self.universe.now < (self.seconds + self.shape.quiet + PATIENCE) * SECOND:
            self.universe.after(1.0, self._end)
            return
        if self._agent is not None:
            self.standing = standing(self._agent._health.document())
        self._over = True
        if self._stop is not None:
            self._stop.set()


class WatchedDisk(SimulatedDisk):
    """A disk whose every operation is in the trace, with what was written."""

    def __init__(self, play: Play, name: str, *, volatile: bool = False) -> None:
        super().__init__(volatile=volatile)
        self.before = lambda operation, file: play.before(name, operation, file)

    def used(self) -> int:
        """Return how many bytes there are."""
        return sum(len(inode.content) for inode in self._names.values())


def _end_all(spells: list[Spell], now: int) -> None:
    for spell in spells:
        if spell.until is None:
            spell.until = now


class _Listening(logging.Handler):
    """Puts what the agent logs into the trace; what says that a part of it failed is a fault."""

    NEVER = frozenset({"part_failed", "does_not_stop", "memory_unreadable"})

    def __init__(self, universe: Universe) -> None:
        super().__init__()
        self._universe = universe
        self._logger = logging.getLogger(logs.ROOT)

    def __enter__(self) -> None:
        self._before = self._logger.level, self._logger.propagate
        self._logger.setLevel(logging.INFO)
        self._logger.propagate = False
        self._logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
        self._logger.level, self._logger.propagate = self._before

    def emit(self, record: logging.LogRecord) -> None:
        """Take one event."""
        event, fields = record.__dict__["event"], record.__dict__["fields"]
        line = f"{event} {fields}"
        self._universe.tell("log", line)
        if event in self.NEVER or fields.get("fault") == "quarantined":
            error = record.exc_info[1] if record.exc_info else None
            trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
            self._universe.fault(f"{line} {error!r} {trace}")
