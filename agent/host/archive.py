"""A journal in a tar archive, as it was packed on the machine it comes from; it is only looked into."""

from __future__ import annotations

import errno
import tarfile
from typing import TYPE_CHECKING

from agent.host.disk import ReadOnlyFolder

if TYPE_CHECKING:
    from pathlib import Path


class Archive(ReadOnlyFolder):
    """Implements `agent.seams.Disk` with the files of one kind in an archive, wherever in it they lie.

    They are read from the archive one by one: nothing is unpacked, so that no name in it can lead anywhere.
    """

    def __init__(self, path: Path, suffix: str) -> None:
        """Look into the archive; raises OSError if it is none, or if it holds two files of one name."""
        super().__init__(path)
        self._members: dict[str, tarfile.TarInfo] = {}
        try:
            with tarfile.open(path) as archive:
                for member in archive:
                    name = member.name.rpartition("/")[2]
                    if not member.isreg() or not name.endswith(f".{suffix}"):
                        continue
                    if name in self._members:
                        raise OSError(errno.EINVAL, f"holds two files {name}: pack one journal at a time", str(path))
                    self._members[name] = member
        except (tarfile.TarError, EOFError) as error:
            raise OSError(errno.EINVAL, str(error), str(path)) from error

    def names(self) -> list[str]:
        """Return the names of the files, sorted."""
        return sorted(self._members)

    def read(self, name: str) -> bytes:
        """Return the whole file."""
        member = self._member(name)
        try:
            with tarfile.open(self.path) as archive:
                file = archive.extractfile(member)
                return file.read() if file is not None else b""
        except (tarfile.TarError, EOFError) as error:
            raise OSError(errno.EIO, str(error), f"{self.path}:{name}") from error

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        return self._member(name).size

    def _member(self, name: str) -> tarfile.TarInfo:
        if name not in self._members:
            raise FileNotFoundError(errno.ENOENT, "not in the archive", f"{self.path}:{name}")
        return self._members[name]
