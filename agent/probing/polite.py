"""Serial ports that send nothing but polite questions: whatever else is tried does not leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.probing.questions import is_polite

if TYPE_CHECKING:
    from drivers.contract import SerialLine
    from drivers.seams import SerialPort, SerialPorts


class ImpoliteError(AssertionError):
    """We were about to send what may change something in a device: a defect of ours."""


class PolitePorts:
    """Implements `drivers.seams.SerialPorts` on top of others."""

    def __init__(self, ports: SerialPorts, *, listen_only: bool = False) -> None:
        self._ports = ports
        self._listen_only = listen_only

    async def open(self, path: str, line: SerialLine) -> PolitePort:
        """Open exclusively; raises PortError."""
        return PolitePort(await self._ports.open(path, line), listen_only=self._listen_only)


class PolitePort:
    """Implements `drivers.seams.SerialPort`."""

    def __init__(self, port: SerialPort, *, listen_only: bool) -> None:
        self._port = port
        self._listen_only = listen_only

    async def read(self) -> bytes:
        """Wait for bytes and return what came, never empty; raises PortError when the line is gone."""
        return await self._port.read()

    def write(self, data: bytes) -> None:
        """Send a question; raises PortError when the line is gone, and ImpoliteError if it is none."""
        if self._listen_only or not is_polite(data):
            raise ImpoliteError(data.hex(" "))
        self._port.write(data)

    def flush(self) -> None:
        """Throw away what came in and was not read."""
        self._port.flush()

    def close(self) -> None:
        """Give the line back. Harmless to call again."""
        self._port.close()
