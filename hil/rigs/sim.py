"""The simulated rig: ptys, the `rig` pin factory, a TCP fault proxy and a played service manager, in seconds.

What it cannot do: a power cut takes what is on tmpfs, but not what the agent wrote to the card and did not sync, for
the kernel that has it stays alive. A card goes read-only only while nobody writes on it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil.audit import Account, audit
from hil.broker import Broker, Engine
from hil.cabinet import Cabinet
from hil.devices.modbus import LineAilment
from hil.devices.talker import Ailment
from hil.emissions import Said
from hil.link import Link
from hil.manager import ServiceManager
from hil.process import AgentProcess
from hil.rigs.arrivals import Arrivals
from hil.rigs.base import Capability, Part, Rig, RigError, step
from hil.rigs.machine import Machine, why_no_clock, why_no_mounts, why_no_step
from hil.rigs.timeline import Lane

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType
    from typing import Self

    from hil.rigs.base import Device, Pin
    from hil.rigs.description import Description
    from hil.rigs.timeline import Timeline

STEP = 0.001  # of a value that a test has said: what a wire makes of it is the test's business
STARTS_WITHIN = 30.0  # seconds, on a machine that has other work to do
LOG_LOOKED_AT_EVERY = 0.05  # seconds


class SimRig(Rig):
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
        super().__init__(description, timeline, patience=patience)
        # A unix socket's path has room for 107 bytes: a test's own folders are too long.
        self.root = Path(tempfile.mkdtemp(prefix="rig-"))
        self.cabinet = Cabinet(self.root, description.path)
        self.machine = Machine(self.root, card=description.agent.card, memory=description.agent.memory)
        self.broker = Broker(Engine.MOSQUITTO)  # it knows sessions that are taken over, and wills
        self.proxy: Link
        self.settings = {**description.agent.settings, **(settings or {})}
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
        self.disk = SimDisk(self)
        self.agent = SimAgent(self)
        self._environment = {**description.agent.environment, **(environment or {})}
        self._stack = AsyncExitStack()

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

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(shutil.rmtree, self.root)
            await stack.enter_async_context(self.broker)
            self.proxy = await stack.enter_async_context(Link(self.broker.port))
            self.link = SimLink(self)
            speaks = self.description.agent.wire == "roadside"
            self.city = Arrivals(self.broker.url, self.gateway, self.timeline, speaks=speaks)
            await stack.enter_async_context(self.city)
            await stack.enter_async_context(self.cabinet)
            await stack.enter_async_context(self.machine)
            self.manager.open()
            stack.callback(self.manager.close)
            following = asyncio.create_task(self._follow_log(), name="log of the agent")
            stack.push_async_callback(_cancelled, following)
            stack.push_async_callback(self.manager.end)
            self.clock.mark(right=True)
            await self.start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

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

    def device(self, name: str) -> Device:
        """Return a device by its name."""
        return SimDevice(self, name)

    def pin(self, name: str) -> Pin:
        """Return what hangs on a pin by its name."""
        return SimPin(self, name)

    def model(self, name: str) -> Any:  # noqa: ANN401 - of any class
        """Return the simulated device; raises RigError."""
        if name not in self.cabinet.devices:
            raise RigError(f"{name!r} hangs nowhere on this rig; there are: {', '.join(self.cabinet.devices)}")
        return self.cabinet.devices[name]

    def account(self) -> Account:
        """Account for everything that the devices have emitted so far."""
        return audit(
            self.cabinet.emissions,
            self.city.received(),
            deaf=self.cabinet.deaf,
            cuts=self.cabinet.cuts,
            statements=self.city.ledger(),
        )

    async def quiet(self) -> None:
        """Let the devices fall silent, for good, and wait until all that they said has been read."""
        with self.timeline.step("all devices fall silent"):
            await self.cabinet.quiet()
            await self.until(lambda: not self.cabinet.unread)

    # --- the agent's process ----------------------------------------------------------------------------------------

    def _process(self, notify: Mapping[str, str]) -> AgentProcess:
        agent = self.description.agent
        command = self._filled(agent.command)
        for key, value in self.settings.items():
            given = self._filled([value])[0]
            command += [part.replace("{key}", key).replace("{value}", given) for part in agent.setting]
        return AgentProcess(
            self.machine.inside(*command),
            environment={**self._surroundings(), **notify},
            folder=self.root,
            log=self.root / "agent.log",
        )

    def _surroundings(self) -> dict[str, str]:
        return {**os.environ, **self.cabinet.environment, **self.machine.environment, **self._environment}

    def _filled(self, words: list[str]) -> list[str]:
        places = {
            "{python}": sys.executable,
            "{here}": str(self.description.path.parent.absolute()),
            "{root}": str(self.root),
            "{gateway}": self.gateway,
            "{broker}": self.proxy.url,
            "{host}": "127.0.0.1",
            "{port}": str(self.proxy.port),
        }
        for place, value in places.items():
            words = [word.replace(place, value) for word in words]
        return words

    async def _after(self, result: str) -> None:
        """Run what the service manager runs when an agent has died."""
        if not self.description.agent.after:
            return
        with (self.root / "agent.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *self.machine.inside(*self._filled(self.description.agent.after)),
                env={**self._surroundings(), "SERVICE_RESULT": result},
                cwd=self.root,
                stdout=log,
                stderr=log,
            )
            await process.wait()
        await self.cabinet.board.left(self.patience)

    async def _follow_log(self) -> None:
        """Put each line of the log on the timeline when it appears."""
        seen = 0
        while True:
            lines = self.log().splitlines(keepends=True)
            for line in lines[seen:]:
                if line.endswith("\n"):
                    self.timeline.note(Lane.AGENT, line.rstrip())
                    seen += 1
            await asyncio.sleep(LOG_LOOKED_AT_EVERY)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})


class SimDevice(Part):
    """A simulated device on a wire or a pin."""

    def __init__(self, rig: SimRig, name: str) -> None:
        super().__init__(name, rig.timeline)
        self._rig = rig
        self._model = rig.model(name)

    @step
    async def says(self, data: bytes, **values: float | str | bool) -> None:
        """Put bytes on its line at once; `values` are what a right reader makes of it."""
        end = self._rig.cabinet.wire_of(self.name).write(data)
        at = time.time()
        said = [Said(quantity, value, STEP) for quantity, value in values.items()]
        self._model.emitted += [one.emitted(self.name, at, end - len(data), end) for one in said]

    @step
    async def goes_silent(self) -> None:
        """Say nothing any more."""
        self._model.ailment = Ailment.SILENT

    @step
    async def garble(self, how: str) -> None:
        """Speak wrongly from now on."""
        kinds = {kind.value: kind for ailments in (Ailment, LineAilment) for kind in ailments}
        if how not in kinds:
            raise RigError(f"{how!r} is no ailment; there are: {', '.join(kinds)}")
        self._model.ailment = kinds[how]

    @step
    async def recovers(self) -> None:
        """Speak as ever again."""
        self._model.ailment = None

    @step
    async def becomes(self, **properties: float | str | bool | None) -> None:
        """Change what the model of the device lets a test change."""
        for name, value in properties.items():
            if name.startswith("_") or not hasattr(self._model, name):
                raise RigError(f"a {type(self._model).__name__} has no {name!r} that a test could change")
            setattr(self._model, name, value)

    @step
    async def unplug(self) -> None:
        """Pull its plug; on a bus, that of the whole line."""
        self._rig.cabinet.unplug(self.name)

    @step
    async def replug(self) -> None:
        """Put its plug back in."""
        self._rig.cabinet.plug(self.name)


class SimPin(Part):
    """What hangs on a pin."""

    def __init__(self, rig: SimRig, name: str) -> None:
        super().__init__(name, rig.timeline)
        self._rig = rig
        self._model = rig.model(name)
        if not hasattr(self._model, "pin"):
            raise RigError(f"{name!r} hangs on a wire, not on a pin")

    @step
    async def press(self, seconds: float = 0.3) -> None:
        """Close the contact for so long."""
        await self.hold()
        try:
            await asyncio.sleep(seconds)
        finally:
            await self.release()

    @step
    async def hold(self) -> None:
        """Close the contact, once the agent listens to it."""
        await self._claimed()
        self._model.press()

    @step
    async def release(self) -> None:
        """Open the contact."""
        self._model.release()

    @step
    async def pulses(self, number: int, hertz: float) -> None:
        """Tip the bucket so many times at a steady rate, once the agent listens to the contact."""
        await self._claimed()
        loop = asyncio.get_running_loop()
        due = loop.time()
        for _ in range(number):
            await self._model.tip()
            due += 1 / hertz
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def reads(self) -> bool:
        """Return the level of an output."""
        return bool(self._rig.cabinet.board.reads(self._model.pin))

    async def _claimed(self) -> None:
        """Wait until the agent listens, and its debounce has seen the contact at rest."""
        async with asyncio.timeout(self._rig.patience):
            await self._rig.cabinet.board.claims(self._model.pin)
        await asyncio.sleep(self._model.settles)


class SimLink(Part):
    """The proxy in front of the broker."""

    def __init__(self, rig: SimRig) -> None:
        super().__init__("link", rig.timeline)
        self._proxy = rig.proxy

    @step
    async def cut(self) -> None:
        """Break all connections and refuse new ones."""
        await self._proxy.cut()

    @step
    async def hang(self) -> None:
        """Pass nothing on any more, and tell nobody."""
        self._proxy.hang()

    @step
    async def slow(self, bytes_per_second: float, delay: float = 0.0) -> None:
        """Pass no more than so much, late."""
        self._proxy.slow(bytes_per_second, delay)

    @step
    async def refuse(self) -> None:
        """Break all connections, and new ones as soon as they are there."""
        await self._proxy.refuse()

    @step
    async def tear(self, after: int) -> None:
        """Break the connection when so many more bytes have gone up."""
        self._proxy.tear(after)

    @step
    async def restore(self) -> None:
        """Work again."""
        await self._proxy.restore()


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


class SimDisk(Part):
    """The small disk that is the card."""

    def __init__(self, rig: SimRig) -> None:
        super().__init__("disk", rig.timeline)
        self._machine = rig.machine

    @step
    async def fill(self) -> None:
        """Fill it up."""
        self._machine.fill_card()

    @step
    async def empty(self) -> None:
        """Take away what filled it."""
        self._machine.empty_card()

    @step
    async def read_only(self) -> None:
        """Let it take no more writes."""
        await self._machine.card_takes_writes(yes=False)

    @step
    async def writable(self) -> None:
        """Let it take writes again."""
        await self._machine.card_takes_writes(yes=True)


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
