"""A gateway that is a Debian in a container: the unit, its watchdog, its restarts and its sandbox are systemd's own.

Ptys and pins reach into it, and it shares the network of this machine, where the faulty link and the broker are. What
it cannot do: it has the kernel and the clock of this machine. So its wall clock cannot be set, its pins are those of
the `rig` pin factory, and a power cut (SIGKILL to all of it) loses what was on tmpfs, but not what was not synced.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil import container, install
from hil.container import Container, ContainerError
from hil.rigs.base import Capability, Part, RigError, step
from hil.rigs.gate import Gate
from hil.rigs.machine import Card, Machine, why_no_clock, why_no_mounts
from hil.rigs.roots import laid_out
from hil.rigs.surroundings import CabinetRig
from hil.rigs.unit import Unit, command_line, drop_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AsyncExitStack

    from hil.rigs.description import Description
    from hil.rigs.timeline import Timeline

OUTSIDE = "/srv/rig"  # where the rig's folder is seen in the container
ROOT, LAYERS = "gateway", "layers"  # in the rig's folder


class ContainerRig(CabinetRig):
    """A gateway in a container, with a cabinet of simulated devices."""

    power: ContainerPower
    clock: ContainerClock

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
        self.root.chmod(0o755)  # the agent is a user of its own
        self.machine = Machine(self.root, card=description.agent.card, memory="")
        self.unit = Unit(description.agent.unit, self.run)
        self.gate = Gate(self.root, self._over)
        self.asked_at = 0.0  # when this run was asked to end (seconds since 1970), 0 if it was not
        self.power = ContainerPower(self)
        self.clock = ContainerClock(self)
        self.disk = Card(self.machine, timeline)
        self.agent = ContainerAgent(self)
        self._booted: Container | None = None

    @classmethod
    def why_not(cls) -> str:
        """Return why there can be no such rig on this machine; empty if there can."""
        return container.why_not() or why_no_mounts()

    @classmethod
    def lacks(cls, description: Description) -> Mapping[Capability, str]:
        """Return what a container cannot do."""
        lacking = {Capability.CLOCK_STEP: "a container has the clock of this machine, which is not ours to set"}
        if why_no_clock():
            lacking[Capability.CLOCK] = why_no_clock()
        if description.agent.wire != "roadside":
            lacking[Capability.ACCOUNT] = 'agent.wire = "plain": nobody knows which message says what'
        return lacking | description.rig.cannot

    @property
    def container(self) -> Container:
        """The container; raises RigError before it was switched on for the first time."""
        if self._booted is None:
            raise RigError("the container was never switched on")
        return self._booted

    async def switch_on(self, stack: AsyncExitStack) -> None:
        """Lay out the root folder, and boot it."""
        base = await asyncio.to_thread(stack.enter_context, laid_out(self._prepare, self._recipe()))
        await stack.enter_async_context(self.machine)
        await self._mount_root(base)
        self.cabinet.board.path.chmod(0o666)
        (self.root / "agent.log").touch()
        stack.enter_context(self.gate)
        mark = self.root / self.description.agent.clock_mark
        card = self.description.agent.card
        self._booted = Container(
            self.root / ROOT,
            view=self.machine.inside(),
            binds={
                OUTSIDE: self.root,
                "/dev/pts": Path("/dev/pts"),
                f"/{mark.parent.relative_to(self.root)}": mark.parent,
                **({f"/{card}": self.root / card} if card else {}),
            },
            own_network=False,
        )
        stack.callback(self._booted.off)
        self.clock.mark(right=True)
        self.configure()
        self._put_files()
        await self.boot()

    def _put_files(self) -> None:
        for path, source in self.description.agent.files.items():
            (filled,) = self.filled([source], {})
            self.put(path, Path(filled).read_bytes())

    async def _mount_root(self, base: Path) -> None:
        """Have a root folder that begins as `base`, and keeps what is written to it as long as the rig is there."""
        for name in (ROOT, LAYERS):
            (self.root / name).mkdir()
        layers = self.root / LAYERS
        await self.machine.run("mount", "-t", "tmpfs", "layers", str(layers))
        for name in ("upper", "work"):
            (self.machine.seen(layers) / name).mkdir()
        options = f"lowerdir={base},upperdir={layers}/upper,workdir={layers}/work"
        await self.machine.run("mount", "-t", "overlay", "-o", options, "gateway", str(self.root / ROOT))

    def _prepare(self, root: Path) -> None:
        module, _, name = self.description.agent.install.partition(":")
        getattr(import_module(module), name)(root)

    def _recipe(self) -> str:
        return self.description.agent.install + install.fingerprint()

    def configure(self) -> None:
        """Write what the rig adds to the agent's unit: settings, pins, a gate behind its end, and a quicker pace."""
        agent = self.description.agent
        text = drop_in(
            ("ExecStart", ""),
            ("ExecStart", command_line(self.command({"python": "/usr/bin/python3", "root": ""}))),
            *(("ExecStartPre", f"+/bin/ln -sfn {OUTSIDE}{path} {path}") for path in self.cabinet.wires),
            ("ExecStopPost", command_line(self.gate.command(OUTSIDE))),
            ("WatchdogSec", f"{agent.watchdog:g}s"),
            ("RestartSec", "100ms"),
            ("RestartSteps", "0"),
            ("StandardOutput", f"append:{OUTSIDE}/agent.log"),
            ("StandardError", "inherit"),
            environment={
                "GPIOZERO_PIN_FACTORY": "rig",
                "RIG_PINS": f"{OUTSIDE}/{self.cabinet.board.path.name}",
                **self.environment,
            },
        )
        self.put(f"/etc/systemd/system/{self.unit.name}.service.d/rig.conf", text.encode())

    def put(self, path: str, data: bytes) -> None:
        """Put a file below the container's root."""
        inside = self.container.seen(path) if self.container.is_on else self.machine.seen(self.root / ROOT / path[1:])
        inside.parent.mkdir(parents=True, exist_ok=True)
        inside.write_bytes(data)

    async def run(self, *command: str) -> str:
        """Run a command in the container and return what it printed; raises ContainerError."""
        return (await asyncio.to_thread(self.container.run, *command)).stdout

    async def boot(self) -> None:
        """Switch the container on, and wait until the agent is ready."""
        await asyncio.to_thread(self.container.boot)
        await self.patiently(self.unit.again(0), "the agent is not ready")

    async def patiently(self, waiting: Any, what: str) -> Any:  # noqa: ANN401 - of any coroutine
        """Wait for something; raises AssertionError, which says what it was and what the agent said last."""
        try:
            async with asyncio.timeout(self.patience):
                return await waiting
        except TimeoutError as error:
            raise AssertionError(f"{what}. Its log:\n{self.log()[-3000:]}") from error

    async def _over(self) -> None:
        """Take note that a run of the agent has ended: the next begins only when that is done."""
        with contextlib.suppress(ContainerError):  # the power went at the same moment
            ended = await self.unit.ended_at() + time.time() - time.monotonic()
            asked, self.asked_at = self.asked_at, 0.0
            await self.cabinet.agent_gone(min(asked or ended, ended))

    def log(self) -> str:
        """Return the agent's log of all its runs."""
        path = self.root / "agent.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""


class ContainerPower(Part):
    """The supply of the gateway: SIGKILL to all that runs in it; what is on tmpfs is gone."""

    def __init__(self, rig: ContainerRig) -> None:
        super().__init__("power", rig.timeline)
        self.cuts: list[float] = []
        self._rig = rig

    @step
    async def cut(self) -> None:
        """Kill everything in the container."""
        at = time.time()
        self.cuts.append(at)
        await asyncio.to_thread(self._rig.container.off)
        await self._rig.cabinet.agent_gone(at)
        self._rig.clock.mark(right=False)

    @step
    async def restore(self) -> None:
        """Boot it again, and wait until the agent is ready."""
        self._rig.clock.mark(right=self._rig.clock.synced)
        await self._rig.gate.close()
        await self._rig.boot()


class ContainerClock(Part):
    """The mark that systemd-timesyncd leaves once it has set the clock."""

    def __init__(self, rig: ContainerRig) -> None:
        super().__init__("clock", rig.timeline)
        self.synced = True
        self._mark = rig.root / rig.description.agent.clock_mark

    @step
    async def unsync(self) -> None:
        """Take the mark away."""
        self.synced = False
        self.mark(right=False)

    @step
    async def sync(self) -> None:
        """Leave the mark."""
        self.synced = True
        self.mark(right=True)

    @step
    async def step(self, seconds: float) -> None:
        """Raise RigError: this cannot be done."""
        raise RigError(f"a container has the clock of this machine, which is not set by {seconds:g} s")

    def mark(self, *, right: bool) -> None:
        """Leave the mark, or take it away."""
        self._mark.parent.mkdir(parents=True, exist_ok=True)
        self._mark.unlink(missing_ok=True)
        if right:
            self._mark.touch()


class ContainerAgent(Part):
    """The agent's unit."""

    def __init__(self, rig: ContainerRig) -> None:
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
        self._rig.asked_at = time.time()
        await self._rig.unit.send(number)
        await self._rig.patiently(self._rig.unit.again(before), "no next run of the agent is ready")

    @step
    async def restart(self, settings: Mapping[str, str] | None = None) -> None:
        """Stop it in order, and start it again."""
        await self.stop()
        self._rig.settings |= settings or {}
        self._rig.configure()
        await self._rig.patiently(self._rig.unit.start(), "the agent is not ready")

    @step
    async def stop(self) -> None:
        """Stop it in order."""
        within = self._rig.description.agent.stops_within
        asked = time.monotonic()
        self._rig.asked_at = time.time()
        status = await self._rig.patiently(self._rig.unit.stop(), "the agent does not stop")
        if (took := await self._rig.unit.ended_at() - asked) > within:
            raise AssertionError(f"the agent stopped after {took:.1f} s, not {within:g} s:\n{self._rig.log()[-3000:]}")
        if status:
            raise AssertionError(f"the agent stopped with exit status {status}:\n{self._rig.log()[-3000:]}")

    @step
    async def gets(self, path: str, data: bytes) -> None:
        """Put a file below the container's root."""
        self._rig.put(path, data)

    async def says(self) -> str:
        """Return its log, of all its runs."""
        return self._rig.log()
