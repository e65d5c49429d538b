"""The soak: a cabinet's readings through the real process, with outages on the way, and its footprint all along."""

from __future__ import annotations

import asyncio
import gc
import itertools
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiomqtt

from hil.audit import audit
from hil.devices.talker import Ailment
from hil.emissions import Cut, Deaf
from tests.brokers import Mosquitto
from tests.soak.counting import MODELS
from tests.soak.feed import AN_HOUR, PACE, Feed
from tests.soak.footprint import Footprint, footprint
from tests.soak.slope import growth
from tests.system.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from hil.audit import Account

HERE = Path(__file__).parent
UNIT = HERE.parents[1] / "systemd/roadside.service"
SAMPLES = 480  # of the footprint, evenly over the readings
LOOKS_EVERY = 0.02  # seconds
DAY = 24.0  # hours
WARM_UP = 1 / 2  # of the soak, which the slope leaves out: until every kind of outage has been met once
STANDS_STILL = 60.0  # seconds without a single new reading, after which the soak is given up
DRAINS_WITHIN = 300.0  # seconds: a minute until the agent tries a link that is back, and the rest for the backlog
JUST_READ = 100  # readings: what waits when nothing does, for the meter is asked all the time
ECHOES_WITHIN = 60.0  # seconds
ASKED = "meter-1"
PATIENCE = 0.2  # seconds: what the rig answers later than this after the question, who asked may not have waited for
CATCHES_UP = 0.5  # seconds in which the rig, awake again, has answered what was asked meanwhile, and is asked anew
# Seconds: a busy machine reads late. What the sensors report does not come again for more than twice as long.
TOLERANCE = 2.0
# A city that is slow for a moment must not make its broker forget what it has acknowledged.
UNLIMITED = ("max_queued_messages 0", "max_inflight_messages 0")


@dataclass(frozen=True, slots=True)
class Sample:
    """The footprint after so many hours' worth of readings."""

    hour: float
    seconds: float  # since the start, of real time
    footprint: Footprint


@dataclass(slots=True)
class Soaked:
    """What came of it."""

    hours: float
    seconds: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)  # what was done, in order
    account: Account | None = None
    faults: list[str] = field(default_factory=list)  # offences against the specification of the wire
    reconnects: int = 0
    commits: int = 0
    overrun: int = 0  # reports that came when a line was full
    stalls: int = 0  # of the rig

    def settled(self) -> list[Sample]:
        """Return the samples after the warm-up."""
        return [sample for sample in self.samples if sample.hour >= self.hours * WARM_UP]

    def growth(self, what: str) -> float:
        """Return how far a part of the footprint grows in a day's worth of readings, as a share of its median."""
        return growth([(one.hour, getattr(one.footprint, what)) for one in self.settled()], DAY)


class Soak:
    """One soak. `ratio` is how many times quicker the devices may be than real ones."""

    def __init__(self, hours: float, ratio: float, folder: Path, *, tell: Callable[[str], None]) -> None:
        self.outcome = Soaked(hours)
        self._ratio = ratio
        self._folder = folder
        self._tell = tell
        self._echoes = itertools.count(1)
        self._stalls: list[Cut] = []
        self._broker: Mosquitto
        self._gateway: Gateway
        self._feed: Feed

    async def run(self) -> Soaked:
        """Soak; raises TimeoutError or AssertionError if the agent stands still, does not stop, or not cleanly."""
        async with AsyncExitStack() as stack:
            self._broker = Mosquitto(self._folder / "broker", *UNLIMITED)
            stack.callback(self._broker.stop)
            self._broker.start()
            self._gateway = await stack.enter_async_context(
                Gateway(
                    self._broker.url,
                    config=HERE / "gateway.toml",
                    plan=HERE / "cabinet.toml",
                    on_wires=MODELS,
                    wrap=_as_shipped,
                )
            )
            began = time.monotonic()
            self._feed = Feed(self._gateway.cabinet, self._ratio)
            async with self._awake():
                async with self._feed.running():
                    await self._gateway.well(*PACE)
                    await self._watch(began)
                self.outcome.seconds = time.monotonic() - began
                await self._settle()
        return self.outcome

    @property
    def _hour(self) -> float:
        emitted = sum(len(device.emitted) for device in self._gateway.cabinet.devices.values())
        return emitted / AN_HOUR

    @asynccontextmanager
    async def _awake(self) -> AsyncIterator[None]:
        """Take note while the context lasts of each time at which the rig itself stood still.

        The meter then answers late, perhaps when who asked has given up and thrown away what came: no wire tells. The
        collector would have a million emissions to look through, which takes longer than the agent waits for an answer.
        """
        gc.disable()
        task = asyncio.create_task(self._note_stalls())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})
            gc.enable()

    async def _note_stalls(self) -> None:
        while True:
            before = time.time()
            await asyncio.sleep(LOOKS_EVERY)
            if (now := time.time()) - before > PATIENCE:
                self.outcome.stalls += 1
                self._stalls.append(Cut(ASKED, before, now + CATCHES_UP))

    async def _watch(self, began: float) -> None:
        """Take samples and make trouble as the hours go by."""
        hours = self.outcome.hours
        todo = [(hour * hours / DAY, trouble) for hour, trouble in self._day()]
        reached, reached_at = -1.0, began
        while (hour := self._hour) < hours or todo:
            now = time.monotonic()
            if hour > reached:
                reached, reached_at = hour, now
            elif now - reached_at > STANDS_STILL:
                raise TimeoutError(f"no new reading for {STANDS_STILL:g} s at hour {hour:.2f}\n{self._gateway.log()}")
            assert self._gateway.agent.running, self._gateway.agent.tail()
            if hour >= len(self.outcome.samples) * hours / SAMPLES:
                self._sample(hour, now - began)
            if todo and todo[0][0] <= hour:  # one at a time, so that there is a sample between two
                trouble = todo.pop(0)[1]
                self.outcome.troubles.append(f"{hour:.2f} h  {trouble.__doc__}")
                await trouble()
            await asyncio.sleep(LOOKS_EVERY)

    def _sample(self, hour: float, seconds: float) -> None:
        self.outcome.samples.append(Sample(hour, seconds, footprint(self._gateway.agent.pid)))
        if len(self.outcome.samples) % (SAMPLES // 24) == 1:
            now = self.outcome.samples[-1].footprint
            self._tell(
                f"{seconds:6.0f} s  hour {hour:5.2f}  "
                f"anonymous memory {now.anonymous / 2**20:.2f} MiB  {now.descriptors} fds"
            )

    # --- trouble -------------------------------------------------------------------------------------------------

    def _day(self) -> list[tuple[float, Callable[[], Awaitable[None]]]]:
        """Return a day's troubles: at which hour what is done. Each kind comes before the warm-up ends.

        So does the longest outage: what is held of a backlog in memory is bounded, and has been full once by then.

        A link that is back is tried within a minute, and a backlog goes up in seconds. At the pace of real devices that
        is next to nothing; at this one it would be hours' worth. So the devices hold their breath meanwhile.
        """
        link = self._gateway.link
        level, gnss = (self._gateway.cabinet.wires[PACE[name][1]] for name in ("level-1", "gnss-1"))

        async def cut() -> None:
            """The link breaks."""
            await link.cut()

        async def hang() -> None:
            """The link hangs."""
            link.hang()

        async def restore() -> None:
            """The link works again, and what waited goes up."""
            async with self._feed.held():
                await link.restore()
                await self._drained()

        async def unplug() -> None:
            """level-1 is unplugged."""
            await self._feed.unplug(level)

        async def plug() -> None:
            """level-1 is plugged in again."""
            level.plug()

        async def reopen() -> None:
            """The adapter of gnss-1 resets: it is gone and back at once."""
            await self._feed.unplug(gnss)
            gnss.plug()

        async def fall_ill() -> None:
            """air-1 sends frames whose checksum is wrong."""
            self._gateway.cabinet.devices["air-1"].ailment = Ailment.CHECKSUM

        async def recover() -> None:
            """air-1 is well again."""
            self._gateway.cabinet.devices["air-1"].ailment = None

        return [
            (0.5, self._kill_broker), (0.7, hang), (1.0, restore), (1.2, unplug), (1.4, plug), (1.5, reopen),
            (1.6, fall_ill), (1.8, recover), (2.0, cut), (8.5, restore),
            (13.0, fall_ill), (13.3, recover), (14.0, cut), (14.1, restore), (14.5, cut), (14.6, restore),
            (15.0, self._kill_broker), (16.0, unplug), (16.2, plug), (17.0, hang), (17.5, restore), (18.0, reopen),
            (19.0, cut), (20.0, restore), (21.0, self._kill_broker), (22.0, reopen), (23.0, cut), (23.3, restore),
        ]  # fmt: skip

    async def _kill_broker(self) -> None:
        """The broker is killed with SIGKILL, messages of the agent's on their way, and started again."""
        self._gateway.link.hang()
        async with self._feed.held():
            await self._echo()  # what it has acknowledged and not yet passed on would be lost, and not by the agent
            self._broker.stop()
            self._broker.start()
            await self._echo()
            await self._gateway.link.restore()
            await self._drained()

    async def _drained(self, at_most: int = JUST_READ) -> dict[str, Any]:
        """Wait until the uplink is up and hardly anything waits for it, and return what the agent says then."""
        async with asyncio.timeout(DRAINS_WITHIN):
            while True:
                said = await self._gateway.says(bool)
                waiting = sum(said["journal"]["waiting"]["city"].values())
                if said["uplinks"]["city"]["state"] == "online" and waiting <= at_most:
                    return said
                await asyncio.sleep(LOOKS_EVERY)

    async def _echo(self) -> None:
        """Wait until the city is subscribed and has all that the broker took before now: messages keep their order."""
        number = next(self._echoes)
        async with asyncio.timeout(ECHOES_WITHIN):
            async with aiomqtt.Client("127.0.0.1", self._broker.port) as client:
                await client.publish("roadside/v1/echo/health", f'{{"number": {number}}}', qos=1, retain=True)
            await self._gateway.city.until(
                lambda: self._gateway.city.said.get(("echo", "health"), {}).get("number") == number
            )

    # --- the end -------------------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Let everything arrive, stop the agent, and account for it all."""
        gateway = self._gateway
        await gateway.cabinet.quiet()
        await gateway.until(lambda: not gateway.cabinet.unread)
        # An edge is on its way for as long as a debounce waits; no wire tells whether somebody has taken it.
        await asyncio.sleep(max(device.settles for device in gateway.cabinet.devices.values()))
        said = await self._drained(at_most=0)
        self.outcome.reconnects = said["uplinks"]["city"]["reconnects"]
        self.outcome.commits = said["journal"]["commits"]
        await gateway.stop()  # it states what it withheld
        await self._echo()
        self.outcome.account = self._account()
        self.outcome.faults = gateway.city.faults

    def _account(self) -> Account:
        """Account for all that was emitted. What did not fit onto a line any more nobody can have heard."""
        cabinet, city = self._gateway.cabinet, self._gateway.city
        overrun = [Deaf(name, *stretch) for name, (_, wire) in PACE.items() for stretch in cabinet.wires[wire].overrun]
        self.outcome.overrun = len(overrun)
        account = audit(
            cabinet.emissions, city.received,
            deaf=[*cabinet.deaf, *overrun], cuts=[*cabinet.cuts, *self._stalls],
            statements=city.statements, tolerance=TOLERANCE,
        )  # fmt: skip
        account.missing = city.missing()
        return account


def _as_shipped(_: Path) -> list[str]:
    """Set the allocator of memory as the unit does: how much a process gives back is its doing."""
    lines = UNIT.read_text(encoding="utf-8").splitlines()
    return ["env", *(line.removeprefix("Environment=") for line in lines if line.startswith("Environment=MALLOC_"))]
