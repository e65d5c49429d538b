"""How packs are made from records, and how they lie in a file."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from struct import Struct
from sys import intern
from typing import TYPE_CHECKING, Any, NamedTuple

from agent import senml
from agent.journal.pack import Pack
from agent.readings import Stream

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.journal.state import Key
    from agent.readings import Record

STREAMS = list(Stream)  # the index of a stream in a file: only ever append to the enumeration
_INDEX = {stream: index for index, stream in enumerate(STREAMS)}
_PACK = Struct("<B3xI8s16sqQQII")  # stream, length of the body, epoch, boot, base, first, last, size, adler
_COUNT = Struct("<I")  # how many packs
_APPEND = Struct("<B3xIQq")  # stream, count, first, base
_MILLISECOND = 1_000_000


class Appended(NamedTuple):
    """Records of one `append`."""

    stream: Stream
    first: int
    last: int
    base: int  # of the pack that they belong to
    records: bytes  # encoded


class Span(NamedTuple):
    """Numbers that follow each other."""

    key: Key
    first: int
    last: int


class Located(NamedTuple):
    """A pack, and where it lies: the offsets of its head and of its body."""

    span: Span
    head: int
    body: int


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


def decode_append(payload: bytes) -> Appended:
    """Return what an APPEND frame holds."""
    stream, count, first, base = _APPEND.unpack_from(payload)
    return Appended(STREAMS[stream], first, first + count - 1, base, payload[_APPEND.size :])


def encode_packs(packs: Sequence[Pack]) -> bytes:
    """Return packs as they lie in a file: how many, then all heads, then all bodies."""
    heads = [
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
        for pack in packs
    ]
    return b"".join([_COUNT.pack(len(packs)), *heads, *[pack.body for pack in packs]])


def weight(pack: Pack) -> int:
    """Return how many bytes a pack takes in a file."""
    return _PACK.size + len(pack.body)


def decode_packs(data: bytes) -> list[Pack]:
    """Return the packs that `encode_packs` was given; raises ValueError if these are none."""
    heads, at = _heads(data)
    packs = []
    for head in heads:
        packs.append(_pack(head, data, at))
        at += head[1]
    return packs


def locate_packs(data: bytes) -> list[Located]:
    """Return where each pack lies, in the order of the file; raises as `decode_packs` does."""
    heads, at = _heads(data)
    located = []
    for place, (stream, length, epoch, _boot, _base, first, last, _size, _adler) in enumerate(heads):
        key = intern(epoch.hex()), STREAMS[stream]
        located.append(Located(Span(key, first, last), _COUNT.size + place * _PACK.size, at))
        at += length
    return located


def decode_pack(data: bytes, head: int, body: int) -> Pack:
    """Return one of the packs that `locate_packs` found."""
    return _pack(_PACK.unpack_from(data, head), data, body)


def _pack(head: tuple[Any, ...], data: bytes, at: int) -> Pack:
    stream, length, epoch, boot, base, first, last, size, adler = head
    of_epoch, of_boot = intern(epoch.hex()), intern(boot.hex())  # once for all the packs in memory
    return Pack(STREAMS[stream], of_epoch, of_boot, base, first, last, data[at : at + length], size, adler)


def decode_spans(data: bytes) -> list[Span]:
    """Return which numbers are in the packs, those that follow each other as one; raises as `decode_packs` does."""
    runs: list[list[Any]] = []
    before = None
    for stream, _length, epoch, _boot, _base, first, last, _size, _adler in _heads(data)[0]:
        if before == (stream, epoch, first - 1):
            runs[-1][-1] = last
        else:
            runs.append([stream, epoch, first, last])
        before = stream, epoch, last
    return [Span((epoch.hex(), STREAMS[stream]), first, last) for stream, epoch, first, last in runs]


def _heads(data: bytes) -> tuple[list[tuple[Any, ...]], int]:
    """Return the fields of all heads, and where the first body begins."""
    count = int.from_bytes(data[: _COUNT.size], "little")
    bodies_at = _COUNT.size + count * _PACK.size
    heads = list(_PACK.iter_unpack(memoryview(data)[_COUNT.size : bodies_at])) if bodies_at <= len(data) else []
    if len(heads) != count or bodies_at + sum([head[1] for head in heads]) != len(data):
        raise ValueError("not packs")
    if any(head[0] >= len(STREAMS) for head in heads):
        raise ValueError("packs of an unknown stream")
    return heads, bodies_at
