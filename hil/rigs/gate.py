"""A gate between two runs of a service: the rig notes what the end of one means before systemd may start the next."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

ENDED, NEXT = "ended", "next"


class Gate:
    """Two FIFOs in a folder. Use it as a context manager; `over` is awaited at each end of a run."""

    def __init__(self, folder: Path, over: Callable[[], Awaitable[None]]) -> None:
        self._paths = folder / ENDED, folder / NEXT
        self._over = over
        self._ended = self._next = -1
        self._noting: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        for path in self._paths:
            os.mkfifo(path)
        # Both ends of each: so nobody has to wait for the other one to open it.
        self._ended, self._next = (os.open(path, os.O_RDWR | os.O_NONBLOCK) for path in self._paths)
        asyncio.get_running_loop().add_reader(self._ended, self._told)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._ended)
        for file in (self._ended, self._next):
            os.close(file)

    def command(self, seen: str) -> list[str]:
        """Return what the service runs when it has ended (ExecStopPost=); `seen` is the folder as it sees it."""
        return ["+/bin/sh", "-c", f"echo >{seen}/{ENDED}; read go <{seen}/{NEXT}"]

    async def close(self) -> None:
        """Forget who was at the gate: the power went."""
        if self._noting:
            await asyncio.wait(self._noting)
        for file in (self._ended, self._next):
            _drained(file)

    def _told(self) -> None:
        if _drained(self._ended):
            task = asyncio.create_task(self._note(), name="a run has ended")
            self._noting.add(task)
            task.add_done_callback(self._noting.discard)

    async def _note(self) -> None:
        try:
            await self._over()
        finally:
            os.write(self._next, b"\n")


def _drained(file: int) -> bytes:
    """Read all that is in a FIFO."""
    with contextlib.suppress(BlockingIOError):
        return os.read(file, 4096)
    return b""
