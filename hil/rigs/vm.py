"""A gateway that is a virtual machine: a real kernel with its pins, adapters and page cache under the real unit.

It runs some ten times slower than a Pi, so that it waits longer for what a test expects. What it cannot do is told in
`lacks`; what is special about it, in docs/hil-vm.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import shlex
import signal
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from hil import install
from hil.rigs.base import Capability, Part, step
from hil.rigs.surroundings import CabinetRig
from hil.rigs.unit import Unit, drop_in
from hil.vm import card, image, machine
from hil.vm.architecture import AMD64, ARM64, Architecture
from hil.vm.cabinet import VmCabinet
from hil.vm.helper import HelperError
from hil.vm.machine import HOST, Machine

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping
    from contextlib import AsyncExitStack

    from hil.rigs.description import Description
    from hil.rigs.timeline import Timeline

SLOWER = 5  # so many times as long as elsewhere
HOSTS = f"{HOST} localhost\n"  # so that a test's own server has the name there that it has here
STARTS_WITHIN = 300.0  # seconds: with other work on this machine, the unit's own minute is short
START = "/etc/rig-start"  # a script, because systemd reads its units before files can be given to a machine
LOG = "/run/rig-agent.log"
LOG_FETCHED_EVERY = 0.5  # seconds


class VmRig(CabinetRig):
    """A gateway in QEMU, with a cabinet of simulated devices on its adapters and lines."""

    architecture: ClassVar[Architecture] = AMD64
    late = 3.0  # seconds: it reads some ten times slower, and others may use its processors
    power: VmPower
    clock: VmClock
    disk: VmCard
    cabinet: VmCabinet

    def __init__(
        self,
        description: Description,
        timeline: Timeline,
        *,
        patience: float,
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(description, timeline, patience=patience * SLOWER, settings=settings, environment=environment)
        ports = {entry["port"]: _adapter(entry["port"]) for entry in description.devices.values() if "port" in entry}
        self.machine = Machine(
            image.image(
                self._prepare,
                description.agent.install + install.fingerprint() + self._drop_in() + HOSTS,
                architecture=self.architecture,
            ),
            adapters=list(ports.values()),
            exact=False,
            cards={card.CARD: self.root / "card.img"} if description.agent.card else {},
        )
        self.cabinet = VmCabinet(
            self.root, description.plan, {port: self.machine.adapters[name] for port, name in ports.items()}
        )
        self.unit = Unit(description.agent.unit, self.run)
        self.power = VmPower(self)
        self.clock = VmClock(self)
        self.disk = VmCard(self)
        self.agent = VmAgent(self)
        self._said: list[str] = []  # by each boot

    @classmethod
    def why_not(cls) -> str:
        """Return why there can be no such rig on this machine; empty if there can."""
        return machine.why_not(cls.architecture) or image.why_not(cls.architecture)

    @classmethod
    def lacks(cls, description: Description) -> Mapping[Capability, str]:
        """Return what is not done to a virtual machine."""
        lacking = {}
        if f"/{description.agent.card}" != card.FOLDER:
            lacking[Capability.DISK] = f"its card is at {card.FOLDER}, and agent.card names another folder"
        if description.agent.wire != "roadside":
            lacking[Capability.ACCOUNT] = 'agent.wire = "plain": nobody knows which message says what'
        return lacking | description.rig.cannot

    def _prepare(self, root: Path) -> None:
        module, _, name = self.description.agent.install.partition(":")
        getattr(import_module(module), name)(root)
        path = root / f"etc/systemd/system/{self.description.agent.unit}.service.d/rig.conf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._drop_in())
        (root / "etc/hosts").write_text(HOSTS)

    def _drop_in(self) -> str:
        """Return what the rig adds to the agent's unit."""
        return drop_in(
            ("ExecStart", ""),
            ("ExecStart", f"/bin/sh {START}"),
            ("TimeoutStartSec", f"{STARTS_WITHIN:g}s"),
            ("WatchdogSec", f"{self.description.agent.watchdog:g}s"),
            ("RestartSec", "100ms"),
            ("StandardOutput", f"append:{LOG}"),
            ("StandardError", "inherit"),
            environment=self.environment,
        )

    async def switch_on(self, stack: AsyncExitStack) -> None:
        """Boot the machine."""
        for path, source in self.description.agent.files.items():
            (filled,) = self.filled([source], {})
            self.machine.files[path] = await asyncio.to_thread(Path(filled).read_text, "utf-8")
        self.machine.files[START] = self.script()
        for disk in self.machine.cards.values():
            await asyncio.to_thread(card.make, disk)
        self.clock.mark(right=True)
        await stack.enter_async_context(self.machine)
        fetching = asyncio.create_task(self._fetch_log(), name="log in the machine")
        stack.callback(fetching.cancel)
        await self.booted()

    async def booted(self) -> None:
        """Take over the pins of a machine that has just been switched on, and wait until the agent is ready."""
        self._said.append("")
        self.cabinet.board.meet(self.machine.helper)
        await self.patiently(self.unit.again(0), "the agent is not ready")

    def script(self) -> str:
        """Return what starts the agent with its settings."""
        return f"exec {shlex.join(self.command({'python': '/usr/bin/python3', 'root': '', 'broker': self._broker}))}\n"

    @property
    def _broker(self) -> str:
        return f"mqtt://{HOST}:{self.proxy.port}"

    async def run(self, *command: str) -> str:
        """Run a command in the machine and return what it printed; raises HelperError."""
        return (await self.machine.helper.run(*command, within=self.patience)).out

    async def put(self, path: str, data: bytes) -> None:
        """Put a file where the agent finds it; the next boots have it, too."""
        self.machine.files[path] = data.decode()
        await self.machine.helper.run("tee", path, given=data.decode())

    async def patiently(self, waiting: Coroutine[Any, Any, Any], what: str) -> Any:  # noqa: ANN401 - of any coroutine
        """Wait for something; raises AssertionError, which says what it was and what the agent said last."""
        try:
            async with asyncio.timeout(self.patience):
                return await waiting
        except TimeoutError as error:
            raise AssertionError(f"{what}. Its log:\n{self.log()[-3000:]}") from error

    def log(self) -> str:
        """Return the agent's log of all its runs, as far as it has been fetched."""
        return "".join(self._said)

    async def _fetch_log(self) -> None:
        while True:
            await self.fetch_log()
            await asyncio.sleep(LOG_FETCHED_EVERY)

    async def fetch_log(self) -> None:
        """Get what the agent has said since the last time. A boot's log goes with its power."""
        if not self.machine.is_on or not self._said:
            return
        boot, known = len(self._said), self._said[-1]
        with contextlib.suppress(HelperError):  # the power went
            said = (await self.machine.helper.run("cat", LOG, check=False)).out
            if boot == len(self._said) and len(said) > len(known):
                self._said[-1] = said


class Arm64Rig(VmRig):
    """The same, whose processor is a Pi's."""

    architecture = ARM64


def _adapter(port: str) -> str:
    """Return the serial number of the adapter that stands in for a port."""
    return port.rpartition("/")[2]


class VmPower(Part):
    """The supply of the machine: what its kernel had not written is lost."""

    def __init__(self, rig: VmRig) -> None:
        super().__init__("power", rig.timeline)
        self.cuts: list[float] = []
        self._rig = rig

    @step
    async def cut(self) -> None:
        """End QEMU."""
        at = await self._rig.machine.cut()
        self.cuts.append(at)
        await self._rig.cabinet.board.part()
        await self._rig.cabinet.agent_gone(at)

    @step
    async def restore(self) -> None:
        """Boot it again, and wait until the agent is ready."""
        self._rig.clock.mark(right=self._rig.clock.synced)
        await self._rig.machine.on()
        await self._rig.booted()


class VmCard(Part):
    """The small disk that the agent's journal is on."""

    def __init__(self, rig: VmRig) -> None:
        super().__init__("disk", rig.timeline)
        self._card = card.Card(rig.machine)

    @step
    async def fill(self) -> None:
        """Fill it up."""
        await self._card.fill()

    @step
    async def empty(self) -> None:
        """Take away what filled it."""
        await self._card.empty()

    @step
    async def read_only(self) -> None:
        """Have the next boot mount it read-only."""
        self._card.mounted(writable=False)

    @step
    async def writable(self) -> None:
        """Have the next boot mount it as ever."""
        self._card.mounted(writable=True)


class VmClock(Part):
    """The machine's clock, and the mark that systemd-timesyncd leaves once it has set it."""

    def __init__(self, rig: VmRig) -> None:
        super().__init__("clock", rig.timeline)
        self.synced = True
        self._rig = rig
        self._mark = f"/{rig.description.agent.clock_mark}"

    @step
    async def unsync(self) -> None:
        """Take the mark away, and leave none at the next boot."""
        self.synced = False
        if self._rig.machine.is_on:
            await self._rig.run("rm", "-f", self._mark)

    @step
    async def sync(self) -> None:
        """Set the clock right, and leave the mark."""
        self.synced = True
        self._rig.machine.since = None
        await self._set(0.0)
        await self._rig.run("install", "-D", "/dev/null", self._mark)

    @step
    async def step(self, seconds: float) -> None:
        """Set the clock wrong by so much; without power, that of the next boot."""
        if self._rig.machine.is_on:
            await self._set(seconds)
        else:
            wrong = time.gmtime(max(0.0, time.time() + seconds))
            self._rig.machine.since = time.strftime("%Y-%m-%dT%H:%M:%S", wrong)

    async def _set(self, wrong_by: float) -> None:
        await self._rig.run("date", "--set", f"@{time.time() + wrong_by:.3f}")

    def mark(self, *, right: bool) -> None:
        """Have the next boot find the mark, or not."""
        self._rig.machine.files.pop(self._mark, None)
        if right:
            self._rig.machine.files[self._mark] = ""


class VmAgent(Part):
    """The agent's unit."""

    def __init__(self, rig: VmRig) -> None:
        super().__init__("agent", rig.timeline)
        self._rig = rig

    @step
    async def kill(self) -> None:
        """Send SIGKILL, and wait until the next run is ready."""
        await self._ends_by(signal.SIGKILL)

    @step
    async def hang(self) -> None:
        """Stop it from running; the watchdog ends it."""
        await self._ends_by(signal.SIGSTOP)

    async def _ends_by(self, number: signal.Signals) -> None:
        before = await self._rig.unit.pid()
        at = time.time()
        await self._rig.unit.send(number)
        await self._rig.patiently(self._rig.unit.again(before), "no next run of the agent is ready")
        await self._rig.cabinet.agent_gone(at)

    @step
    async def restart(self, settings: Mapping[str, str] | None = None) -> None:
        """Stop it in order, and start it again."""
        at = time.time()
        await self.stop()
        self._rig.settings |= settings or {}
        await self._rig.put(START, self._rig.script().encode())
        await self._rig.patiently(self._rig.unit.start(), "the agent is not ready")
        await self._rig.cabinet.agent_gone(at)

    @step
    async def stop(self) -> None:
        """Stop it in order."""
        status = await self._rig.patiently(self._rig.unit.stop(), "the agent does not stop")
        await self._rig.fetch_log()
        if status:
            raise AssertionError(f"the agent stopped with exit status {status}:\n{self._rig.log()[-3000:]}")

    @step
    async def gets(self, path: str, data: bytes) -> None:
        """Put a file where the agent finds it."""
        await self._rig.put(path, data)

    async def says(self) -> str:
        """Return its log, of all its runs."""
        await self._rig.fetch_log()
        return self._rig.log()
