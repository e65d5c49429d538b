"""Sends a device that speaks unasked what it needs for that: a command at the start, or a trigger."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivers.contract import Prompt
    from drivers.seams import SerialPort


class Prompter:
    """Reads an open port, and prompts its device in between."""

    def __init__(self, port: SerialPort, prompt: Prompt | None) -> None:
        self._port = port
        self._prompt = prompt
        self._due = 0.0 if prompt else None  # on the loop's clock; the first is due at once

    async def read(self) -> bytes:
        """Wait for bytes and return them; raises PortError. It may be cancelled and called again."""
        loop = asyncio.get_running_loop()
        while True:
            if self._prompt and self._due is not None and loop.time() >= self._due:
                self._port.write(self._prompt.data)
                self._due = None if self._prompt.every is None else loop.time() + self._prompt.every
            try:
                async with asyncio.timeout_at(self._due):
                    return await self._port.read()
            except TimeoutError:
                continue  # the next prompt is due
