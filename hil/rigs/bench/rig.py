"""The rig of real hardware: a gateway on a bench, whose wires and pins end at a far end that plays the devices.

The broker, the faulty link and the simulated devices are on this machine. The gateway reaches the broker through an ssh
tunnel, the devices reach the gateway through the far end, and its power is switched by commands or a relay. Its agent
is a service of the gateway's own systemd. docs/hil-bench.md has the wiring, and says what has never met hardware.
"""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, NoReturn

from hil.cabinet import Cabinet
from hil.rigs.base import Capability, Part, RigError, step
from hil.rigs.bench.client import FarBoard, FarEnd, FarWire
from hil.rigs.bench.description import bench
from hil.rigs.bench.gateway import Gateway, kept_running, run
from hil.rigs.handles import CabinetDevice
from hil.rigs.surroundings import CabinetRig
from hil.rigs.unit import Unit, command_line, drop_in

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from hil.audit import Account
    from hil.rigs.bench.description import Bench
    from hil.rigs.description import Description
    from hil.rigs.timeline import Timeline

DROP_IN = "/run/systemd/system/{unit}.d/rig.conf"  # gone with the next start of the gateway
NOBODY_KNOWS = "at the other end of a wire nobody sees what the gateway has read"
NOT_BUILT = "a bench has nothing yet that does this"


class BenchRig(CabinetRig):
    """A real gateway with devices that are played at the far end of its wires."""

    power: BenchPower

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
        self.bench = bench(description.bench, description.path)
        self.far = FarEnd(self.bench.far_end)
        self.cabinet = FarCabinet(self, description)
        self.machine = Gateway(self.bench.gateway)
        self.unit = Unit(description.agent.unit, self.machine.run)
        self.power = BenchPower(self)
        self.clock = NotBuilt("clock")
        self.disk = NotBuilt("disk")
        self.agent = BenchAgent(self)
        self._outer = AsyncExitStack()

    @classmethod
    def lacks(cls, description: Description) -> Mapping[Capability, str]:
        """Return what nobody has built at this bench."""
        table = bench(description.bench, description.path)
        lacking = {
            Capability.ACCOUNT: NOBODY_KNOWS,
            Capability.CLOCK: NOT_BUILT,
            Capability.CLOCK_STEP: NOT_BUILT,
            Capability.DISK: NOT_BUILT,
        }
        for capability, built, key in (
            (Capability.SERIAL, table.wires, "wires"),
            (Capability.GPIO, table.pins, "pins"),
            (Capability.POWER, table.supply is not None or table.relay is not None, "power, relay or labgrid"),
        ):
            if not built:
                lacking[capability] = f"bench has no {key}"
        return lacking | description.rig.cannot

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            if self.bench.labgrid:
                await run(["labgrid-client", "-p", self.bench.labgrid, "acquire"])
                stack.push_async_callback(run, ["labgrid-client", "-p", self.bench.labgrid, "release"])
            await stack.enter_async_context(self.far)
            for name, wire in self.bench.wires.items():
                await self.far.ask("open", wire=name, port=wire.port, line=wire.line)
            await super().__aenter__()
            self._outer = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        async with self._outer:
            await super().__aexit__(kind, error, trace)
        if kind is None and self.far.faults:
            raise RigError("\n".join(dict.fromkeys(self.far.faults)))

    async def switch_on(self, stack: AsyncExitStack) -> None:
        """Give the gateway its power and its way to the broker, and start the agent with the rig's settings."""
        if self.bench.tunnel:
            tunnel = [word.replace("{port}", str(self.proxy.port)) for word in self.bench.tunnel]
            await stack.enter_async_context(kept_running(tunnel))
        await self.power.switch(on=True)
        await self.within(self.machine.answers(), "the gateway does not answer")
        (self.root / "agent.log").touch()
        log = self.machine.words("journalctl", "--follow", "--lines=0", "--output=cat", f"--unit={self.unit.name}")
        await stack.enter_async_context(kept_running(log, self.root / "agent.log"))
        await self.unit.stop()
        stack.push_async_callback(self.unit.stop)
        await self.start()

    async def start(self) -> None:
        """Start the agent with the settings as they are, and wait until it is ready."""
        agent = self.description.agent
        lines = [("ExecStart", ""), ("ExecStart", command_line(self.command(self._places)))]
        text = drop_in(*lines, environment=self.environment)
        await self.machine.put(DROP_IN.format(unit=self.unit.name), text.encode())
        for path, source in agent.files.items():
            (file,) = self.filled([source], {})
            await self.machine.put(path, await asyncio.to_thread(_bytes, file))
        await self.within(self.unit.start(), "the agent is not ready")

    async def within(self, work: Any, otherwise: str) -> None:  # noqa: ANN401 - any awaitable
        """Wait for something; raises AssertionError."""
        try:
            async with asyncio.timeout(self.patience):
                await work
        except TimeoutError:
            raise AssertionError(f"{otherwise} within {self.patience:g} s. Its log:\n{self.log()[-3000:]}") from None

    def log(self) -> str:
        """Return the agent's log of all its runs."""
        path = self.root / "agent.log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def device(self, name: str) -> BenchDevice:
        """Return a device by its name."""
        return BenchDevice(self, name)

    def account(self) -> Account:
        """Raise RigError: there can be none."""
        raise RigError(NOBODY_KNOWS)

    @property
    def _places(self) -> dict[str, str]:
        places = {"root": "/", "python": "python3"}
        if self.bench.tunnel:
            port = self.bench.broker_port
            places |= {"host": "127.0.0.1", "port": str(port), "broker": f"mqtt://127.0.0.1:{port}"}
        return places


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


class FarCabinet(Cabinet):
    """Simulated devices of this machine, on wires and pins of the far end."""

    def __init__(self, rig: BenchRig, description: Description) -> None:
        super().__init__(rig.root, description.plan)
        self._far = rig.far
        self._table: Bench = rig.bench
        self.board = FarBoard(rig.root / "pins.sock", rig.far, rig.bench.pins)

    def _wire(self, path: str) -> Any:  # noqa: ANN401 - a FarWire, where a Pty is expected
        if path not in self._table.wires:
            raise RigError(f"bench.wires does not say which port of the far end {path} of the gateway is wired to")
        if path not in self.wires:
            self.wires[path] = FarWire(self._far, path)  # type: ignore[assignment] # as much of a Pty as devices need
        return self.wires[path]


class BenchDevice(CabinetDevice):
    """A device whose plug is pulled by a command, if there is one."""

    def __init__(self, rig: BenchRig, name: str) -> None:
        super().__init__(rig, name)
        self._bench = rig.bench
        self._at = rig.description.devices[name].get("port", "")

    @step
    async def unplug(self) -> None:
        """Pull the plug of its line."""
        await run(self._plug().off)

    @step
    async def replug(self) -> None:
        """Put it back in."""
        await run(self._plug().on)

    def _plug(self) -> Any:  # noqa: ANN401 - of the description
        wire = self._bench.wires.get(self._at)
        if wire is None or wire.plug is None:
            raise RigError(f"bench.wires.{self._at!r} has no plug: nothing here pulls it")
        return wire.plug


class BenchPower(Part):
    """The supply of the gateway."""

    def __init__(self, rig: BenchRig) -> None:
        super().__init__("power", rig.timeline)
        self.cuts: list[float] = []
        self._rig = rig

    @step
    async def cut(self) -> None:
        """Take the power away."""
        self.cuts.append(time.time())
        await self.switch(on=False)

    @step
    async def restore(self) -> None:
        """Give the power back, and wait until the agent is ready."""
        await self.switch(on=True)
        await self._rig.within(self._rig.machine.answers(), "the gateway does not answer")
        await self._rig.start()

    async def switch(self, *, on: bool) -> None:
        """Switch the supply, where something does."""
        table = self._rig.bench
        if table.relay is not None:
            await self._rig.far.ask("drive", pin=table.relay, level=on)
        elif table.supply is not None:
            await run(table.supply.on if on else table.supply.off)


class NotBuilt(Part):
    """A part that no bench has: its verbs raise RigError."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __getattr__(self, verb: str) -> NoReturn:
        raise RigError(f"{self.name}.{verb}: {NOT_BUILT}")


class BenchAgent(Part):
    """The agent as a service of the gateway's own systemd."""

    def __init__(self, rig: BenchRig) -> None:
        super().__init__("agent", rig.timeline)
        self._rig = rig

    @step
    async def kill(self) -> None:
        """Send SIGKILL, and wait until the next run is ready."""
        await self._until_next(signal.SIGKILL)

    @step
    async def hang(self) -> None:
        """Stop it from running; the watchdog ends it."""
        await self._until_next(signal.SIGSTOP)

    @step
    async def restart(self, settings: Mapping[str, str] | None = None) -> None:
        """Stop it in order, and start it again."""
        await self.stop()
        self._rig.settings |= settings or {}
        await self._rig.start()

    @step
    async def stop(self) -> None:
        """Stop it in order."""
        if status := await self._rig.unit.stop():
            raise AssertionError(f"the agent stopped with exit status {status}:\n{self._rig.log()[-3000:]}")

    @step
    async def gets(self, path: str, data: bytes) -> None:
        """Put a file on the gateway."""
        await self._rig.machine.put(path, data)

    async def says(self) -> str:
        """Return its log, of all its runs."""
        return self._rig.log()

    async def _until_next(self, number: signal.Signals) -> None:
        before = await self._rig.unit.pid()
        await self._rig.unit.send(number)
        await self._rig.within(self._rig.unit.again(before), "no next run of the agent is ready")
