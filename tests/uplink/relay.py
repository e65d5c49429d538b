"""The server's end of WebSocket, before any broker that speaks plain MQTT."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    import ssl

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass
class Relay:
    """Takes WebSockets at /mqtt and passes what they carry on; splits what comes back into frames of odd sizes."""

    broker: int  # the port of the broker
    tls: ssl.SSLContext | None = None
    answer: bytes | None = None  # instead of the right one
    protocol: bytes = b"mqtt"
    port: int = 0
    pongs: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            request = await reader.readuntil(b"\r\n\r\n")
            path = request.split(b" ")[1]
            key = next(line.split(b": ")[1] for line in request.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key"))
            accept = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
            right = (
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Accept: " + accept + b"\r\nSec-WebSocket-Protocol: " + self.protocol + b"\r\n\r\n"
            )
            if path != b"/mqtt":
                right = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
            writer.write(self.answer if self.answer is not None else right)
            await self._pass_on(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.broker)
        back = asyncio.create_task(_frames(inner_reader, writer))
        try:
            while True:
                opcode, body = await _frame(reader)
                self.pongs += opcode == 0xA
                if opcode == 0x2:
                    inner_writer.write(body)
        finally:
            back.cancel()
            inner_writer.close()
            with suppress(ConnectionError):
                await inner_writer.wait_closed()


async def _frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first, size = await reader.readexactly(2)
    assert size & 0x80, "a client masks"
    size &= 0x7F
    if size == 126:
        (size,) = struct.unpack(">H", await reader.readexactly(2))
    elif size == 127:
        (size,) = struct.unpack(">Q", await reader.readexactly(8))
    mask = await reader.readexactly(4)
    body = await reader.readexactly(size)
    return first & 0x0F, bytes(byte ^ mask[index % 4] for index, byte in enumerate(body))


async def _frames(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    sizes = 0
    while data := await reader.read(4096):
        while data:
            sizes = sizes % 7 + 1
            part, data = data[:sizes], data[sizes:]
            writer.write(bytes((0x80 | 0x9, 2)) + b"hi")  # a ping between any two
            writer.write(bytes((0x82, len(part))) + part)
    writer.close()
