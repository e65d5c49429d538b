"""A broker of our own on loopback: `iotcore` from this environment, or Debian's mosquitto where it has no wheel."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import shutil
import signal
import socket
import subprocess
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import aiomqtt

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

LOOPBACK = "127.0.0.1"
READY_WITHIN = 30.0  # seconds
STOPS_WITHIN = 5.0  # seconds
MOST_PAYLOAD = 2 * 1024 * 1024  # bytes; iotcore's own limit of 20 KiB is less than a long outage's packs

# https://github.com/bytebeamio/rumqtt, rumqttd.toml: MQTT 5 has listeners of its own.
RUMQTTD = """\
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 104857600
max_segment_count = 10
[v5.1]
name = "loopback"
listen = "{host}:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 60000
max_payload_size = {payload}
max_inflight_count = 100
"""

# Started by root, mosquitto becomes another user unless told not to, and the kernel then forgets that it dies with us.
MOSQUITTO = """\
user root
listener {port} {host}
allow_anonymous true
persistence false
log_dest stderr
log_type error
message_size_limit {payload}
set_tcp_nodelay true
"""


class BrokerError(Exception):
    """There is no broker, or it does not start; the message says what to do."""


class Engine(StrEnum):
    """The program that is the broker."""

    IOTCORE = "iotcore"
    MOSQUITTO = "mosquitto"


class Child(Protocol):
    """A broker's process."""

    def start(self) -> object:
        """Start it."""
        ...

    def stop(self) -> None:
        """End it and wait until it has ended."""
        ...


class Broker:
    """A broker that speaks MQTT 5. Use it as an asynchronous context manager; it ends with us, whatever happens."""

    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine or _available()
        self.port = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"mqtt://{LOOPBACK}:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start and wait until it takes a client; raises BrokerError. After a `stop`, it is at the same port again."""
        self.port = self.port or _free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="roadside-broker-")
        try:
            self._child = self._make(Path(self._folder.name) / "broker.toml")
            await asyncio.to_thread(_deaf_to_ctrl_c, self._child.start)  # iotcore waits with a blocking sleep
            await self._ready()
        except (OSError, RuntimeError, TimeoutError) as error:
            await self.stop()
            raise BrokerError(f"{self.engine} does not start on {LOOPBACK}:{self.port}: {error}") from error
        except (BrokerError, asyncio.CancelledError):
            await self.stop()
            raise

    async def stop(self) -> None:
        """End it. Harmless to call again."""
        child, self._child = self._child, None
        if child is not None:
            await asyncio.to_thread(child.stop)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _make(self, config: Path) -> Child:
        pattern = RUMQTTD if self.engine is Engine.IOTCORE else MOSQUITTO
        config.write_text(pattern.format(host=LOOPBACK, port=self.port, payload=MOST_PAYLOAD), encoding="utf-8")
        if self.engine is Engine.MOSQUITTO:
            return _Mosquitto(config)
        from iotcore import Broker as IotcoreBroker

        child: Child = IotcoreBroker(config_path=str(config))
        return child

    async def _ready(self) -> None:
        async with asyncio.timeout(READY_WITHIN):
            while True:
                with contextlib.suppress(aiomqtt.MqttError):
                    async with aiomqtt.Client(LOOPBACK, self.port, protocol=aiomqtt.ProtocolVersion.V5, timeout=2):
                        return
                await asyncio.sleep(0.05)


class _Mosquitto:
    """Debian's mosquitto as a child process."""

    def __init__(self, config: Path) -> None:
        program = _mosquitto()
        if program is None:
            raise BrokerError("mosquitto is not installed: apt-get install mosquitto")
        # The kernel ends it when the thread that started it ends, so that it cannot outlive us.
        self._command = ["setpriv", "--pdeathsig", "TERM", program, "-c", str(config)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _deaf_to_ctrl_c(start: Callable[[], object]) -> None:
    """Start a child that a terminal's Ctrl-C does not reach: it is us who end it, when nobody needs it any more.

    To be called in a thread. The child inherits the signals that this blocks.
    """
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _available() -> Engine:
    if importlib.util.find_spec("iotcore") is not None:
        return Engine.IOTCORE
    if _mosquitto() is not None:
        return Engine.MOSQUITTO
    raise BrokerError(
        "there is no broker here: install iotcore (pip install -e '.[demo]' -c constraints.txt), "
        "or mosquitto (apt-get install mosquitto), or name a running one with --broker"
    )


def _mosquitto() -> str | None:
    """Return the path of mosquitto; Debian puts it where a plain user's PATH does not look."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
