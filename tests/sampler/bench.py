"""One cabinet on the bench: real drivers, refiner and journal, scripted ports, and time that passes at once."""

import asyncio
import json
import zlib
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agent import logs
from agent.config.model import Device
from agent.config.model import Journal as Limits
from agent.host.disk import Folder
from agent.journal.journal import Journal
from agent.journal.pack import Lane
from agent.sampler.pipeline import Pipeline
from agent.withheld import Withheld
from drivers.contract import Answer, Ask, ListeningDriver, Measurement, PollingDriver
from tests.uplink import virtual

BOOT = "b0" * 16


class LoopClock:
    """Boottime is the time of the loop."""

    boot = BOOT

    def boottime(self):
        return round(asyncio.get_running_loop().time() * 1e9)

    def utc(self):
        return self.boottime()

    def synchronised(self):
        return None

    def seconds(self):
        return self.boottime() / 1e9


class NoChance:
    """Always the longest wait, and ids in order."""

    def __init__(self):
        self._bits = 0

    def uniform(self, low, high):
        return max(low, high)

    def bits(self, count):
        assert count == 64
        self._bits += 1
        return self._bits


class Bench:
    """Makes pipelines, runs samplers, and tells what they appended."""

    def __init__(self, folder):
        self.clock = LoopClock()
        self.chance = NoChance()
        self.withheld = Withheld()
        self.repeats = logs.Repeats()
        self.fixes = []
        self.journal = Journal(
            young=Folder(folder / "young"),
            card=Folder(folder / "card"),
            clock=self.clock,
            random=self.chance,
            uplinks=["city"],
            limits=Limits(pack_within=0, commit_interval=3600),
            log=logs.get("journal"),
        )
        self._outbox = self.journal.outbox("city")
        self._pipelines = []

    def pipeline(self, device):
        made = Pipeline(
            device,
            journal=self.journal,
            clock=self.clock,
            random=self.chance,
            withheld=self.withheld,
            log=logs.get("sampler"),
            repeats=self.repeats,
            on_time=lambda fix, at: self.fixes.append((fix, at)),
        )
        self._pipelines.append(made)
        return made

    @asynccontextmanager
    async def running(self, *work):
        """Run samplers beside a test; one that ends by itself, or that fails, fails the test."""
        tasks = [asyncio.create_task(one) for one in work]
        try:
            yield tasks
            for task in tasks:
                assert not task.done(), task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def sent(self, lane=Lane.LIVE):
        """Return what was appended since the last call: names, and values or the reasons why there is none."""
        found = []
        while pack := self._outbox.next(lane):
            records = json.loads(b"[" + zlib.decompress(pack.body, -15))
            found += [(record["n"], value_of(record)) for record in records]
        return found

    def crash(self):
        """Let everything go without a word."""
        for pipeline in self._pipelines:
            pipeline.stop()
        self.journal._young.close()
        self.journal._card.close()


def on_bench(folder, test):
    """Run `await test(bench)` in time that passes at once."""

    async def main():
        bench = Bench(folder)
        try:
            await test(bench)
        finally:
            bench.crash()

    virtual.run(main())


async def passes(seconds):
    """Let so much time pass: all that is due before is done."""
    await asyncio.sleep(seconds)


def value_of(record):
    return next(record[key] for key in ("v", "vb", "vs") if key in record)


# --- devices with the simplest protocols there can be --------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Nothing but a name on the wire."""

    name: str = "a"


class Talker:
    """Every byte is a value; zero makes it fail."""

    def __init__(self, settings):
        del settings

    def feed(self, data):
        return [Measurement("level", 100 // byte) for byte in data]


class Counter:
    """Counts bytes, also those of earlier runs; says how many there were when none came for two seconds."""

    def __init__(self, settings):
        del settings
        self._total = 0.0
        self._due = None

    def feed(self, data, at):
        self._total += len(data)
        self._due = at + 2.0
        return []

    def due(self):
        return self._due

    def tick(self, at):
        assert at >= self._due
        self._due = None
        return [Measurement("pulses", self._total)]

    def memory(self):
        return {"total": self._total}

    def recall(self, memory):
        self._total = memory.get("total", 0.0)


@dataclass
class Asked:
    """Answers `name=digit`, `name!` for a mistake of the driver's own."""

    settings: Settings

    def poll(self):
        name = self.settings.name.encode()

        def find(heard):
            at = heard.find(name + b"=")
            return Answer(heard[at + 2 : at + 3]) if at >= 0 and len(heard) > at + 2 else None

        answer = yield Ask(name + b"?", find, 1.0)
        return [] if answer is None else [Measurement("level", int(answer.payload))]


TALKER = ListeningDriver(
    name="talker", title="A talker", settings=Settings, quantities=lambda _: {"level": "m"}, make=Talker
)
COUNTER = ListeningDriver(
    name="counter",
    title="A counter",
    settings=Settings,
    quantities=lambda _: {"pulses": "count"},
    make=Talker,
    timed=Counter,
)
ASKED = PollingDriver(
    name="asked", title="One that is asked", settings=Settings, quantities=lambda _: {"level": "m"}, make=Asked
)


def device(driver, name="probe-1", settings=None, **more):
    fields = {"silent_after": 3600.0, "warm_up": 0.0} | more
    return Device(id=name, driver=driver, settings=settings or driver.settings(), **fields)
