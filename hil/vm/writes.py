"""What a disk may hold when the power goes: built from the log of its writes that dm-log-writes keeps.

The log begins with a head, one sector, as each entry does; the data of a write follows its entry, the text of a mark
stands in it. Sectors are the disk's own; numbers are little-endian. A write that may still be in the disk's cache is
logged when a flush has completed, in front of it; one that bypasses the cache (FUA) at once. How many entries there
are the head says since the last of those, or since the last mark; what follows is not counted, and not read.

Source: Linux's drivers/md/dm-log-writes.c and Documentation/admin-guide/device-mapper/log-writes.rst.
"""

from __future__ import annotations

from enum import IntFlag
from io import SEEK_END
from struct import Struct, error
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable, Sequence

MAGIC = 0x6A736677736872
VERSION = 1
HEAD = Struct("<QQQI")  # magic, version, number of entries, bytes of a sector
ENTRY = Struct("<QQQQ")  # sector, number of sectors, flags, bytes of a mark's text
SMALLEST = 512  # bytes of a sector


class LogError(ValueError):
    """A file that is no such log; the message says where."""


class Flag(IntFlag):
    """What an entry is besides a write."""

    FLUSH = 1  # the disk's cache was empty before it
    FUA = 2  # it was not in the cache when it was done
    DISCARD = 4  # nobody needs these sectors any more; there is no data
    MARK = 8
    METADATA = 16


class Entry(NamedTuple):
    """One write, discard, flush or mark, in the order in which they are done with."""

    at: int  # bytes
    size: int  # bytes
    flags: Flag
    data: bytes  # of a mark, its text


def read(log: BinaryIO) -> list[Entry]:
    """Return all entries; raises LogError."""
    try:
        magic, version, count, sector = HEAD.unpack(log.read(HEAD.size))
    except error as cut:
        raise LogError("the log has no whole head") from cut
    if (magic, version) != (MAGIC, VERSION):
        raise LogError(f"no log of dm-log-writes: it begins with {magic:#x}, version {version}")
    if sector < SMALLEST:
        raise LogError(f"a sector of {sector} bytes")
    entries: list[Entry] = []
    end = log.seek(0, SEEK_END)
    log.seek(sector)
    for number in range(count):
        head = log.read(sector)
        if len(head) < sector:
            raise LogError(f"entry {number} of {count} is cut")
        start, sectors, bits, length = ENTRY.unpack_from(head)
        flags, size = Flag(bits), sectors * sector
        if Flag.MARK in flags:
            data = head[ENTRY.size : ENTRY.size + length]
        elif Flag.DISCARD in flags:
            data = b""
        elif log.tell() + size > end:
            raise LogError(f"entry {number} of {count}: its data is cut")
        else:
            data = log.read(size)
        entries.append(Entry(start * sector, size, flags, data))
    return entries


def kept(entries: Sequence[Entry], until: int, chance: random.Random) -> list[Entry]:
    """Return what is on the medium if the power goes when `until` entries are done with.

    Up to the last flush all of them are, and of the later ones those that bypass the cache; of the rest any may be.
    """
    flushed = max((at for at in range(until) if Flag.FLUSH in entries[at].flags), default=0)
    later = entries[flushed:until]
    return [*entries[:flushed], *(one for one in later if Flag.FUA in one.flags or chance.getrandbits(1))]


def write(entries: Iterable[Entry], disk: BinaryIO) -> None:
    """Write entries on a disk as it was when the log began; what was discarded is zeros."""
    for entry in entries:
        if Flag.MARK not in entry.flags and entry.size:
            disk.seek(entry.at)
            disk.write(entry.data or bytes(entry.size))


def last_mark(entries: Sequence[Entry], until: int) -> str | None:
    """Return the text of the last mark among the first entries; None if there is none."""
    marks = [one.data.decode() for one in entries[:until] if Flag.MARK in one.flags]
    return marks[-1] if marks else None
