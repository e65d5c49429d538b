"""One release in one file: a plain tar with `metadata/` as TUF wants it, and `targets/`, which that vouches for.

Written so that the same contents give the same bytes, and so that a target is one stretch of the file: whoever has been
told its place and digest reads it without knowing what a tar is.
"""

from __future__ import annotations

import io
import tarfile
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

MANIFEST = "release.json"  # the target that says what the others are for
METADATA, TARGETS = "metadata/", "targets/"
LARGEST = 256 << 20  # bytes of an archive
MOST_FILES = 1000
MODE = 0o644


class ArchiveError(Exception):
    """A file is no release; the message is for people."""


class Place(NamedTuple):
    """Where a member lies."""

    offset: int
    size: int


class Checked(NamedTuple):
    """A release whose every file is vouched for."""

    version: str
    files: dict[str, tuple[int, int, str]]  # by their names as targets: offset in the archive, size, SHA-256


def pack(files: Mapping[str, bytes], moment: int) -> bytes:
    """Return an archive of files; `moment` is the time that all of them bear, in seconds since 1970."""
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(files):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(files[name]), moment, MODE
            tar.addfile(entry, io.BytesIO(files[name]))
    return whole.getvalue()


class Archive:
    """An archive that is looked into: its names alone are read at first."""

    def __init__(self, file: IO[bytes]) -> None:
        """Take a file that can be read at any position; raises ArchiveError."""
        self._file = file
        try:
            if file.seek(0, io.SEEK_END) > LARGEST:
                raise ArchiveError(f"it is larger than {LARGEST >> 20} MiB")
            file.seek(0)
            self.places = _places(file)
        except (tarfile.TarError, OSError, ValueError) as error:
            raise ArchiveError(f"it is no release of Roadside, or not a whole one ({error})") from error
        if TARGETS + MANIFEST not in self.places:
            raise ArchiveError("it is no release of Roadside")

    def read(self, name: str) -> bytes:
        """Return a member whole; raises KeyError if there is none of that name."""
        place = self.places[name]
        self._file.seek(place.offset)
        return self._file.read(place.size)


def _places(file: IO[bytes]) -> dict[str, Place]:
    places: dict[str, Place] = {}
    with tarfile.open(fileobj=file, mode="r:") as tar:
        for entry in tar:
            if len(places) >= MOST_FILES:
                raise ArchiveError("it holds too many files")
            if not entry.isreg() or entry.name in places:
                raise ArchiveError(f"it holds something that is no file of its own: {entry.name!r:.80}")
            places[entry.name] = Place(entry.offset_data, entry.size)
    return places
