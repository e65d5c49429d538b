"""Devices whose every measurement is one of its kind: they count, and never begin again."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hil.wires.pty import Pty

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

PORTS = {"count-1": "dev/ttyUSB0", "count-2": "dev/ttyUSB1"}
EVERY = 1 / 60  # seconds between two lines of a device
WAVE = 50  # lines; a second quantity goes up and falls, and raises alarms


class Counters:
    """Writes numbered lines to pseudo-terminals below a root. Use it as an asynchronous context manager."""

    def __init__(self, root: Path) -> None:
        self.said = dict.fromkeys(PORTS, 0)  # by device: the last count
        self._wires = {device: Pty(root / port) for device, port in PORTS.items()}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        for device, wire in self._wires.items():
            wire.plug()
            self._tasks.append(asyncio.create_task(self._count(device, wire), name=device))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.quiet()
        for wire in self._wires.values():
            wire.unplug()

    async def quiet(self) -> None:
        """Say no more."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _count(self, device: str, wire: Pty) -> None:
        while True:
            self.said[device] += 1
            wire.write(line(self.said[device]))
            await asyncio.sleep(EVERY)


def line(count: int) -> bytes:
    """Return the line that says a count."""
    return f"N{count} W{wave(count)}\n".encode()


def wave(count: int) -> int:
    """Return what else the line with a count says."""
    return count % WAVE
