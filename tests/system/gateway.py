"""One gateway for a test: a simulated cabinet, a link to a broker, the city behind it, and the real agent."""

from __future__ import annotations

import asyncio
import inspect
import itertools
import json
import os
import shutil
import sys
import tempfile
import time
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from hil.audit import Account, audit
from hil.cabinet import Cabinet
from hil.city import City
from hil.link import Link
from hil.process import AgentProcess
from tests.system.troubles import release

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hil.wires.pty import Pty

HERE = Path(__file__).parent
STOPS_WITHIN = 5.0  # seconds: what the agent promises
TOLD_WITHIN = 60.0  # seconds for anything else to show; a retry may be some seconds off
ARRIVES_WITHIN = 20.0  # seconds for the last messages to come to the city when the agent has ended

_numbers = itertools.count(1)


class Gateway:
    """Lays out a root, starts the agent on it, and holds it to its promises when the test is over.

    At the end the agent must stop in time, with exit status 0, without a traceback and without an offence against the
    specification of the wire.
    """

    def __init__(
        self,
        broker: str,
        *,
        config: Path = HERE / "gateway.toml",
        plan: Path = HERE / "cabinet.toml",
        on_wires: Mapping[str, type[Any]] | None = None,
        settings: Mapping[str, str] | None = None,
        wrap: Callable[[Path], Sequence[str]] = lambda _: (),
        synchronised: bool = True,
        start: bool = True,
    ) -> None:
        """Take the broker's URL, what to `--set`, and a command to run the agent through, made from the root."""
        self.id = f"pkt-{next(_numbers):04}"  # retained messages of an earlier test are somebody else's
        # A unix socket's path has room for 107 bytes: pytest's own folders are too long.
        self.root = Path(tempfile.mkdtemp(prefix="roadside-"))
        self.cabinet = Cabinet(self.root, plan, on_wires=on_wires)
        self.link = Link(int(broker.rpartition(":")[2]))
        self.city = City(broker)
        self.agent: AgentProcess
        self.settings = {"gateway.id": self.id, **(settings or {})}
        self.wrap = wrap
        self._config = config
        self._start = start
        self._stack = AsyncExitStack()
        if synchronised:
            self.synchronise()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(shutil.rmtree, self.root)
            for part in (self.link, self.city, self.cabinet):
                await stack.enter_async_context(part)
            self.settings.setdefault("uplinks.city.url", self.link.url)
            self.agent = self._process()
            stack.push_async_callback(self._make_sure_it_ends)
            if self._start:
                await self.start()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        async with self._stack:
            if kind is None and self.agent.running:
                await self.stop()

    def _process(self) -> AgentProcess:
        run = [sys.executable, "-m", "agent", "run", "--config", str(self._config), "--root", str(self.root)]
        for key, value in self.settings.items():
            run += ["--set", f"{key}={value}"]
        return AgentProcess(
            [*self.wrap(self.root), *run],
            environment={**os.environ, **self.cabinet.environment},
            folder=self.root,
            log=self.root / "agent.log",
        )

    # --- the agent's life -------------------------------------------------------------------------------------------

    async def start(self, *, config: Path | None = None, wrap: Callable[[Path], Sequence[str]] | None = None) -> None:
        """Start the agent (again), perhaps in another way than before, and wait until it answers."""
        self._config = config or self._config
        self.wrap = wrap or self.wrap
        self.agent = self._process()
        await self.agent.start()
        await self.until(lambda: (self.root / "run/roadside/control").exists() or not self.agent.running)
        assert self.agent.running, self.log()

    async def stop(self) -> None:
        """Send SIGTERM, and hold the agent to all that is promised of a stop."""
        at = time.time()
        await self.agent.stop(STOPS_WITHIN)
        log = self.log()
        assert self.agent.status == 0, log
        assert " stopped\n" in log.rpartition(" stopping\n")[2], log
        assert "does_not_stop" not in log
        assert "Traceback" not in log, log
        assert not self.city.faults
        await self.cabinet.agent_gone(at)

    async def kill(self) -> None:
        """Send SIGKILL."""
        await self.cabinet.agent_gone(await self.agent.kill())

    async def _make_sure_it_ends(self) -> None:
        if self.agent.running:
            release(self.agent.pid)
            await self.agent.kill()

    # --- what can be done to it -------------------------------------------------------------------------------------

    def wire(self, device: str) -> Pty:
        """Return the wire that a device is on."""
        paths = {"air-1": "/dev/ttyAMA0", "level-1": "/dev/ttyUSB0", "meter-1": "/dev/ttyUSB1"}
        return self.cabinet.wires[paths[device]]

    def synchronise(self) -> None:
        """Say what systemd-timesyncd says once it has set the clock."""
        flag = self.root / "run/systemd/timesync/synchronized"
        flag.parent.mkdir(parents=True, exist_ok=True)
        flag.touch()

    # --- what can be seen of it -------------------------------------------------------------------------------------

    def log(self) -> str:
        """Return the agent's log of all its runs."""
        path = self.root / "agent.log"
        return path.read_text("utf-8") if path.exists() else ""

    @property
    def health(self) -> dict[str, Any]:
        """What the city was last told on the health topic."""
        return self.city.said.get((self.id, "health"), {})

    async def status(self) -> dict[str, Any]:
        """Return what `roadside status --json` prints; empty if no agent answers."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "agent", "status", "--json", "--root", str(self.root)),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        printed, _ = await process.communicate()
        said: dict[str, Any] = json.loads(printed) if printed else {}
        return said

    async def until(self, condition: Callable[[], object], within: float = TOLD_WITHIN) -> None:
        """Wait until a condition holds."""
        deadline = asyncio.get_running_loop().time() + within
        while not condition():
            assert asyncio.get_running_loop().time() < deadline, self._never(condition)
            await asyncio.sleep(0.02)

    async def says(self, condition: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
        """Wait until the agent says so to whoever asks it, and return all it says."""
        deadline = asyncio.get_running_loop().time() + TOLD_WITHIN
        while not ((said := await self._ask()) and condition(said)):
            assert asyncio.get_running_loop().time() < deadline, f"{self._never(condition)}\n{said}"
            await asyncio.sleep(0.05)
        return said

    async def _ask(self) -> dict[str, Any]:
        """Ask the agent how it is; empty if it does not answer."""
        try:
            reader, writer = await asyncio.open_unix_connection(self.root / "run/roadside/control", limit=1 << 20)
            writer.write(b'{"do": "status"}\n')
            answer: dict[str, Any] = json.loads(await reader.readline())
            writer.close()
        except (OSError, ValueError):
            return {}
        return answer["ok"]

    def _never(self, condition: Callable[..., object]) -> str:
        return f"{inspect.getsource(condition).strip()}\nis never so. The log:\n{self.agent.tail(25)}"

    async def tells(self, condition: Callable[[dict[str, Any]], object], *, log: str) -> None:
        """Wait until the city is told so on the health topic, `roadside status` says so, and the log has it."""
        await self.says(condition)  # to start the command takes a third of a second: not before it says so
        assert condition(await self.status())
        await self.until(lambda: self.health and condition(self.health))
        await self.until(lambda: log in self.log(), 1.0)

    async def well(self, *devices: str) -> None:
        """Wait until devices are read."""
        await self.until(lambda: self.health and all(device_is(one, "ok")(self.health) for one in devices))

    async def go_on(self, *devices: str, readings: int = 3) -> None:
        """Wait until so many new readings of each of these devices, made from now on, have arrived."""
        before = {one: self._count(one) for one in devices}
        await self.until(lambda: all(self._count(one) >= before[one] + readings for one in devices))

    def _count(self, device: str) -> int:
        return sum(
            one.device == device and one.value is not None for one in self.city.received if one.gateway == self.id
        )

    # --- the account ------------------------------------------------------------------------------------------------

    def account(self) -> Account:
        """Account for everything emitted so far."""
        return audit(
            self.cabinet.emissions,
            [one for one in self.city.received if one.gateway == self.id],
            deaf=self.cabinet.deaf,
            cuts=self.cabinet.cuts,
            statements=[one for one in self.city.statements if one.gateway == self.id],
        )

    async def loses_nothing(self) -> Account:
        """Let all go up that is on its way, stop the agent, and demand an account that is clean."""
        await self.cabinet.quiet()
        await self.until(lambda: not self.cabinet.unread)
        await self.says(lambda said: not any(said["journal"]["waiting"]["city"].values()))
        await self.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(ARRIVES_WITHIN):
                await self.city.until(lambda: self.account().clean)
        account = self.account()
        assert account.clean, f"{account}\n{account.lost}\n{account.doubled}\n{account.misdated}\n{self.log()}"
        assert account.received
        return account


# --- conditions on what the agent says of itself -------------------------------------------------------------------


def device_is(name: str, state: str) -> Callable[[dict[str, Any]], bool]:
    """Return whether a device is in a state."""
    return lambda said: said["devices"][name]["state"] == state


def device_counts(name: str, fault: str) -> Callable[[dict[str, Any]], bool]:
    """Return whether a device has had a kind of fault in its data."""
    return lambda said: said["devices"][name].get("faults", {}).get(fault, 0) > 0


def uplink_has(name: str, fault: str | None) -> Callable[[dict[str, Any]], bool]:
    """Return whether an uplink has a fault, or none."""
    return lambda said: said["uplinks"][name]["fault"] == fault
