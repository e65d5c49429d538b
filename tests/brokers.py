"""Debian's mosquitto on a free loopback port, for tests that want a real broker.

`conftest.py` files that need it say `from tests.brokers import mosquitto`.
"""

from __future__ import annotations

import getpass
import shutil
import signal
import socket
import subprocess
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

READY_WITHIN = 30.0  # seconds


def free_port() -> int:
    """Return a TCP port of the loopback that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def password_file(folder: Path, **passwords: str) -> Path:
    """Make a file for mosquitto's `password_file`: a password for each user."""
    path = folder / "users"
    path.touch(mode=0o600)
    for user, password in passwords.items():
        subprocess.run(["mosquitto_passwd", "-b", path, user, password], check=True, capture_output=True)
    return path


class Mosquitto:
    """A mosquitto process that can be stopped, started again and frozen."""

    def __init__(self, folder: Path, *settings: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self._folder = folder
        self._folder.mkdir(parents=True, exist_ok=True)
        self._process: subprocess.Popen[bytes] | None = None
        if not any(setting.startswith("allow_anonymous") for setting in settings):
            settings = ("allow_anonymous true", *settings)
        lines = [
            f"listener {self.port} 127.0.0.1",
            f"user {getpass.getuser()}",  # as root it would become somebody who cannot read the test's files
            "persistence false",
            "set_tcp_nodelay true",
            *settings,
        ]
        (folder / "mosquitto.conf").write_text("\n".join(lines) + "\n")

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and return when it accepts connections."""
        binary = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
        assert binary, "mosquitto is not installed; `make test` does that, or: apt-get install mosquitto"
        with (self._folder / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(
                [binary, "-c", str(self._folder / "mosquitto.conf")], stdout=log, stderr=subprocess.STDOUT
            )
        deadline = time.monotonic() + READY_WITHIN
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except ConnectionRefusedError:
                assert self._process.poll() is None, (self._folder / "mosquitto.log").read_text()
                assert time.monotonic() < deadline, "mosquitto did not start listening"
                time.sleep(0.01)
            else:
                return

    def stop(self) -> None:
        """End it, frozen or not. Harmless to call again."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def shut_down(self) -> None:
        """End it as systemd does: with `persistence true` it keeps sessions and what waits for them."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Let it hang: the kernel still accepts connections and bytes for it."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


class MosquittoFactory:
    """Makes brokers that end with the test."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._made = 0

    def __call__(self, *settings: str, start: bool = True) -> Mosquitto:
        """Return a broker with these lines added to its configuration."""
        self._made += 1
        broker = Mosquitto(self._folder / f"mosquitto-{self._made}", *settings)
        self._stack.callback(broker.stop)
        if start:
            broker.start()
        return broker


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[MosquittoFactory]:
    with ExitStack() as stack:
        yield MosquittoFactory(tmp_path, stack)
