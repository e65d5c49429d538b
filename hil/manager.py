"""Plays systemd for one service: Type=notify, WatchdogSec=, Restart=always, ExecStopPost= (systemd.service(5))."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from hil.process import AgentProcess

RESTARTS_AFTER = 0.1  # seconds
LOOKS_EVERY = 0.1  # seconds
NOTIFY_SIZE = 4096  # bytes of one notification


class ServiceManager:
    """Starts an agent, watches over it, and starts it again when it has died.

    `make` returns a process with this environment, `died` is told when (seconds since 1970) a run ended, and `after`
    with which of systemd's results ($SERVICE_RESULT).
    """

    def __init__(
        self,
        make: Callable[[Mapping[str, str]], AgentProcess],
        socket_path: Path,
        *,
        notifies: bool,
        watchdog: float,
        died: Callable[[float], Awaitable[None]],
        after: Callable[[str], Awaitable[None]],
    ) -> None:
        self.process: AgentProcess | None = None
        self.runs = 0
        self.results: list[str] = []  # of runs that ended unasked
        self._make = make
        self._path = socket_path
        self._notifies = notifies
        self._watchdog = watchdog
        self._died = died
        self._after = after
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._ready = asyncio.Event()
        self._fed_at = 0.0
        self._gone_at = 0.0  # when this run was asked to end, 0 if it was not
        self._wanted = False
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Listen for notifications."""
        self._socket.bind(str(self._path))
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._told)

    def close(self) -> None:
        """Listen no more."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    async def start(self) -> None:
        """Start the agent and wait until it is ready; raises what kept it from starting."""
        self._wanted = True
        self._ready.clear()
        self._task = asyncio.create_task(self._supervise(), name="service manager")
        await self.ready()

    async def ready(self) -> None:
        """Wait until the agent has said that it is ready."""
        waiting = asyncio.create_task(self._ready.wait())
        try:
            await asyncio.wait({waiting, *filter(None, [self._task])}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if self._task is not None and self._task.done():
            self._task.result()

    async def stop(self, within: float) -> int | None:
        """Send SIGTERM and return the exit status; raises TimeoutError if it does not end in time."""
        self._wanted = False
        if self.process is not None and self.process.running:
            self._gone_at = time.time()
            await self.process.stop(within)
        await self._over()
        return None if self.process is None else self.process.status

    async def end(self) -> None:
        """Kill it, and do not start it again."""
        self._wanted = False
        while self._task is not None and not self._task.done():  # it may be about to start the next run
            await self._kill()
            await asyncio.wait({self._task}, timeout=LOOKS_EVERY)
        await self._over()

    async def kill(self) -> None:
        """Kill it, and wait until the next run is ready."""
        self._ready.clear()
        await self._kill()
        await self.ready()

    async def hang(self) -> None:
        """Stop it from running, and wait until the watchdog has ended it and the next run is ready."""
        if self.process is not None and self.process.running:
            self._ready.clear()
            self._gone_at = time.time()
            self.process.send(signal.SIGSTOP)
            await self.ready()

    async def _kill(self) -> None:
        if self.process is not None and self.process.running:
            self._gone_at = time.time()
            await self.process.kill()

    async def _over(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            await task

    def _is_wanted(self) -> bool:
        """Tell whether a run is wanted: that may change whenever something is awaited."""
        return self._wanted

    async def _supervise(self) -> None:
        while self._is_wanted():
            environment = {"NOTIFY_SOCKET": str(self._path), "WATCHDOG_USEC": f"{self._watchdog * 1e6:.0f}"}
            self.process = self._make(environment if self._notifies else {})
            self._fed_at = time.monotonic()
            self._gone_at = 0.0
            self.runs += 1
            await self.process.start()
            if not self._notifies:
                self._ready.set()
            result = await self._watch(self.process)
            await self._died(self._gone_at or time.time())
            if not self._is_wanted():
                return
            self.results.append(result)
            await self._after(result)
            await asyncio.sleep(RESTARTS_AFTER)

    async def _watch(self, process: AgentProcess) -> str:
        """Wait until a run ends, and return systemd's word for how."""
        ended = asyncio.create_task(process.ended())
        while not ended.done():
            await asyncio.wait({ended}, timeout=LOOKS_EVERY)
            if self._notifies and not ended.done() and time.monotonic() - self._fed_at > self._watchdog:
                process.send(signal.SIGABRT)
                await process.kill()
                await ended
                return "watchdog"
        status = ended.result()
        return "success" if status == 0 else "signal" if status < 0 else "exit-code"

    def _told(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                lines = self._socket.recv(NOTIFY_SIZE).decode("utf-8", "replace").splitlines()
                if "READY=1" in lines:
                    self._ready.set()
                if "READY=1" in lines or "WATCHDOG=1" in lines:
                    self._fed_at = time.monotonic()
