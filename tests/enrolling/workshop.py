"""A workshop for tests: an authority, its office, and its service, here or as a process of its own."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agent.enrolling.authority import Authority
from agent.enrolling.office import Office
from agent.enrolling.service import Service
from tests.brokers import free_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.enrolling.enrolment import Identity

DAY = 86_400.0


class Workshop:
    """`ahead` moves its clock, in seconds."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder / "authority"
        self.url = f"https://localhost:{self.port}"
        self.ahead = 0.0
        self.said: list[str] = []
        self.authority = Authority.make(self.folder, self.url, "Test authority")
        self.office = Office(self.authority, lambda: time.time() + self.ahead)

    def claim(self, gateway: str = "pkt-0042", *, replaces: bool = False, days: float = 30) -> str:
        return self.office.claim(gateway, replaces=replaces, days=days)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Serve in a thread of this process."""
        with Service(self.office, ("127.0.0.1", self.port), ["localhost"], self.said.append) as service:
            thread = threading.Thread(target=service.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            try:
                yield
            finally:
                service.shutdown()
                thread.join()

    @contextmanager
    def process(self) -> Iterator[None]:
        """Serve as a process of its own, as the workshop runs it."""
        command = [sys.executable, "-m", "agent", "enrol", "--serve", "--authority", str(self.folder)]
        with subprocess.Popen(
            [*command, "--listen", f"127.0.0.1:{self.port}"], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert self.authority.fingerprint in line
            try:
                yield
            finally:
                process.terminate()
                process.stdout.read()
        assert process.returncode == 0


def files_of(identity: Identity) -> dict[str, bytes]:
    """Return what the configuration of a gateway finds behind `current`, by name."""
    enrolment = identity.current()
    assert enrolment is not None
    return {file.name: file.read_bytes() for file in enrolment.folder.iterdir()}
