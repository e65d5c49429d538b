"""The simulated rig: ptys, the `rig` pin factory, a TCP fault proxy and a played service manager, in seconds.

What it cannot do: a power cut takes what is on tmpfs, but not what the agent wrote to the card and did not sync, for
the kernel that has it stays alive. A card goes read-only only while nobody writes on it.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from hil.manager import ServiceManager
from hil.process import AgentProcess
from hil.rigs.base import Capability, Part, step
from hil.rigs.machine import Card, Machine, why_no_clock, why_no_mounts, why_no_step
from hil.rigs.surroundings import CabinetRig

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AsyncExitStack

    from hil.rigs.description import Description
    from hil.rigs.timeline import Timeline

STARTS_WITHIN = 30.0  # seconds, on a machine that has other work to do


class SimRig(CabinetRig):
    """A gateway that is a process on this machine, with a cabinet of simulated devices."""

    power: SimPower
    clock: SimClock

    def __init__(
        self,
        description: Description,
        timeline: Timeline,
        *,
        patience: float,
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(description, timeline, patience=patience, settings=settings, environment=environment)
        self.machine = Machine(self.root, card=description.agent.card, memory=description.agent.memory)
        self.manager = ServiceManager(
            self._process,
            self.root / "notify.sock",
            notifies=description.agent.notifies,
            watchdog=description.agent.watchdog,
            died=self.cabinet.agent_gone,
            after=self._after,
        )
        self.power = SimPower(self)
        self.clock = SimClock(self)
        self.disk = Card(self.machine, timeline)
        self.agent = SimAgent(self)

    @classmethod
    def lacks(cls, description: Description) -> Mapping[Capability, str]:
        """Return what cannot be simulated on this machine, or with such an agent."""
        agent = description.agent
        lacking = dict.fromkeys(() if agent.card else (Capability.DISK,), "the description names no agent.card")
        if why_no_mounts():
            lacking[Capability.DISK] = why_no_mounts()
        if why_no_clock():
            lacking[Capability.CLOCK] = why_no_clock()
        if why_no_step():
            lacking[Capability.CLOCK_STEP] = why_no_step()
        if agent.wire != "roadside":
            lacking[Capability.ACCOUNT] = 'agent.wire = "plain": nobody knows which message says what'
        return lacking | description.rig.cannot

    async def switch_on(self, stack: AsyncExitStack) -> None:
        """Start the agent under the played service manager."""
        await stack.enter_async_context(self.machine)
        self.manager.open()
        stack.callback(self.manager.close)
        stack.push_async_callback(self.manager.end)
        self.clock.mark(right=True)
        await self.start()

    async def start(self) -> None:
        """Start the agent, and wait until it is ready."""
        try:
            async with asyncio.timeout(STARTS_WITHIN):
                await self.manager.start()
        except TimeoutError as error:
            raise AssertionError(f"the agent is not ready. Its log:\n{self.log()}") from error

    def log(self) -> str:
        """Return the agent's log of all its runs."""
        path = self.root / "agent.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def _process(self, notify: Mapping[str, str]) -> AgentProcess:
        return AgentProcess(
            self.machine.inside(*self.command(self._places)),
            environment={**self._surroundings(), **notify},
            folder=self.root,
            log=self.root / "agent.log",
        )

    @property
    def _places(self) -> dict[str, str]:
        return {"python": sys.executable, "root": str(self.root)}

    def _surroundings(self) -> dict[str, str]:
        return {**os.environ, **self.cabinet.environment, **self.machine.environment, **self.environment}

    async def _after(self, result: str) -> None:
        """Run what the service manager runs when an agent has died."""
        if not self.description.agent.after:
            return
        with (self.root / "agent.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self.machine.inside(*self.filled(self.description.agent.after, self._places)),
                env={**self._surroundings(), "SERVICE_RESULT": result},
                cwd=self.root,
                stdout=log,
                stderr=log,
            )
            await process.wait()
        await self.cabinet.board.left(self.patience)


class SimPower(Part):
    """The supply of the gateway: without it there is no agent, and nothing is left on tmpfs."""

    def __init__(self, rig: SimRig) -> None:
        super().__init__("power", rig.timeline)
        self.cuts: list[float] = []
        self._rig = rig

    @step
    async def cut(self) -> None:
        """Kill the agent, and forget what was in memory."""
        self.cuts.append(time.time())
        await self._rig.manager.end()
        await self._rig.machine.power_lost()
        self._rig.clock.mark(right=False)

    @step
    async def restore(self) -> None:
        """Begin another boot, and wait until the agent is ready."""
        self._rig.clock.mark(right=self._rig.clock.synced)
        await self._rig.start()


class SimClock(Part):
    """The wall clock, and the mark that systemd-timesyncd leaves once it has set it."""

    def __init__(self, rig: SimRig) -> None:
        super().__init__("clock", rig.timeline)
        self.synced = True
        self._rig = rig

    @step
    async def unsync(self) -> None:
        """Take the mark away."""
        self.synced = False
        self.mark(right=False)

    @step
    async def sync(self) -> None:
        """Set the clock right, and leave the mark."""
        self.synced = True
        self._rig.machine.set_clock(0)
        self.mark(right=True)

    @step
    async def step(self, seconds: float) -> None:
        """Set the clock wrong by so much."""
        self._rig.machine.set_clock(seconds)

    def mark(self, *, right: bool) -> None:
        """Leave the mark, or take it away."""
        mark = self._rig.root / self._rig.description.agent.clock_mark
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.unlink(missing_ok=True)
        if right:
            mark.touch()


class SimAgent(Part):
    """The agent's process under the played service manager."""

    def __init__(self, rig: SimRig) -> None:
        super().__init__("agent", rig.timeline)
        self._rig = rig

    @step
    async def kill(self) -> None:
        """Send SIGKILL, and wait until the next run is ready."""
        await self._patiently(self._rig.manager.kill)

    @step
    async def hang(self) -> None:
        """Stop it from running; the watchdog ends it."""
        await self._patiently(self._rig.manager.hang)

    @step
    async def restart(self, settings: Mapping[str, str] | None = None) -> None:
        """Stop it in order, and start it again."""
        await self.stop()
        self._rig.settings |= settings or {}
        await self._rig.start()

    @step
    async def stop(self) -> None:
        """Stop it in order."""
        within = self._rig.description.agent.stops_within
        try:
            status = await self._rig.manager.stop(within)
        except TimeoutError as error:
            raise AssertionError(f"the agent does not stop within {within:g} s:\n{self._rig.log()[-3000:]}") from error
        if status:
            raise AssertionError(f"the agent stopped with exit status {status}:\n{self._rig.log()[-3000:]}")

    @step
    async def gets(self, path: str, data: bytes) -> None:
        """Put a file below the agent's root."""
        place = self._rig.root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)

    async def says(self) -> str:
        """Return its log, of all its runs."""
        return self._rig.log()

    async def _patiently(self, verb: Callable[[], Any]) -> None:
        try:
            async with asyncio.timeout(self._rig.patience):
                await verb()
        except TimeoutError as error:
            raise AssertionError(f"no next run of the agent is ready. Its log:\n{self._rig.log()[-3000:]}") from error
