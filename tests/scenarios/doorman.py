"""The TLS end of a broker: a door with a certificate that can be changed, in front of one that has none."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from tests.uplink.authority import Pair


class Doorman:
    """Use it as an asynchronous context manager; `port` is where TLS is spoken."""

    def __init__(self, broker_port: int, pair: Pair) -> None:
        self.port = 0
        self._broker = broker_port
        self._pair = pair
        self._server: asyncio.Server | None = None
        self._guests: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._pair.certificate, self._pair.key)
        self._server = await asyncio.start_server(self._opened, "127.0.0.1", self.port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for guest in self._guests:
            guest.cancel()
        await asyncio.gather(*self._guests, return_exceptions=True)
        await self._server.wait_closed()

    async def shows(self, pair: Pair) -> None:
        """Show another certificate, and end all connections that were made with the one before."""
        await self.__aexit__(None, None, None)
        self._pair = pair
        await self.__aenter__()

    async def _opened(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._guests.add(asyncio.current_task())
        with contextlib.suppress(OSError, asyncio.CancelledError):
            inner, out = await asyncio.open_connection("127.0.0.1", self._broker)
            ways = [asyncio.create_task(_pass_on(reader, out)), asyncio.create_task(_pass_on(inner, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                out.transport.abort()
        writer.transport.abort()
        self._guests.discard(asyncio.current_task())


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
