"""The agent as the rig knows it: a process with a command line, an environment and a log."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


class AgentProcess:
    """Starts an agent, kills it, stops it. Its log goes to a file, one run after the other."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], folder: Path, log: Path) -> None:
        # The kernel ends it when we end, however that comes about. A terminal's Ctrl-C is ours alone (a new session).
        self._command = ["setpriv", "--pdeathsig", "KILL", *command]
        self._environment = environment
        self._folder = folder
        self._log = log
        self._process: asyncio.subprocess.Process | None = None
        self.status: int | None = None  # of the last run; negative: the signal that ended it

    @property
    def running(self) -> bool:
        """Tell whether it runs."""
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int:
        """The process id of the last run."""
        if self._process is None:
            message = "the agent was never started"
            raise ValueError(message)
        return self._process.pid

    async def start(self) -> None:
        """Start it."""
        with self._log.open("ab") as log:
            self._process = await self._spawn(log)

    async def _spawn(self, log: IO[bytes]) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *self._command,
            env=dict(self._environment),
            cwd=self._folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )

    async def kill(self) -> float:
        """Send SIGKILL, wait for the end and return when (CLOCK_REALTIME) the signal was sent."""
        at = time.time()
        await self._end(signal.SIGKILL, 5.0)
        return at

    async def stop(self, within: float) -> None:
        """Send SIGTERM and wait; raises TimeoutError if it does not end in time."""
        await self._end(signal.SIGTERM, within)

    def send(self, number: signal.Signals) -> None:
        """Send a signal, and do not wait for what becomes of it."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def _end(self, number: signal.Signals, within: float) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(number)
        async with asyncio.timeout(within):
            self.status = await process.wait()

    async def ended(self) -> int:
        """Wait until it ends by itself and return its exit status."""
        if self._process is None:
            message = "the agent was never started"
            raise ValueError(message)
        self.status = await self._process.wait()
        return self.status

    def tail(self, lines: int = 15) -> str:
        """Return the last lines of the log."""
        try:
            return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        except OSError:
            return ""
