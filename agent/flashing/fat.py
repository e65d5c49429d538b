"""Files of a FAT32 file system, read and written in place, without mounting it: so no rights are needed for an image.

Source: Microsoft Extensible Firmware Initiative FAT32 File System Specification 1.03 (2000). Only what a boot partition
needs: folders, long names, whole files. Nothing is promised to a cut in between: whoever writes here marks the whole
card as unfinished meanwhile.
"""

from __future__ import annotations

import struct
import sys
from array import array
from typing import TYPE_CHECKING, NamedTuple

from agent.flashing.fat_names import ARCHIVE, FOLDER, LONG, SIZE, name_of, record, records_for
from agent.flashing.medium import FlashError
from agent.i18n import _

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from agent.flashing.medium import Medium, Readable

SECTOR = 512  # bytes; the firmware of a Pi takes no others
DELETED = 0xE5  # in the first byte of a record
END = 0x0FFF_FFFF  # of a chain
MASK = 0x0FFF_FFFF  # the upper 4 bits of an entry are reserved
BAD = 0x0FFF_FFF7
FEWEST = 65_525  # clusters: with fewer it is FAT16
FIRST = 2  # number of the first cluster
FREE_AT = 488  # in the FSInfo sector: how many clusters are free, then where to look for the next
UNKNOWN = 0xFFFF_FFFF


class FatError(FlashError):
    """A file system is not what is expected, or has no room; the message is for people."""


class _Entry(NamedTuple):
    name: str
    records: list[bytes]  # those of the long name, then its own

    @property
    def is_folder(self) -> bool:
        return bool(self.records[-1][11] & FOLDER)

    @property
    def cluster(self) -> int:
        high, low = struct.unpack_from("<H4xH", self.records[-1], 20)
        return int(high << 16 | low)

    @property
    def size(self) -> int:
        return int.from_bytes(self.records[-1][28:], "little")


class FatReader:
    """A file system that begins at an offset of a medium. Paths are written with slashes; case does not matter."""

    def __init__(self, medium: Readable, offset: int) -> None:
        """Raises FatError."""
        self._medium, self._offset = medium, offset
        boot = medium.read(offset, SECTOR)
        if len(boot) < SECTOR or boot[510:] != b"\x55\xaa":
            raise FatError(_("its first partition is no boot partition"))
        sector, self._per_cluster, reserved, self._copies, root_entries, small, _media, short = struct.unpack_from(
            "<HBHBHHBH", boot, 11
        )
        large, self._sectors, _flags, _version, self._root, self._info = struct.unpack_from("<IIHHIH", boot, 32)
        if sector != SECTOR or root_entries or short or not self._per_cluster:
            raise FatError(_("its boot partition is no FAT32 file system with sectors of 512 bytes"))
        self._fat_at = offset + reserved * SECTOR
        self._data_at = self._fat_at + self._copies * self._sectors * SECTOR
        total = small or large
        self._clusters = (total - reserved - self._copies * self._sectors) // self._per_cluster
        if self._clusters < FEWEST or (self._clusters + FIRST) * 4 > self._sectors * SECTOR:
            raise FatError(_("its boot partition is damaged"))
        table = medium.read(self._fat_at, (self._clusters + FIRST) * 4)
        if len(table) < (self._clusters + FIRST) * 4:
            raise FatError(_("its boot partition is damaged"))
        self._fat = array("I", table)
        if sys.byteorder == "big":
            self._fat.byteswap()

    @property
    def cluster_size(self) -> int:
        """Bytes of a cluster."""
        return int(self._per_cluster * SECTOR)

    def free(self) -> int:
        """Return how many bytes are free."""
        return int(self._fat[FIRST:].count(0) * self.cluster_size)

    def names(self, path: str = "") -> list[str]:
        """Return the names in a folder; raises FatError."""
        return [entry.name for entry in self._entries(self._folder(path)) if entry.name not in {".", "..", ""}]

    def read(self, path: str) -> bytes:
        """Return a file, whole; raises FatError."""
        folder, _slash, name = path.rpartition("/")
        entry = self._find(self._folder(folder), name)
        if entry is None or entry.is_folder:
            raise FatError(_("there is no {name} on its boot partition").format(name=path))
        return self._content(entry.cluster)[: entry.size] if entry.size else b""

    def _has(self, folder: str) -> bool:
        parent, _slash, name = folder.rpartition("/")
        if not folder:
            return True
        return self._has(parent) and any(one.lower() == name.lower() for one in self.names(parent))

    def _folder(self, path: str) -> int:
        """Return the first cluster of a folder."""
        cluster: int = self._root
        for name in filter(None, path.split("/")):
            entry = self._find(cluster, name)
            if entry is None or not entry.is_folder:
                raise FatError(_("there is no {name} on its boot partition").format(name=path))
            cluster = entry.cluster
        return cluster

    def _find(self, folder: int, name: str) -> _Entry | None:
        return next((one for one in self._entries(folder) if one.name.lower() == name.lower()), None)

    def _entries(self, folder: int) -> Iterator[_Entry]:
        """Yield what is in a folder, the label of the file system included, as an entry without a name."""
        content, longs = self._content(folder), list[bytes]()
        for at in range(0, len(content), SIZE):
            one = content[at : at + SIZE]
            if one[0] == 0:
                return
            if one[0] == DELETED:
                longs = []
            elif one[11] & LONG == LONG:
                longs.append(one)
            else:
                yield _Entry(name_of(longs, one), [*longs, one])
                longs = []

    def _chain(self, first: int) -> Iterator[int]:
        seen = 0
        while FIRST <= first < self._clusters + FIRST:
            yield first
            seen += 1
            if seen > self._clusters:
                raise FatError(_("its boot partition is damaged"))
            first = int(self._fat[first]) & MASK
        if 0 < first < BAD:
            raise FatError(_("its boot partition is damaged"))

    def _content(self, first: int) -> bytes:
        return b"".join(self._medium.read(self._at(one), self.cluster_size) for one in self._chain(first))

    def _at(self, cluster: int) -> int:
        return int(self._data_at + (cluster - FIRST) * self.cluster_size)


class Fat(FatReader):
    """A file system in which files are written and removed, too."""

    def __init__(self, medium: Medium, offset: int) -> None:
        """Raises FatError."""
        super().__init__(medium, offset)
        self._to = medium
        self._changed: set[int] = set()

    def write(self, path: str, data: bytes, moment: datetime) -> None:
        """Put a file in place of the one of that name, and make the folder it is to be in; raises FatError."""
        folder, _slash, name = path.rpartition("/")
        if folder and not self._has(folder):
            self._make_folder(folder, moment)
        self.remove(path)
        chain = self._allocate(-(-len(data) // self.cluster_size))
        self._fill(chain, data)
        self._add(self._folder(folder), name, ARCHIVE, chain[0] if chain else 0, len(data), moment)
        self._flush()

    def remove(self, path: str) -> None:
        """Remove a file, if there is one."""
        folder, _slash, name = path.rpartition("/")
        cluster = self._folder(folder)
        entry = self._find(cluster, name)
        if entry is None:
            return
        if entry.is_folder:
            raise FatError(_("{name} is a folder on the boot partition").format(name=path))
        for one in list(self._chain(entry.cluster)):
            self._set(one, 0)
        kept = [other for other in self._entries(cluster) if other.records != entry.records]
        self._write_folder(cluster, kept)
        self._flush()

    def _make_folder(self, path: str, moment: datetime) -> None:
        parent, _slash, name = path.rpartition("/")
        if not self._has(parent):
            self._make_folder(parent, moment)
        above = self._folder(parent)
        (cluster,) = self._allocate(1)
        own = record(b".          ", FOLDER, cluster, 0, moment)
        # Of a folder in the root, the one above it is number 0 whatever the root's is (section 6.5).
        back = record(b"..         ", FOLDER, 0 if above == self._root else above, 0, moment)
        self._fill([cluster], own + back)
        self._add(above, name, FOLDER, cluster, 0, moment)

    def _add(self, folder: int, name: str, attributes: int, cluster: int, size: int, moment: datetime) -> None:
        entries = list(self._entries(folder))
        taken = {entry.records[-1][:11] for entry in entries}
        records = records_for(name, taken, attributes, cluster, size, moment)
        self._write_folder(folder, [*entries, _Entry(name, records)])

    def _write_folder(self, folder: int, entries: list[_Entry]) -> None:
        content = b"".join(record for entry in entries for record in entry.records)
        chain = list(self._chain(folder))
        missing = -(-len(content) // self.cluster_size) - len(chain)
        if missing > 0:
            more = self._allocate(missing)
            self._set(chain[-1], more[0])
            chain += more
        self._fill(chain, content)

    def _fill(self, chain: list[int], data: bytes) -> None:
        """Write data into clusters, and zeros behind it; clusters side by side are written at once."""
        size, start = self.cluster_size, 0
        data = data.ljust(len(chain) * size, b"\0")
        for index in range(1, len(chain) + 1):
            if index == len(chain) or chain[index] != chain[index - 1] + 1:
                self._to.write(self._at(chain[start]), data[start * size : index * size])
                start = index

    def _allocate(self, count: int) -> list[int]:
        found: list[int] = []
        for cluster in range(FIRST, self._clusters + FIRST):
            if len(found) == count:
                break
            if self._fat[cluster] & MASK == 0:
                found.append(cluster)
        if len(found) < count:
            needed, free = count * self.cluster_size >> 20, self.free() >> 20
            text = _("the boot partition has {free} MiB free, and {needed} MiB are needed")
            raise FatError(text.format(free=free, needed=needed))
        for one, following in zip(found, [*found[1:], END], strict=False):
            self._set(one, following)
        return found

    def _set(self, cluster: int, value: int) -> None:
        self._fat[cluster] = self._fat[cluster] & ~MASK | value
        self._changed.add(cluster * 4 // SECTOR)

    def _flush(self) -> None:
        """Write the changed sectors of every copy of the table, and how much is free."""
        for sector in sorted(self._changed):
            part = self._fat[sector * SECTOR // 4 : (sector + 1) * SECTOR // 4]
            for copy in range(self._copies):
                at = self._fat_at + (copy * self._sectors + sector) * SECTOR
                self._to.write(at, struct.pack(f"<{len(part)}I", *part))
        self._changed.clear()
        at = self._offset + self._info * SECTOR
        info = bytearray(self._medium.read(at, SECTOR))
        if info[:4] == b"RRaA":
            free = self._fat[FIRST:].count(0)
            struct.pack_into("<II", info, FREE_AT, free, UNKNOWN)
            self._to.write(at, bytes(info))
