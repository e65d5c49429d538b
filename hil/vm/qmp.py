"""QEMU's machine protocol: JSON lines over a unix socket.

Source: QEMU's docs/interop/qmp-spec.rst. Events are of no use to a rig and are passed over.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

ANSWERS_WITHIN = 30.0  # seconds


class QmpError(Exception):
    """QEMU refused a command, or is gone; the message is what it said."""


class Qmp:
    """A connection to one QEMU; one command at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._lock = asyncio.Lock()

    @classmethod
    async def connect(cls, path: Path) -> Qmp:
        """Connect, and leave the mode in which nothing but capabilities is talked about."""
        qmp = cls(*await asyncio.open_unix_connection(path))
        await qmp._read()  # the greeting
        await qmp.execute("qmp_capabilities")
        return qmp

    async def execute(self, command: str, **arguments: Any) -> Any:  # noqa: ANN401 - any JSON
        """Have a command carried out and return its answer; raises QmpError."""
        async with self._lock, asyncio.timeout(ANSWERS_WITHIN):
            self._writer.write(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
            while True:
                said = await self._read()
                if "error" in said:
                    raise QmpError(f"{command}: {said['error']['desc']}")
                if "return" in said:
                    return said["return"]

    async def _read(self) -> dict[str, Any]:
        line = await self._reader.readline()
        if not line:
            raise QmpError("QEMU has ended")
        said: dict[str, Any] = json.loads(line)
        return said

    async def close(self) -> None:
        """Close the connection."""
        self._writer.close()
