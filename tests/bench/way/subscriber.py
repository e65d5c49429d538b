"""The city's end in a process of its own: it only notes what came and when. Usage: subscriber.py PORT ID FILE TOPIC...

No client library: it must be quicker than whatever it listens to. It speaks as much MQTT 3.1.1 as is needed.
"""

from __future__ import annotations

import socket
import sys
import time
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

AGAIN_AFTER = 0.01  # seconds between two attempts to connect
KEEPALIVE = 0  # none: it says nothing but acknowledgements
_HEAD = Struct("<dHI")  # when it came, seconds since 1970; lengths of topic and payload
LISTENS = _HEAD.size  # bytes that are noted when the broker knows, and nothing has come
_PUBLISH, _SUBACK = 3, 9  # section 2.2.1


class Arrival(NamedTuple):
    """A message, as it came."""

    at: float  # seconds since 1970
    topic: str
    payload: bytes


def arrivals(path: Path) -> Iterator[Arrival]:
    """Yield what a subscriber noted, except what it is just writing."""
    data = path.read_bytes()
    place = 0
    while place + _HEAD.size <= len(data):
        at, topic, payload = _HEAD.unpack_from(data, place)
        start = place + _HEAD.size
        place = start + topic + payload
        if place <= len(data):
            yield Arrival(at, data[start : start + topic].decode(), data[start + topic : place])


def _packet(first: int, body: bytes) -> bytes:
    length, rest = b"", len(body)
    while True:
        rest, low = divmod(rest, 128)
        length += bytes([low | (128 if rest else 0)])
        if not rest:
            return bytes([first]) + length + body


def _text(text: str) -> bytes:
    return len(text.encode()).to_bytes(2, "big") + text.encode()


def _listen(port: int, client: str, out: BinaryIO, topics: list[str]) -> None:
    """Stay connected for as long as the broker does."""
    wanted = b"".join(_text(topic) + b"\x01" for topic in topics)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        hello = _text("MQTT") + b"\x04\x00" + KEEPALIVE.to_bytes(2, "big") + _text(client)  # the session is kept
        connection.sendall(_packet(0x10, hello) + _packet(0x82, b"\x00\x01" + wanted))
        data = b""
        while came := connection.recv(1 << 18):
            data = _note(data + came, time.time(), connection, out)


def _note(data: bytes, at: float, connection: socket.socket, out: BinaryIO) -> bytes:
    """Write down and acknowledge the whole messages; return what is left."""
    acknowledged: list[bytes] = []
    noted: list[bytes] = []
    place = 0
    while True:
        length, shift, start = 0, 0, place + 1
        while start < len(data):
            length |= (data[start] & 127) << shift
            shift, start = shift + 7, start + 1
            if data[start - 1] < 128:
                break
        else:
            break
        end = start + length
        if end > len(data):
            break
        if data[place] >> 4 == _PUBLISH:
            body = start + 2 + int.from_bytes(data[start : start + 2], "big")
            topic = data[start + 2 : body]
            if data[place] & 6:
                acknowledged.append(b"\x40\x02" + data[body : body + 2])
                body += 2
            noted += (_HEAD.pack(at, len(topic), end - body), topic, data[body:end])
        elif data[place] >> 4 == _SUBACK:
            noted.append(_HEAD.pack(at, 0, 0))  # whoever waits for us sees that we listen
        place = end
    if noted:
        out.write(b"".join(noted))
    if acknowledged:
        connection.sendall(b"".join(acknowledged))
    return data[place:]


def main() -> None:
    """Listen until killed, over one connection after the other."""
    port, client, path, *topics = sys.argv[1:]
    with Path(path).open("ab", buffering=0) as out:
        while True:
            try:
                _listen(int(port), client, out, topics)
            except OSError:
                time.sleep(AGAIN_AFTER)


if __name__ == "__main__":
    main()
