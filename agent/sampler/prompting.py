"""Sends a device that speaks unasked what it needs for that: a command at the start, or a trigger."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivers.contract import Prompt
    from drivers.seams import SerialPort


def prompted(port: SerialPort, prompt: Prompt | None) -> SerialPort | Prompter:
    """Return what to read an open port through, so that its device is prompted if it has to be."""
    return port if prompt is None else Prompter(port, prompt)


class Prompter:
    """Reads an open port, and prompts its device in between."""

    def __init__(self, port: SerialPort, prompt: Prompt) -> None:
        self._port = port
        self._prompt = prompt
        self._due: float | None = 0.0  # on the loop's clock; the first is due at once

    async def read(self) -> bytes:
        """Wait for bytes and return them; raises PortError. It may be cancelled and called again."""
        loop = asyncio.get_running_loop()
        while self._due is not None:
            if loop.time() >= self._due:
                self._port.write(self._prompt.data)
                self._due = None if self._prompt.every is None else loop.time() + self._prompt.every
            with suppress(TimeoutError):  # the next prompt is due
                async with asyncio.timeout_at(self._due):
                    return await self._port.read()
        return await self._port.read()
