"""The link between the agent and its broker: a TCP proxy on loopback that can be cut, and can hang."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

LOOPBACK = "127.0.0.1"
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER for no time: closing resets, as a line that breaks does


class LinkState(StrEnum):
    """What becomes of bytes and connections."""

    UP = "up"
    CUT = "cut"  # connections are reset and new ones refused
    HUNG = "hung"  # half open: connections are accepted and nothing is passed on


class Link:
    """A proxy in front of a broker. Use it as an asynchronous context manager; `port` is where the agent connects."""

    def __init__(self, port: int, host: str = LOOPBACK) -> None:
        self.state = LinkState.UP
        self.port = 0
        self._target = (host, port)
        self._flows = asyncio.Event()
        self._flows.set()
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        # Holds the number of the port while nobody listens, so that no other process gets it during an outage.
        self._place: socket.socket | None = None

    async def __aenter__(self) -> Self:
        self._place = self._bound(0)
        self.port = self._place.getsockname()[1]
        await self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cut()
        if self._place is not None:
            self._place.close()

    @property
    def url(self) -> str:
        """Where the agent finds the broker."""
        return f"mqtt://{LOOPBACK}:{self.port}"

    @property
    def connections(self) -> int:
        """How many connections there are now."""
        return len(self._connections)

    async def cut(self) -> None:
        """Reset all connections and refuse new ones."""
        self.state = LinkState.CUT
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    def hang(self) -> None:
        """Pass nothing on any more, and tell nobody."""
        self.state = LinkState.HUNG
        self._flows.clear()

    async def restore(self) -> None:
        """Work again. What was held back while the link hung is passed on."""
        self.state = LinkState.UP
        self._flows.set()
        if self._server is None:
            await self._listen()

    def _bound(self, port: int) -> socket.socket:
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((LOOPBACK, port))
        return bound

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, sock=self._bound(self.port))

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine runs in a task
        self._connections.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):  # either end broke, or `cut` broke both
                await self._flows.wait()
                away_reader, away_writer = await asyncio.open_connection(*self._target)
                try:
                    await self._join(reader, writer, away_reader, away_writer)
                finally:
                    _reset(away_writer)
        finally:
            self._connections.discard(task)
            _reset(writer)

    async def _join(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        away_reader: asyncio.StreamReader,
        away_writer: asyncio.StreamWriter,
    ) -> None:
        ways = {
            asyncio.create_task(self._pass_on(reader, away_writer)),
            asyncio.create_task(self._pass_on(away_reader, writer)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection the hard way."""
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # it may be closed already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()
