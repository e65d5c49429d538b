"""Time compressed at the ports: sensors that speak unasked do so many times quicker than they are, yet lose nothing.

Only their pace is compressed. Commits, retries, keepalives and the clock run as they do, so a reading's instant is the
real one.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from hil.cabinet import Cabinet
    from hil.devices.talker import Talker
    from hil.wires.pty import Pty

# Seconds between two reports of a real one, and on which wire of cabinet.toml it is.
PACE = {"air-1": (1.0, "/dev/ttyAMA0"), "level-1": (0.3, "/dev/ttyUSB0"), "gnss-1": (1.0, "/dev/ttyACM0")}
# Readings an hour: three of air, one of level and six of position a report, and the meter's six every two seconds.
AN_HOUR = 3600 * (3 + 1 / 0.3 + 6 + 6 / 2)

HELD = 1500  # bytes that wait to be read: a device does not speak before there are fewer
BEHIND = 0.1  # seconds of a pause that are made up for
BREATH = 0.001  # seconds at least between two looks
IN_FLIGHT = 0.1  # seconds that a byte may take through the kernel of a busy machine, in which no count shows it
UNHEARD = 0.03  # seconds between two reports to nobody: in such a pause a wire can tell that a reader has come


class Feed:
    """Has the devices speak, at most `ratio` times as quick as real ones and no quicker than they are read."""

    def __init__(self, cabinet: Cabinet, ratio: float) -> None:
        self._cabinet = cabinet
        self._ratio = ratio
        self._paused: set[Pty] = set()
        self._flows = asyncio.Event()
        self._flows.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Feed while the context lasts."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._speak(self._cabinet.devices[name], self._cabinet.wires[wire], every))
                for name, (every, wire) in PACE.items()
            ]
            yield
            for task in tasks:
                task.cancel()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Have the devices hold their breath while the context lasts."""
        self._flows.clear()
        try:
            yield
        finally:
            self._flows.set()

    async def unplug(self, wire: Pty) -> None:
        """Unplug a wire when all that was written to it has been read: what is on its way nobody can account for."""
        self._paused.add(wire)
        read_since = time.monotonic()
        while time.monotonic() - read_since < IN_FLIGHT:
            await asyncio.sleep(BREATH)
            if wire.unread():
                read_since = time.monotonic()
        wire.unplug()
        self._paused.remove(wire)

    async def _speak(self, device: Talker, wire: Pty, every: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while await self._flows.wait():
            now = loop.time()
            due = max(due, now - BEHIND)
            while due <= now and wire not in self._paused and wire.unread() < HELD:
                device.speak()
                due = due + every / self._ratio if wire.heard else now + UNHEARD
            await asyncio.sleep(max(due - now, BREATH))
