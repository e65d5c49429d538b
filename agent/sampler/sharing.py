"""The serial ports as the samplers have them: others may listen in on one, or have it for a while.

Nobody does most of the time, and then all that it costs is one look at whether somebody does.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from drivers.contract import N_
from drivers.seams import PortError, PortFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agent.seams import Clock
    from drivers.contract import SerialLine
    from drivers.seams import SerialPort, SerialPorts

LENT = N_("it is lent to whoever asked for it, such as `roadside probe`, and comes back")


class Passed(NamedTuple):
    """Bytes that passed on a line."""

    at: int  # boottime in nanoseconds
    data: bytes
    sent: bool  # by us; False: they came in


class SharedPorts:
    """Implements `drivers.seams.SerialPorts` on top of others."""

    def __init__(self, ports: SerialPorts, clock: Clock) -> None:
        self._ports = ports
        self._clock = clock
        self._open: dict[str, SharedPort] = {}
        self._lent: dict[str, asyncio.Event] = {}  # set when the port is back
        self._listeners: defaultdict[str, list[Callable[[Passed], None]]] = defaultdict(list)

    async def open(self, path: str, line: SerialLine) -> SharedPort:
        """Open exclusively; waits for one that is lent. Raises PortError."""
        while (back := self._lent.get(path)) is not None:
            await back.wait()
        port = SharedPort(self, path, await self._ports.open(path, line), self._listeners[path], self._clock)
        if path in self._lent:  # while it was being opened
            port.close()
            raise PortError(PortFault.TAKEN, path, LENT)
        self._open[path] = port
        return port

    def is_lent(self, path: str) -> bool:
        """Tell whether somebody else has a port."""
        return path in self._lent

    @contextmanager
    def lend(self, path: str) -> Iterator[None]:
        """Let somebody else have a port meanwhile, who is the only one; whoever reads it here is told PortError."""
        self._lent[path] = asyncio.Event()
        try:
            if (port := self._open.pop(path, None)) is not None:
                port.close()
            yield
        finally:
            self._lent.pop(path).set()

    @contextmanager
    def listening(self, path: str, heard: Callable[[Passed], None]) -> Iterator[None]:
        """Have `heard` called with all that passes on a port meanwhile."""
        self._listeners[path].append(heard)
        try:
            yield
        finally:
            self._listeners[path].remove(heard)


class SharedPort:
    """Implements `drivers.seams.SerialPort`."""

    def __init__(
        self,
        shared: SharedPorts,
        path: str,
        port: SerialPort,
        listeners: list[Callable[[Passed], None]],
        clock: Clock,
    ) -> None:
        self._shared = shared
        self._path = path
        self._port = port
        self._listeners = listeners
        self._clock = clock

    async def read(self) -> bytes:
        """Wait for bytes and return what came, never empty; raises PortError when the line is gone or lent."""
        try:
            data = await self._port.read()
        except PortError as error:
            raise self._explained(error) from None
        if self._listeners:
            self._tell(data, sent=False)
        return data

    def write(self, data: bytes) -> None:
        """Send bytes; raises PortError when the line is gone or lent."""
        try:
            self._port.write(data)
        except PortError as error:
            raise self._explained(error) from None
        if self._listeners:
            self._tell(data, sent=True)

    def flush(self) -> None:
        """Throw away what came in and was not read."""
        self._port.flush()

    def close(self) -> None:
        """Give the line back. Harmless to call again."""
        self._port.close()

    def _tell(self, data: bytes, *, sent: bool) -> None:
        passed = Passed(self._clock.boottime(), data, sent)
        for heard in tuple(self._listeners):
            heard(passed)

    def _explained(self, error: PortError) -> PortError:
        return PortError(PortFault.TAKEN, self._path, LENT) if self._shared.is_lent(self._path) else error
