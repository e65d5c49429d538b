"""Power cuts, one after the other: a machine under load, its power taken at a random moment, and all that came of it.

A life begins on a copy of a snapshot, the disk of a machine that was booted once and shut down in order, and sees some
cuts. After each cut the machine boots, everything that it has kept goes up, and the cut is judged; then it is under
load again. Each verdict is a line in a file, and the next run of the campaign goes on behind the last one.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil.broker import Broker, Engine
from hil.city import City
from hil.devices.a02yyuw import frame
from hil.link import Link
from hil.packs import date
from hil.vm.helper import HelperError
from hil.vm.image import Image, overlay, with_roadside
from hil.vm.machine import HOST, Machine, MachineError
from tests.hil.vm.powercut.judge import Poll, Seen, Verdict, judge

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from hil.packs import Alarm

CONFIGURATION = Path(__file__).with_name("gateway.toml")
GATEWAY = "pkt-0042"
ADAPTER, BUTTON = "GAUGE1", 27
CUTS_A_LIFE = 10
EVERY = 0.2  # seconds between two frames
FRAMES_A_LIFE = 4000  # what the gauge's range has room for, each value once
NEAREST = 300  # millimetres
SETTLES = 2.0  # seconds from an open line to the first frame that counts
PRESSED_EVERY, PRESSED_FOR = 6.0, 0.4  # seconds, the first on average
LOADED_FOR = (4.0, 40.0)  # seconds of load before the power goes
POLLED_EVERY = 0.5
RUNS_WITHIN = 600.0
ARRIVES_WITHIN = 300.0
LINKS = ("up", "cut", "cut", "hung")
MARK = "/run/systemd/timesync/synchronized"  # the machine's clock is that of the host


class CampaignError(Exception):
    """The campaign cannot go on; the message says why."""


class Life:
    """One disk and the machine on it, with all around it. Use it as an asynchronous context manager."""

    def __init__(self, image: Image, disk: Path, chance: random.Random) -> None:
        self._image = image
        self._disk = disk
        self._chance = chance
        self._stack = AsyncExitStack()
        self._frames: list[tuple[int, float]] = []
        self._presses: list[float] = []
        self._polls: list[Poll] = []
        self._said = 0
        self.machine: Machine
        self.city: City
        self._link: Link

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            broker = await stack.enter_async_context(Broker(Engine.MOSQUITTO))  # iotcore dies of some breaks
            self._link = await stack.enter_async_context(Link(broker.port))
            self.city = await stack.enter_async_context(City(broker.url))
            files = {"/etc/roadside/gateway.toml": configuration(self._link.port), MARK: ""}
            self.machine = Machine(self._image, files=files, adapters=[ADAPTER], exact=False, disk=self._disk)
            await stack.enter_async_context(self.machine)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    @property
    def worn(self) -> bool:
        """Whether there can be no further cut: the machine is dead, or the gauge has hardly a value left to say."""
        return not self.machine.is_on or self._said > FRAMES_A_LIFE * 3 // 4

    async def cut(self) -> dict[str, Any]:
        """Have the machine under load, cut its power, boot it, and return the verdict and what led to it."""
        await self.runs()
        self._frames, self._presses, self._polls = [], [], []
        link, loaded_for = self._chance.choice(LINKS), self._chance.uniform(*LOADED_FOR)
        spoilt_after = self._chance.uniform(0, loaded_for / 2)
        async with asyncio.TaskGroup() as load:
            tasks = [load.create_task(work()) for work in (self._measure, self._press, self._poll)]
            await asyncio.sleep(spoilt_after)
            if link == "cut":
                await self._link.cut()
            elif link == "hung":
                self._link.hang()
            await asyncio.sleep(loaded_for - spoilt_after)
            cut_at = await self.machine.cut()
            for task in tasks:
                task.cancel()
        await self._link.restore()
        booted_in, verdict = await self._comes_back(cut_at)
        return {
            "at": cut_at, "link": link, "spoilt_after": round(spoilt_after, 2), "loaded_for": round(loaded_for, 2),
            "booted_in": round(booted_in, 1), "commits": self._polls[-1].commits if self._polls else 0,
            **asdict(verdict),
        }  # fmt: skip

    async def _comes_back(self, cut_at: float) -> tuple[float, Verdict]:
        """Boot it, and return how long that took and the verdict."""
        began = time.monotonic()
        try:
            await self.machine.on()
        except MachineError as error:
            await self.machine.cut()
            return 0.0, Verdict(faults=[f"it did not come back: {str(error)[:300]}"])
        return time.monotonic() - began, await self._settled(cut_at)

    async def runs(self) -> None:
        """Wait until the agent runs, and has the gauge's line open for long enough."""
        adapter = self.machine.adapters[ADAPTER]
        await self._until(lambda: adapter.heard, "the agent has opened its line", RUNS_WITHIN)
        await asyncio.sleep(SETTLES)

    async def _measure(self) -> None:
        adapter = self.machine.adapters[ADAPTER]
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            if adapter.heard:
                millimetres = NEAREST + self._said % FRAMES_A_LIFE
                self._said += 1
                adapter.write(frame(millimetres))
                self._frames.append((millimetres, time.time()))
            due = max(due + EVERY, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _press(self) -> None:
        with suppress(HelperError, MachineError):  # the power went
            while True:
                await asyncio.sleep(1 + self._chance.expovariate(1 / PRESSED_EVERY))
                await self.machine.helper.pull(BUTTON, up=False)
                self._presses.append(time.time())
                await asyncio.sleep(PRESSED_FOR)
                await self.machine.helper.pull(BUTTON, up=True)

    async def _poll(self) -> None:
        while self.machine.is_on:
            with suppress(HelperError, MachineError):  # it was too busy to answer, or the power went
                asked = time.time()
                journal = (await ask(self.machine))["journal"]
                self._polls.append(Poll(asked, time.time(), journal["epoch"], journal["next"], journal["commits"]))
            await asyncio.sleep(POLLED_EVERY)

    async def _settled(self, cut_at: float) -> Verdict:
        """Let everything that the machine has kept go up, and return the verdict: the last one, when time is over."""
        deadline = time.monotonic() + ARRIVES_WITHIN
        while True:
            verdict = judge(self._seen(cut_at))
            if time.monotonic() > deadline:
                return verdict
            if not verdict.faults and await self._has_sent_all():
                return judge(self._seen(cut_at))
            await asyncio.sleep(0.5)

    async def _has_sent_all(self) -> bool:
        """Tell whether a new epoch runs, and nothing waits that is older than it."""
        try:
            journal = (await ask(self.machine))["journal"]
        except (HelperError, ValueError):
            return False  # the agent does not run yet
        is_new = not self._polls or journal["epoch"] != self._polls[-1].epoch
        return is_new and not any(journal["waiting"]["city"].values())

    def _seen(self, cut_at: float) -> Seen:
        city = self.city
        numbers: dict[tuple[str, str], set[int]] = {}
        for one in (*city.received, *city.alarms, *city.statements, *city.anchors):
            numbers.setdefault((one.epoch, one.stream), set()).add(one.number)
        return Seen(
            cut_at,
            [one for one in self._frames if one[1] <= cut_at],
            [at for at in self._presses if at <= cut_at],
            list(self._polls),
            city.received,
            [replace(one, utc=_dated(one, city)) for one in city.alarms],
            city.statements,
            {key: frozenset(found) for key, found in numbers.items()},
        )

    async def _until(self, condition: Callable[[], object], what: str, within: float) -> None:
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                raise CampaignError(f"{what}: not within {within:g} s\n{self.machine.console[-2000:]}")
            await asyncio.sleep(0.1)


def _dated(alarm: Alarm, city: City) -> float | None:
    if alarm.utc is not None:
        return alarm.utc
    dated = date(alarm.boot, alarm.boottime, city.anchors)
    return None if dated is None else dated[0]


async def ask(machine: Machine) -> dict[str, Any]:
    """Return what the agent says of itself on its control socket; raises HelperError while it does not run."""
    answer: dict[str, Any] = json.loads(await machine.helper.ask("/run/roadside/control", '{"do": "status"}'))
    said: dict[str, Any] = answer["ok"]
    return said


def configuration(port: int) -> str:
    """Return the agent's configuration for a broker on the host's loopback."""
    text = CONFIGURATION.read_text(encoding="utf-8")
    return text.replace("{gateway}", GATEWAY).replace("{url}", f"mqtt://{HOST}:{port}")


class Campaign:
    """The folder that a campaign is kept in."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self._seed = seed
        folder.mkdir(parents=True, exist_ok=True)
        self.results = folder / "cuts.jsonl"
        self._snapshot = folder / "booted.qcow2"
        self._image: Image | None = None

    def cuts(self) -> list[dict[str, Any]]:
        """Return all cuts so far, in their order."""
        return [json.loads(line) for line in self.results.read_text().splitlines()] if self.results.exists() else []

    async def run(self, cuts: int, told: Callable[[dict[str, Any]], None]) -> None:
        """Go on until there are so many cuts all in all."""
        self._image = self._kept_image()
        if not self._snapshot.exists():
            await self._make_snapshot(self._image)
        while (done := len(self.cuts())) < cuts:
            await self._live(done, min(CUTS_A_LIFE, cuts - done), told)

    def _kept_image(self) -> Image:
        """Return the image that the campaign began with: all its cuts are of one build."""
        image = Image(self.folder / "vmlinuz", self.folder / "initrd", self.folder / "disk.img")
        if not image.disk.exists():
            for made, kept in zip(with_roadside(), image, strict=True):
                kept.unlink(missing_ok=True)
                kept.hardlink_to(made) if made.stat().st_dev == self.folder.stat().st_dev else shutil.copy(made, kept)
        return image

    async def _make_snapshot(self, image: Image) -> None:
        part = self.folder / "part.qcow2"
        part.unlink(missing_ok=True)
        async with Life(image, part, random.Random(self._seed)) as life:
            await life.runs()
            await life.machine.shut_down()
        part.replace(self._snapshot)

    async def _live(self, done: int, cuts: int, told: Callable[[dict[str, Any]], None]) -> None:
        assert self._image is not None
        disk = self.folder / "life.qcow2"
        disk.unlink(missing_ok=True)
        overlay(disk, self._snapshot)
        chance = random.Random(f"{self._seed} {done}")
        async with Life(self._image, disk, chance) as life:
            for number in range(done + 1, done + 1 + cuts):
                cut = {"number": number, **await life.cut()}
                if cut["faults"]:
                    self._keep(life, number)
                with self.results.open("a") as file:
                    file.write(json.dumps(cut) + "\n")
                told(cut)
                if life.worn:
                    return

    def _keep(self, life: Life, number: int) -> None:
        """Keep what helps to find out what went wrong."""
        kept = self.folder / f"fault-{number}"
        kept.mkdir(exist_ok=True)
        (kept / "console.log").write_text(life.machine.console)
        shutil.copy(life.machine.overlay, kept / "disk.qcow2")
