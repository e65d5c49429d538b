"""How packs are made from records, and how they lie in a file."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from struct import Struct, error
from typing import TYPE_CHECKING

from agent import senml
from agent.journal.pack import Pack
from agent.readings import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.readings import Record

STREAMS = list(Stream)  # the index of a stream in a file: only ever append to the enumeration
_INDEX = {stream: index for index, stream in enumerate(STREAMS)}
_PACK = Struct("<B3xI8s16sqQQII")  # stream, length of the body, epoch, boot, base, first, last, size, adler
_APPEND = Struct("<B3xIQq")  # stream, count, first, base
_CLOSE = Struct("<B7xQQ")  # stream, first, last
_MILLISECOND = 1_000_000


@dataclass(slots=True)
class OpenPack:
    """A pack that still grows."""

    stream: Stream
    base: int
    first: int
    count: int = 0
    parts: list[bytes] = field(default_factory=list)

    def close(self, epoch: str, boot: str) -> Pack:
        """Return the pack as it will be stored and sent."""
        records = b",".join(self.parts)
        return Pack(
            stream=self.stream,
            epoch=epoch,
            boot=boot,
            base=self.base,
            first=self.first,
            last=self.first + self.count - 1,
            body=senml.deflate(records),
            size=len(records) + 1,
            adler=zlib.adler32(b"]", zlib.adler32(records)),
        )

    def add(self, records: bytes, count: int) -> None:
        """Take records that are encoded already."""
        self.parts.append(records)
        self.count += count


def start(stream: Stream, first: int, at: int) -> OpenPack:
    """Return an empty pack whose base is `at` (boottime in nanoseconds), cut to the millisecond times are given in."""
    return OpenPack(stream, at // _MILLISECOND * _MILLISECOND, first)


def encode_append(pack: OpenPack, records: Sequence[Record]) -> tuple[bytes, bytes]:
    """Return the payload of an APPEND frame for records that come next in a pack, and the encoded records alone."""
    base = pack.base
    body = senml.encode(records, base)
    return _APPEND.pack(_INDEX[pack.stream], len(records), pack.first + pack.count, base) + body, body


def decode_append(payload: bytes) -> tuple[Stream, int, int, int, bytes]:
    """Return stream, count, first number, base and encoded records of an APPEND frame."""
    stream, count, first, base = _APPEND.unpack_from(payload)
    return STREAMS[stream], count, first, base, payload[_APPEND.size :]


def encode_close(pack: Pack) -> bytes:
    """Return the payload of a CLOSE frame."""
    return _CLOSE.pack(_INDEX[pack.stream], pack.first, pack.last)


def decode_close(payload: bytes) -> Stream:
    """Return which stream's pack ended."""
    return STREAMS[payload[0]]


def encode_packs(snapshot: bytes, packs: Sequence[Pack]) -> bytes:
    """Return the payload of a PACKS frame: one whole snapshot, then the packs."""
    pieces = [len(snapshot).to_bytes(4, "little"), snapshot]
    for pack in packs:
        pieces.append(
            _PACK.pack(
                _INDEX[pack.stream],
                len(pack.body),
                bytes.fromhex(pack.epoch),
                bytes.fromhex(pack.boot),
                pack.base,
                pack.first,
                pack.last,
                pack.size,
                pack.adler,
            )
        )
        pieces.append(pack.body)
    return b"".join(pieces)


def weight(pack: Pack) -> int:
    """Return how many bytes a pack takes in a file."""
    return _PACK.size + len(pack.body)


def decode_snapshot(payload: bytes) -> bytes:
    """Return the snapshot of a PACKS frame; empty if there is none."""
    return payload[4 : 4 + int.from_bytes(payload[:4], "little")]


def decode_packs(payload: bytes) -> Iterator[Pack]:
    """Yield the packs of a PACKS frame; raises ValueError where it is cut."""
    at = 4 + int.from_bytes(payload[:4], "little")
    while at < len(payload):
        try:
            stream, length, epoch, boot, base, first, last, size, adler = _PACK.unpack_from(payload, at)
        except error as cut:
            message = f"a pack is cut at {at}"
            raise ValueError(message) from cut
        at += _PACK.size
        body = payload[at : at + length]
        at += length
        yield Pack(STREAMS[stream], epoch.hex(), boot.hex(), base, first, last, body, size, adler)
