"""One place to measure at: a broker and a subscriber in processes of their own, serial devices, and the gateway."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from hil.process import AgentProcess
from tests.bench.way.lines import Lines
from tests.bench.way.subscriber import LISTENS, arrivals
from tests.brokers import Mosquitto, free_port
from tests.soak.footprint import footprint
from tests.uplink.authority import Authority

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Self

    from tests.bench.way.subscriber import Arrival

TMPFS = "/dev/shm"  # noqa: S108 - where a gateway has its young end; the card is there too
DEVICES = ("line-1", "line-2", "line-3", "line-4")
GATEWAY = "pkt-bench"
HERE = Path(__file__).parent
LISTENS_WITHIN = 10.0  # seconds
STOPS_WITHIN = 10.0  # seconds
LOOK = 0.02  # seconds between two looks
# Nothing is to be thrown away for a subscriber that is slow for a moment, nor when the broker is stopped in order.
KEEPS_ALL = ("max_queued_messages 0", "max_inflight_messages 0", "persistence true", "autosave_interval 0")
CONNECTIONS = "$SYS/broker/log/N"  # where mosquitto says who connects, the moment it does

_CONFIG = """
[gateway]
id = "{gateway}"

[uplinks.city]
url = "{url}"
{uplink}

[journal]
{journal}
"""
_DEVICE = """
[devices.{name}]
driver = "line"
port = {{ path = "/dev/{name}", line = "4000000 8N1" }}
pattern = 'R(?P<reading>\\d+) *'
units = {{ reading = "count" }}
"""


@dataclass(frozen=True, eq=False)
class Kind:
    """What is measured."""

    name: str
    journal: Mapping[str, str] | None  # keys of the agent's [journal]; None: the plain script


SHIPPED = Kind("agent", {})
UNBATCHED = Kind("agent, batching off", {"pack_within": '"0 s"'})
SCRIPT = Kind("paho script", None)


class Site:
    """Use it as an asynchronous context manager: all but the gateway itself is running then."""

    def __init__(
        self,
        kind: Kind,
        *,
        devices: Sequence[str] = DEVICES,
        value: Callable[[int], int] = int,
        more: str = "",
        tls: bool = False,
    ) -> None:
        """Take the devices and what they say, and `more` of the configuration than theirs."""
        self.kind = kind
        self.folder = Path(tempfile.mkdtemp(prefix="roadside-way-", dir=TMPFS))
        self.root = self.folder / "root"
        self.lines = Lines(self.root / "dev", devices, value)
        self.started = 0.0  # seconds since 1970: when the gateway was last started
        self.gateway: AgentProcess
        self._more, self._tls, self._uplink = more, tls, ""
        self._tls_port = free_port()
        self._stack = AsyncExitStack()
        self._subscribers: list[asyncio.subprocess.Process] = []
        self.broker = Mosquitto(self.folder / "broker", *KEEPS_ALL, *self._settings())
        self.port = self._tls_port if tls else self.broker.port  # where the gateway connects

    def _settings(self) -> list[str]:
        settings = [f"persistence_location {self.folder}/broker/", "log_dest topic", "log_dest stdout"]
        if self._tls:
            authority = Authority(self.folder / "authority")
            certificate, key = authority.broker()
            secrets = self.root / "etc/roadside"
            secrets.mkdir(parents=True)
            shutil.copy(authority.certificate, secrets / "ca.pem")
            self._uplink = 'ca_file = "/etc/roadside/ca.pem"'
            settings += [f"listener {self._tls_port} 127.0.0.1", f"certfile {certificate}", f"keyfile {key}"]
        return settings

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            synchronised = self.root / "run/systemd/timesync/synchronized"  # or telemetry would wait for the time
            synchronised.parent.mkdir(parents=True)
            synchronised.touch()
            stack.callback(self.broker.stop)
            self.broker.start()
            stack.enter_context(self.lines)
            stack.push_async_callback(self._end)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _end(self) -> None:
        if hasattr(self, "gateway"):
            await self.gateway.kill()
        for subscriber in self._subscribers:
            subscriber.kill()
            await subscriber.wait()

    async def subscribe(self, name: str, *topics: str) -> None:
        """Have topics noted under a name, and return when the broker knows."""
        port = str(self.broker.port)
        command = [sys.executable, "-m", "tests.bench.way.subscriber", port, name, str(self._noted(name)), *topics]
        self._subscribers.append(await asyncio.create_subprocess_exec("setpriv", "--pdeathsig", "KILL", *command))
        async with asyncio.timeout(LISTENS_WITHIN):
            while self.noted(name) < LISTENS:  # noqa: ASYNC110 - another process writes the file
                await asyncio.sleep(LOOK)

    def _noted(self, name: str) -> Path:
        return self.folder / f"{name}.arrivals"

    def noted(self, name: str) -> int:
        """Return how many bytes were noted under a name."""
        path = self._noted(name)
        return path.stat().st_size if path.exists() else 0

    def still_for(self, name: str, seconds: float) -> bool:
        """Return whether nothing has come under a name for so long."""
        return time.time() - self._noted(name).stat().st_mtime >= seconds

    def arrivals(self, name: str) -> list[Arrival]:
        """Return what was noted under a name."""
        return [one for one in arrivals(self._noted(name)) if one.topic]

    async def quiet(self, name: str, seconds: float, within: float) -> None:
        """Return when something has come under a name, and then nothing for so long; raises TimeoutError."""
        deadline = time.monotonic() + within
        size, since = self.noted(name), time.monotonic()
        while size == LISTENS or time.monotonic() - since < seconds:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{name} is not quiet within {within:g} s")
            if (now := self.noted(name)) != size:
                size, since = now, time.monotonic()
            await asyncio.sleep(LOOK)

    async def start(self) -> None:
        """Start the gateway (again)."""
        if self.kind.journal is None:
            paths = [str(self.root / "dev" / name) for name in self.lines.names]
            command = [sys.executable, str(HERE / "paho_script.py"), str(self.port), "paho", *paths]
        else:
            config = self.folder / "gateway.toml"
            config.write_text(self._config(self.kind.journal), encoding="utf-8")
            command = [sys.executable, "-m", "agent", "run", "--config", str(config), "--root", str(self.root)]
        self.gateway = AgentProcess(command, environment=os.environ, folder=Path.cwd(), log=self.folder / "gateway.log")
        self.started = time.time()
        await self.gateway.start()

    def _config(self, journal: Mapping[str, str]) -> str:
        scheme = "mqtts" if self._tls else "mqtt"
        common = _CONFIG.format(
            gateway=GATEWAY,
            url=f"{scheme}://localhost:{self.port}",
            uplink=self._uplink,
            journal="\n".join(f"{key} = {value}" for key, value in journal.items()),
        )
        return common + "".join(_DEVICE.format(name=name) for name in self.lines.names if name in DEVICES) + self._more

    def processor(self) -> float:
        """Return the seconds of the processor's that the gateway has taken."""
        return time.clock_gettime((~self.gateway.pid << 3) | 2)  # clock_getcpuclockid(3) of another process

    def pss(self) -> float:
        """Return what memory the gateway takes, in MiB, its part of what is shared included."""
        return footprint(self.gateway.pid).pss / (1 << 20)
