"""How records lie in a file: each framed by its length and checksum, so that damage costs that record alone.

Records that belong together share one frame and one checksum. Inside it they have neither, so that whoever searches a
torn frame for the next good one does not find some of them.
"""

from __future__ import annotations

import zlib
from enum import IntEnum
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAGIC = b"\xa7R"
_HEADER = Struct("<2sBxII")  # magic, kind, length of the payload, CRC-32 of kind, length and payload
_SUMMED = Struct("<BI")  # kind and length, as the checksum takes them
_MEMBER = _SUMMED  # the same, in front of each record of a group
LARGEST = 64 << 20  # bytes; a length beyond this is damage


class Kind(IntEnum):
    """What a record holds."""

    SNAPSHOT = 1  # young end: all that start-up needs to know besides the records that follow
    APPEND = 2  # young end: records of one stream, numbered
    PACKS = 3  # young end: packs, one of them perhaps made of what was appended before
    DONE = 4  # young end: numbers that uplinks have delivered, or the ledger accounts for
    KEEP = 5  # young end: one value that must survive a restart
    COMMIT = 6  # card: one commit
    GROUP = 7  # young end: records of which all are there or none


class Frame(NamedTuple):
    """One good record."""

    kind: int
    payload: bytes


class Damage(NamedTuple):
    """Bytes that are no good record."""

    offset: int
    size: int


def frame(kind: int, payload: bytes) -> bytes:
    """Return a record as it is written."""
    return _HEADER.pack(MAGIC, kind, len(payload), _sum(kind, payload)) + payload


def group(records: Iterable[Frame]) -> bytes:
    """Return records as they are written to be read all or none."""
    return frame(Kind.GROUP, b"".join(_MEMBER.pack(kind, len(payload)) + payload for kind, payload in records))


def scan(data: bytes) -> Iterator[Frame | Damage]:
    """Yield every good record of a file in order, those of groups too, and the stretches between that are damaged."""
    at = bad = 0
    while at < len(data):
        found = _frame_at(data, at)
        if found is None:
            at = data.find(MAGIC, at + 1)
            at = len(data) if at < 0 else at
            continue
        if bad < at:
            yield Damage(bad, at - bad)
        at = bad = at + _HEADER.size + len(found.payload)
        if found.kind == Kind.GROUP:
            yield from _members(found.payload)
        else:
            yield found
    if bad < len(data):
        yield Damage(bad, len(data) - bad)


def is_cut(data: bytes, damage: Damage) -> bool:
    """Return whether damage is the beginning of a record whose end is not there: not yet, or no more."""
    rest = data[damage.offset :]
    if damage.offset + damage.size < len(data) or not (rest.startswith(MAGIC) or MAGIC.startswith(rest)):
        return False
    return len(rest) < _HEADER.size or len(rest) < _HEADER.size + _HEADER.unpack_from(rest)[2] <= LARGEST


def _frame_at(data: bytes, at: int) -> Frame | None:
    if at + _HEADER.size > len(data):
        return None
    magic, kind, length, checksum = _HEADER.unpack_from(data, at)
    start = at + _HEADER.size
    if magic != MAGIC or length > LARGEST or start + length > len(data):
        return None
    payload = data[start : start + length]
    return Frame(kind, payload) if _sum(kind, payload) == checksum else None


def _members(payload: bytes) -> Iterator[Frame]:
    at = 0
    while at + _MEMBER.size <= len(payload):
        kind, length = _MEMBER.unpack_from(payload, at)
        at += _MEMBER.size
        yield Frame(kind, payload[at : at + length])
        at += length


def _sum(kind: int, payload: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(_SUMMED.pack(kind, len(payload))))
