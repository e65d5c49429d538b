"""A small MQTT 5 broker, at the level of bytes, that misbehaves as it is told."""

from __future__ import annotations

import asyncio
import struct
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Self

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

CONNECT, CONNACK, PUBLISH, PUBACK, PINGREQ, PINGRESP, DISCONNECT = 1, 2, 3, 4, 12, 13, 14
RECEIVE_MAXIMUM, MAXIMUM_PACKET_SIZE, CONTENT_TYPE, USER_PROPERTY = 0x21, 0x27, 0x03, 0x26


class Published(NamedTuple):
    topic: str
    payload: bytes
    retain: bool
    packet_id: int
    content_type: str
    user: dict[str, str]


def accept(_: Published) -> int | None:
    return 0


@dataclass
class ScriptedBroker:
    """What it does is changed at any time through its attributes."""

    connack: int | None = 0  # the reason code; None: never answer
    receive_maximum: int | None = None
    maximum_packet_size: int | None = None
    answer: Callable[[Published], int | None] = accept  # the reason code of a PUBACK; None: withhold it
    close_on_connect: bool = False
    deaf: bool = False  # to everything
    tls: ssl.SSLContext | None = None

    port: int = 0
    published: list[Published] = field(default_factory=list)
    connections: int = 0
    goodbyes: int = 0
    wills: list[bytes] = field(default_factory=list)
    most_in_flight: int = 0
    _in_flight: set[int] = field(default_factory=set)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    @property
    def url(self) -> str:
        return f"mqtt{'s' if self.tls else ''}://localhost:{self.port}"

    def topics(self) -> list[str]:
        return [published.topic for published in self.published]

    def cut(self) -> None:
        """Drop every connection."""
        for writer in self._writers:
            writer.transport.abort()

    def dismiss(self, reason: int) -> None:
        """End every connection with a reason."""
        for writer in self._writers:
            writer.write(bytes([DISCONNECT << 4, 2, reason, 0]))

    def acknowledge(self, packet_id: int, reason: int = 0) -> None:
        self._in_flight.discard(packet_id)
        for writer in self._writers:
            writer.write(bytes([PUBACK << 4, 4]) + struct.pack(">HBB", packet_id, reason, 0))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        self._in_flight.clear()
        try:
            while True:
                kind, flags, body = await _packet(reader)
                if not self.deaf:
                    self._handle(kind, flags, body, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._writers.discard(writer)
            writer.close()

    def _handle(self, kind: int, flags: int, body: bytes, writer: asyncio.StreamWriter) -> None:
        match kind:
            case 1:
                self.connections += 1
                self.wills.append(body)
                if self.close_on_connect:
                    writer.transport.abort()
                elif self.connack is not None:
                    writer.write(self._connack(self.connack))
            case 3:
                published = _published(flags, body)
                self.published.append(published)
                self._in_flight.add(published.packet_id)
                self.most_in_flight = max(self.most_in_flight, len(self._in_flight))
                reason = self.answer(published)
                if reason is not None:
                    self.acknowledge(published.packet_id, reason)
            case 12:
                writer.write(bytes([PINGRESP << 4, 0]))
            case 14:
                self.goodbyes += 1

    def _connack(self, reason: int) -> bytes:
        properties = b""
        if self.receive_maximum is not None:
            properties += struct.pack(">BH", RECEIVE_MAXIMUM, self.receive_maximum)
        if self.maximum_packet_size is not None:
            properties += struct.pack(">BI", MAXIMUM_PACKET_SIZE, self.maximum_packet_size)
        body = bytes([0, reason, len(properties)]) + properties
        return bytes([CONNACK << 4, len(body)]) + body


async def _packet(reader: asyncio.StreamReader) -> tuple[int, int, bytes]:
    (first,) = await reader.readexactly(1)
    length = shift = 0
    while True:
        (byte,) = await reader.readexactly(1)
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return first >> 4, first & 0x0F, await reader.readexactly(length)


def _published(flags: int, body: bytes) -> Published:
    topic, rest = _text(body)
    (packet_id,) = struct.unpack(">H", rest[:2])
    size, rest = rest[2], rest[3:]  # below 128 in these tests: one byte
    assert size < 0x80
    properties, payload = rest[:size], rest[size:]
    content_type, user = "", {}
    while properties:
        kind, properties = properties[0], properties[1:]
        value, properties = _text(properties)
        if kind == CONTENT_TYPE:
            content_type = value
        else:
            assert kind == USER_PROPERTY
            user[value], properties = _text(properties)
    return Published(topic, payload, bool(flags & 1), packet_id, content_type, user)


def _text(data: bytes) -> tuple[str, bytes]:
    (size,) = struct.unpack(">H", data[:2])
    return data[2 : 2 + size].decode(), data[2 + size :]
