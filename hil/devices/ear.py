"""How a simulated device hears its commands: whole ones, in order, whatever else is on the wire."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from hil.devices.talker import Talker

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.wires.wire import Wire


class Ear:
    """Finds commands in what the other end sends, and has each obeyed."""

    def __init__(self, wire: Wire, size: Callable[[bytes], int | None], obey: Callable[[bytes], None]) -> None:
        """`size` tells how long the command is that begins there: 0 if none can, None if that is not known yet."""
        self._size = size
        self._obey = obey
        self._heard = b""
        wire.listen(self._hear)

    def _hear(self, data: bytes) -> None:
        self._heard += data
        while self._heard:
            size = self._size(self._heard)
            if size is None or size > len(self._heard):
                return
            command, self._heard = self._heard[:size], self._heard[size or 1 :]
            if command:
                self._obey(command)


class Asked(Talker):
    """A device that says nothing unless it is asked."""

    async def run(self) -> None:
        """Wait for questions until cancelled."""
        await asyncio.Event().wait()
