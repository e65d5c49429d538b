"""A life: one disk, a machine on it under load, and its power cut again and again."""

from __future__ import annotations

import asyncio
import json
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
from hil.vm.machine import HOST, Machine, MachineError
from tests.hil.vm.powercut.judge import Poll, Seen, Verdict, judge

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from hil.packs import Alarm
    from hil.vm.image import Image

CONFIGURATION = Path(__file__).with_name("gateway.toml")
GATEWAY = "pkt-0042"
ADAPTER, BUTTON = "GAUGE1", 27
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

    async def cut(self) -> tuple[dict[str, Any], Seen | None]:
        """Have the machine under load, cut its power, and boot it.

        Return the verdict with what led to it, and what was seen; nothing was if the machine did not come back.
        """
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
        began = time.monotonic()
        cut = {
            "at": cut_at, "link": link, "spoilt_after": round(spoilt_after, 2), "loaded_for": round(loaded_for, 2),
            "commits": self._polls[-1].commits if self._polls else 0,
        }  # fmt: skip
        try:
            await self.machine.on()
        except MachineError as error:
            await self.machine.cut()
            gone = Verdict(faults=[f"it did not come back: {str(error)[:300]}"])
            return {**cut, "booted_in": 0.0, **asdict(gone)}, None
        booted_in = round(time.monotonic() - began, 1)
        seen = await self._settled(cut_at)
        return {**cut, "booted_in": booted_in, **asdict(judge(seen))}, seen

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

    async def _settled(self, cut_at: float) -> Seen:
        """Let everything that the machine has kept go up, as far as it does in time, and return what was seen."""
        deadline = time.monotonic() + ARRIVES_WITHIN
        while time.monotonic() < deadline:
            if not judge(self._seen(cut_at)).faults and await self._has_sent_all():
                break
            await asyncio.sleep(0.5)
        return self._seen(cut_at)

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
