"""A journal in a tar archive, as it was packed on the machine it comes from; it is only looked into."""

from __future__ import annotations

import errno
import lzma
import tarfile
import zlib
from typing import TYPE_CHECKING

from agent.host.disk import LARGEST, ReadOnlyFolder
from agent.i18n import _

if TYPE_CHECKING:
    from pathlib import Path

MOST = 100_000  # files: each takes memory, and no journal has so many
# What the modules for archives raise of damaged ones, besides OSError; ValueError is of numbers in heads that are none.
BROKEN = (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, ValueError, OverflowError)


class Archive(ReadOnlyFolder):
    """Implements `agent.seams.Disk` with the files of one kind in an archive, wherever in it they lie.

    They are read from the archive one by one: nothing is unpacked, so that no name in it can lead anywhere.
    """

    def __init__(self, path: Path, suffix: str) -> None:
        """Look into the archive; raises OSError if it is none, is damaged, or holds two files of one name."""
        super().__init__(path)
        self._members: dict[str, tarfile.TarInfo] = {}
        try:
            with tarfile.open(path) as archive:
                for count, member in enumerate(archive):
                    if count >= MOST:
                        raise OSError(errno.EFBIG, _("holds too many files for a journal"), str(path))
                    name = member.name.rpartition("/")[2]
                    if not member.isreg() or not name.endswith(f".{suffix}"):
                        continue
                    if name in self._members:
                        text = _("holds two files {name}: pack one journal at a time").format(name=name)
                        raise OSError(errno.EINVAL, text, str(path))
                    self._members[name] = member
        except tarfile.ReadError as error:  # which lists, in English, all that it has tried
            text = _("is damaged") if self._members else _("is no tar archive, or a damaged one")
            raise OSError(errno.EINVAL, text, str(path)) from error
        except BROKEN as error:
            raise OSError(errno.EINVAL, _("is damaged"), str(path)) from error

    def names(self) -> list[str]:
        """Return the names of the files, sorted."""
        return sorted(self._members)

    def read(self, name: str) -> bytes:
        """Return the whole file."""
        member = self._member(name)
        if member.size > LARGEST:
            raise OSError(errno.EFBIG, _("is too large for a journal's file"), f"{self.path}:{name}")
        try:
            with tarfile.open(self.path) as archive:
                file = archive.extractfile(member)
                return file.read() if file is not None else b""
        except BROKEN as error:
            raise OSError(errno.EIO, _("is damaged"), f"{self.path}:{name}") from error

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        return self._member(name).size

    def _member(self, name: str) -> tarfile.TarInfo:
        if name not in self._members:
            raise FileNotFoundError(errno.ENOENT, "not in the archive", f"{self.path}:{name}")
        return self._members[name]
