"""The link between the agent and its broker: a TCP proxy on loopback, and all that goes wrong with it."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import struct
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

LOOPBACK = "127.0.0.1"
PIECE = 0.1  # seconds' worth of bytes that are passed on at a time when the link is slow
READ_WITHIN = 0.05  # seconds
TURNS_TO_ACCEPT = 5  # of asyncio's loop, from a readable listening socket to the connection's task, and one to spare
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER for no time: closing resets, as a line that breaks does


class LinkState(StrEnum):
    """What becomes of bytes and connections."""

    UP = "up"
    CUT = "cut"  # connections are reset and new ones refused
    HUNG = "hung"  # half open: connections are accepted and nothing is passed on
    REFUSING = "refusing"  # connections are accepted and reset at once


class Link:
    """A proxy in front of a broker. Use it as an asynchronous context manager; `port` is where the agent connects."""

    def __init__(self, port: int, host: str = LOOPBACK) -> None:
        self.state = LinkState.UP
        self.port = 0
        self.passed = 0  # bytes both ways: TLS records with all that is in them, not the heads of TCP and IP
        self._target = (host, port)
        self._pace = math.inf  # bytes a second
        self._delay = 0.0  # seconds
        self._tears_after: int | None = None  # bytes that still go up
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
            await self._accept_nobody(self._server)
            self._server.close()
        await self._break()
        if self._server is not None:
            await self._server.wait_closed()
            self._server = None

    async def _accept_nobody(self, server: asyncio.Server) -> None:
        """Have who has just come among the connections: a server that closes while it accepts forgets its socket."""
        for listening in server.sockets:
            asyncio.get_running_loop().remove_reader(listening.fileno())
        for _ in range(TURNS_TO_ACCEPT):
            await asyncio.sleep(0)

    async def refuse(self) -> None:
        """Reset all connections, and reset new ones as soon as they are accepted."""
        self.state = LinkState.REFUSING
        await self._break()
        if self._server is None:
            await self._listen()

    async def _break(self) -> None:
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def hang(self) -> None:
        """Pass nothing on any more, and tell nobody."""
        self.state = LinkState.HUNG
        self._flows.clear()

    def slow(self, bytes_per_second: float, delay: float = 0.0) -> None:
        """Pass no more than so much in either direction, each piece so many seconds late."""
        self._pace, self._delay = bytes_per_second, delay

    def tear(self, after: int) -> None:
        """Reset the connection that carries up this many more bytes, in the middle of whatever they belong to."""
        self._tears_after = after

    async def restore(self) -> None:
        """Work again, at full speed. What was held back while the link hung is passed on."""
        self.state = LinkState.UP
        self._pace, self._delay, self._tears_after = math.inf, 0.0, None
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
                if self.state is LinkState.REFUSING:
                    return
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
            asyncio.create_task(self._pass_on(reader, away_writer, up=True)),
            asyncio.create_task(self._pass_on(away_reader, writer, up=False)),
        }
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(int(min(65536, max(self._pace * PIECE, 1)))):
                await self._flows.wait()
                await asyncio.sleep(self._delay + len(data) / self._pace)
                if up and self._tears_after is not None:
                    data, torn = data[: self._tears_after], len(data) > self._tears_after
                    self._tears_after = None if torn else self._tears_after - len(data)
                    if torn:
                        await self._last(writer, data)
                        return
                self.passed += len(data)
                writer.write(data)
                await writer.drain()

    async def _last(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        """Have the other end read what still came: a reset overtakes what is buffered."""
        writer.write(data)
        await writer.drain()
        await asyncio.sleep(READ_WITHIN)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection the hard way."""
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):  # it may be closed already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()
