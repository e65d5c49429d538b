"""The archive that Linux unpacks as its initial ramdisk: cpio's "newc".

Source: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

MAGIC = b"070701"
FOLDER, FILE = 0o040000, 0o100000  # of a mode: sys/stat.h
END = "TRAILER!!!"


class Entry(NamedTuple):
    """A file or a folder; `mode` says which, and who may do what."""

    name: str
    mode: int
    data: bytes = b""


def folder(name: str) -> Entry:
    """Return an entry for a folder."""
    return Entry(name, FOLDER | 0o755)


def file(name: str, data: bytes, permissions: int = 0o644) -> Entry:
    """Return an entry for a file."""
    return Entry(name, FILE | permissions, data)


def archive(entries: Iterable[Entry]) -> bytes:
    """Return the archive of these entries; a folder has to come before what is in it."""
    return b"".join(_packed(number, entry) for number, entry in enumerate([*entries, Entry(END, 0)], 1))


def _packed(number: int, entry: Entry) -> bytes:
    name = entry.name.encode() + b"\0"
    # inode, mode, uid, gid, links, mtime, size, device major and minor (2 of each), size of the name, check
    fields = (number, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, 0, 0, len(name), 0)
    head = MAGIC + b"".join(b"%08x" % field for field in fields) + name
    return _padded(head) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
