"""A journal on real folders, with a clock and chance of its own."""

import asyncio
import itertools
import random

import pytest

from agent import logs
from agent.config.model import Journal as Limits
from agent.host.disk import Folder
from agent.journal.journal import Journal
from agent.readings import Reading
from agent.seams import Sync

BOOT = "b" * 32


class Clock:
    """A clock that the test turns."""

    def __init__(self, boot: str = BOOT) -> None:
        self.boot = boot
        self.now = 1_000_000_000

    def boottime(self) -> int:
        return self.now

    def utc(self) -> int:
        return 1_795_346_000_000_000_000 + self.now

    def synchronised(self) -> Sync | None:
        return None


class Chance:
    """Chance from a seed."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def bits(self, count: int) -> int:
        return self._random.getrandbits(count)


class Bench:
    """Opens journals one after the other on the same two folders."""

    def __init__(self, folder) -> None:
        self.young = Folder(folder / "young")
        self.card = Folder(folder / "card")
        self.clock = Clock()
        self.chance = Chance()
        self._counter = itertools.count()
        self._opened = []

    def open(self, *, uplinks=("city",), card=None, young=None, quotas=None, **limits) -> Journal:
        journal = Journal(
            young=young or self.young,
            card=card or self.card,
            clock=self.clock,
            random=self.chance,
            uplinks=uplinks,
            quotas=quotas or {},
            limits=Limits(**{"commit_interval": 3600.0, "pack_within": 60.0} | limits),
            log=logs.get("journal"),
        )
        self._opened.append(journal)
        return journal

    def let_go(self) -> None:
        """The processes are gone: what they held open is closed without a word."""
        for journal in self._opened:
            journal._fetching.stop()
            for timer in journal._timers.values():
                timer.cancel()
            journal._young.close()
            journal._card.close()
        self._opened.clear()

    def power_cut(self) -> None:
        """What lies on tmpfs is gone."""
        for name in self.young.names():
            self.young.remove(name)

    def readings(self, count: int) -> list[Reading]:
        return [self.reading() for _ in range(count)]

    def reading(self) -> Reading:
        self.clock.now += 1_000_000
        return Reading("air-1", "pm2_5", self.clock.now, next(self._counter), unit="ug/m3")


@pytest.fixture
async def bench(tmp_path):
    bench = Bench(tmp_path)
    yield bench
    bench.let_go()
    await asyncio.get_running_loop().shutdown_default_executor()
