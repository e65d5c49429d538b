"""MQTT over WebSocket, for networks that let nothing but the web through (RFC 6455; MQTT 5, section 6).

`WebSocket` looks like the non-blocking socket it stands on. paho has one of its own; that one blocks while it connects.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from typing import TYPE_CHECKING

from agent.i18n import _

if TYPE_CHECKING:
    import socket

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # section 1.3
LONGEST_ANSWER = 16 * 1024  # bytes of an HTTP answer; a proxy's error page may be longer, its head is not
LONGEST_FRAME = 1 << 20  # bytes: nobody sends a gateway more
READ_SIZE = 64 * 1024
CONTINUATION, BINARY, CLOSE, PING, PONG = 0x0, 0x2, 0x8, 0x9, 0xA  # section 5.2
FINAL = MASKED = 0x80


class WebSocketError(ConnectionError):
    """The other side does not speak WebSocket as it should; the text is for people."""


class Opening:
    """The opening handshake (section 4.1): a request, and what is made of the answer."""

    def __init__(self, host: str, port: int, path: str) -> None:
        self._key = base64.b64encode(secrets.token_bytes(16))
        self._answer = bytearray()
        name = f"[{host}]" if ":" in host else host.encode("idna").decode()
        self.request = (
            f"GET {path} HTTP/1.1\r\nHost: {name}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {self._key.decode()}\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Protocol: mqtt\r\n\r\n"
        ).encode()

    def feed(self, data: bytes) -> bytes | None:
        """Take in what came; return what came behind the answer, None while that is not whole, or raise."""
        if not data:
            raise WebSocketError(_("it closes the connection"))
        self._answer += data
        head, end, rest = bytes(self._answer).partition(b"\r\n\r\n")
        if not end:
            if len(head) > LONGEST_ANSWER or not b"HTTP/".startswith(head[:5]):
                raise WebSocketError(_("its answer is not HTTP"))
            return None
        status, *lines = head.decode("latin-1").split("\r\n")
        if status.split(" ")[1:2] != ["101"]:
            raise WebSocketError(_("it answers '{status}'").format(status=_printable(status)))
        fields = {name.strip().lower(): value.strip() for name, __, value in (line.partition(":") for line in lines)}
        accept = base64.b64encode(hashlib.sha1(self._key + GUID, usedforsecurity=False).digest()).decode()
        if fields.get("sec-websocket-accept") != accept:
            raise WebSocketError(_("its answer is not for this request; is a proxy in between?"))
        if fields.get("sec-websocket-protocol") != "mqtt":
            raise WebSocketError(_("it does not speak MQTT there"))
        return rest


class WebSocket:
    """A socket that wraps what is sent into frames, and takes what is received out of them.

    What is sent is taken whole or not at all: after BlockingIOError the same bytes must be sent again.
    """

    def __init__(self, sock: socket.socket, received: bytes = b"") -> None:
        """Take a connected, non-blocking socket after the handshake, and what came with the end of that."""
        self._sock = sock
        self._received = bytearray(received)
        self._payload = bytearray()
        self._frame = b""  # what is left to send of the frame begun
        self._controls = bytearray()  # answers to be sent before the next frame
        self._take_frames()

    def recv(self, size: int) -> bytes:
        """Return some bytes, b"" at the end; raises OSError, BlockingIOError if there are none now."""
        if not self._payload:
            data = self._sock.recv(READ_SIZE)
            if not data:
                return b""
            self._received += data
            if not self._take_frames() and not self._payload:
                return b""
        if not self._payload:
            raise BlockingIOError
        taken = bytes(self._payload[:size])
        del self._payload[:size]
        return taken

    def send(self, data: bytes) -> int:
        """Send all of it as one frame; raises OSError, BlockingIOError if it does not go through as a whole now."""
        if not self._frame:
            self._frame = bytes(self._controls) + frame(BINARY, data)
            self._controls.clear()
        while self._frame:
            self._frame = self._frame[self._sock.send(self._frame) :]
        return len(data)

    def pending(self) -> int:
        """Return how many bytes came in that the kernel knows nothing of any more."""
        return len(self._payload) + (self._sock.pending() if hasattr(self._sock, "pending") else 0)

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        """Set how the socket below behaves."""
        self._sock.setblocking(flag)

    def close(self) -> None:
        """Close the socket below."""
        self._sock.close()

    def _take_frames(self) -> bool:
        """Take in the frames that are whole; return whether more may come."""
        while (found := _head(self._received)) is not None:
            opcode, start, end = found
            if end > len(self._received):
                break
            body = bytes(self._received[start:end])
            del self._received[:end]
            if opcode in {BINARY, CONTINUATION}:
                self._payload += body
            elif opcode == PING:
                self._controls += frame(PONG, body)
            elif opcode == CLOSE:
                return False
        return True


def frame(opcode: int, data: bytes) -> bytes:
    """Return one whole frame, masked as a client's must be (section 5.3)."""
    size = len(data)
    if size < 126:
        head = bytes((FINAL | opcode, MASKED | size))
    elif size < 1 << 16:
        head = bytes((FINAL | opcode, MASKED | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((FINAL | opcode, MASKED | 127)) + size.to_bytes(8, "big")
    mask = secrets.token_bytes(4)
    stretched = (mask * (size // 4 + 1))[:size]
    masked = int.from_bytes(data, "big") ^ int.from_bytes(stretched, "big")  # some hundred times as fast as a loop
    return head + mask + masked.to_bytes(size, "big")


def _head(data: bytearray) -> tuple[int, int, int] | None:
    """Return opcode, start and end of the body of the first frame; None while its head is not whole."""
    if len(data) < 2:
        return None
    opcode, size, start = data[0] & 0x0F, data[1], 2
    if size & MASKED:
        raise WebSocketError(_("it masks its frames, as only a client may"))
    if size >= 126:
        start += 2 if size == 126 else 8
        if len(data) < start:
            return None
        size = int.from_bytes(data[2:start], "big")
    if size > LONGEST_FRAME:
        raise WebSocketError(_("it sends a frame of {size} bytes").format(size=size))
    return opcode, start, start + size


def _printable(text: str) -> str:
    return "".join(char for char in text[:80] if char.isprintable())
