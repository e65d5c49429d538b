"""What the broker had acknowledged before the journal noted a delivery: read from the bytes on the socket."""

from __future__ import annotations

import json
import zlib
from collections import defaultdict
from typing import TYPE_CHECKING

from agent.journal.frames import Frame, Kind, scan
from agent.journal.ranges import Ranges

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kills.trace import Call, Trace

CONNECT = b"\x10"  # how a connection begins: MQTT 5, section 3.1
PUBLISH, PUBACK = 3, 4  # section 2.1.2
REFUSED = 0x80  # reason codes from here on are errors: section 2.4

Pack = tuple[str, str, int, int]  # epoch, stream, first, last


class Connection:
    """One connection to the broker: what went each way, and which packs have been acknowledged so far."""

    def __init__(self) -> None:
        self._sent, self._came = bytearray(), bytearray()
        self._packs: dict[int, Pack] = {}  # by packet identifier

    def send(self, data: bytes) -> None:
        """Take bytes that the agent sent."""
        self._sent += data
        for kind, flags, body in _packets(self._sent):
            if kind == PUBLISH and flags & 0x06:
                behind = 2 + int.from_bytes(body[:2])
                size, width = _variable(body, behind + 2)
                pack = _pack(body[behind + 2 + width + size :])
                if pack is not None:
                    self._packs[int.from_bytes(body[behind : behind + 2])] = pack

    def receive(self, data: bytes) -> Iterator[Pack]:
        """Take bytes that the broker sent; yields the packs that they acknowledge."""
        self._came += data
        for kind, _flags, body in _packets(self._came):
            if kind == PUBACK and (len(body) < 3 or body[2] < REFUSED):
                pack = self._packs.pop(int.from_bytes(body[:2]), None)
                if pack is not None:
                    yield pack


def unacknowledged(trace: Trace) -> tuple[int, list[str]]:
    """Return how many packs were acknowledged, and which deliveries were noted although the broker had not."""
    connections: dict[bytes, Connection] = {}
    acknowledged: dict[tuple[str, str], Ranges] = defaultdict(Ranges)
    count = 0
    faults = []
    for call in trace.threads[0]:  # the loop's: in the order of the program
        if not call.succeeded:
            continue
        if call.name in {"sendto", "recvfrom"}:
            for epoch, stream, first, last in _transfer(call, connections):
                acknowledged[epoch, stream].add(first, last)
                count += 1
        elif call.name == "pwrite64":
            for uplink, epoch, stream, first, last in _noted(call.texts()[1]):
                if uplink and not acknowledged[epoch, stream].covers(first, last):
                    faults.append(f"{stream} {first} to {last} was noted as delivered before any PUBACK")
    return count, faults


def _transfer(call: Call, connections: dict[bytes, Connection]) -> Iterator[Pack]:
    socket, *buffers = call.texts()
    data = b"".join(buffers[:1])[: int(call.result)]
    if call.name == "sendto" and data[:1] == CONNECT:  # others are the control socket's, and the loop's to itself
        connections[socket] = Connection()
    if socket not in connections:
        return
    if call.name == "sendto":
        connections[socket].send(data)
    else:
        yield from connections[socket].receive(data)


def _noted(data: bytes) -> Iterator[tuple[str, str, str, int, int]]:
    for one in scan(data):
        if isinstance(one, Frame) and one.kind == Kind.DONE:
            yield from json.loads(one.payload)


def _packets(stream: bytearray) -> Iterator[tuple[int, int, bytes]]:
    """Take the whole packets off the beginning of a stream."""
    while len(stream) >= 2:
        size, width = _variable(stream, 1)
        end = 1 + width + size
        if not width or len(stream) < end:
            return
        head, body = stream[0], bytes(stream[1 + width : end])
        del stream[:end]
        yield head >> 4, head & 0x0F, body


def _variable(data: bytes | bytearray, at: int) -> tuple[int, int]:
    """Return a variable byte integer (MQTT 5, section 1.5.5) and its width, 0 as long as its end is not there."""
    value = 0
    for width, byte in enumerate(data[at : at + 4], 1):
        value |= (byte & 0x7F) << 7 * (width - 1)
        if byte < 0x80:
            return value, width
    return 0, 0


def _pack(payload: bytes) -> Pack | None:
    """Return which numbers a payload holds, or None if it is a document and no pack."""
    document = json.loads(zlib.decompress(payload) if payload[:1] == b"\x78" else payload)
    if not isinstance(document, list):
        return None
    head = document[0]
    return head["epoch"], head["stream"], head["v"], head["last"]
