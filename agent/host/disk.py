"""One folder of plain files, written so that a power cut leaves the old or the new, never half of one."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FOLDER_MODE = 0o750  # the service and its group; readings can tell where people are
FILE_MODE = 0o640
# Not blocking: a FIFO of that name would have the agent wait for a reader for ever.
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
LARGEST = 128 << 20  # bytes of a file that are read: what is larger is none of ours, and would take all memory


class AppendingFile:
    """Implements `agent.seams.File`."""

    def __init__(self, path: Path) -> None:
        self._descriptor = _plain(os.open(path, FLAGS, FILE_MODE), path)
        self._length = 0

    def append(self, data: bytes) -> None:
        """Write all of it; on a short write cut the file back to what it was, then raise."""
        at = self._length
        try:
            # At a position, not O_APPEND: should the cut below fail too, the next record overwrites the torn one.
            while (written := os.pwrite(self._descriptor, data, at)) < len(data):
                at += written
                data = data[written:]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, self._length)
            raise
        self._length = at + len(data)

    def sync(self) -> None:
        """Return when all that was appended is on the medium."""
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        """Give the file back. Harmless to call again."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


class Folder:
    """Implements `agent.seams.Disk`.

    The folder is made when it is first needed, not by the constructor: a card that is full or read-only at start is a
    fault to report and to try again, and must not keep the agent from starting.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def names(self) -> list[str]:
        """Return the names of the files, sorted."""
        self._make()
        with os.scandir(self.path) as entries:
            # Hidden: what a power cut in the middle of `replace` left behind. A link is no file of ours.
            plain = (entry.name for entry in entries if entry.is_file(follow_symlinks=False))
            return sorted(name for name in plain if not name.startswith("."))

    def read(self, name: str) -> bytes:
        """Return the whole file; raises OSError also of what is no file, or larger than any of ours."""
        path = self.path / name
        with open(_plain(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), path), "rb") as file:
            if os.fstat(file.fileno()).st_size > LARGEST or len(data := file.read(LARGEST + 1)) > LARGEST:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
            return data

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        return (self.path / name).stat().st_size

    def create(self, name: str) -> AppendingFile:
        """Make an empty file, or empty the one that is there, and open it for appending."""
        self._make()
        return AppendingFile(self.path / name)

    def remove(self, name: str) -> None:
        """Remove a file."""
        (self.path / name).unlink()

    def replace(self, name: str, data: bytes) -> None:
        """Put a whole file in place at once, synced: the old one or the new one is there, never half of one."""
        self._make()
        new = self.path / f".{name}.new"
        try:
            with contextlib.closing(AppendingFile(new)) as file:
                file.append(data)
                file.sync()
            new.rename(self.path / name)
        except OSError:
            with contextlib.suppress(OSError):
                new.unlink()  # on a full disk its room is needed
            raise
        self.sync_folder()

    def sync_folder(self) -> None:
        """Return when made and removed names are on the medium."""
        _sync(self.path)

    def free(self) -> int:
        """Return how many bytes are free for us: what the file system reserves for root is not."""
        self._make()
        status = os.statvfs(self.path)
        return status.f_bavail * status.f_frsize

    def _make(self) -> None:
        if not self.path.is_dir():
            os.makedirs(self.path, FOLDER_MODE)
            _sync(self.path.parent)


@contextlib.contextmanager
def whole_file(path: Path, **text: Any) -> Iterator[TextIO]:  # noqa: ANN401 - what `open` takes
    """Make a file that is not there yet and that its owner alone may read; raises OSError.

    It is there only when it is whole, and on the medium: until then it has a name of its own beside, and whatever ends
    the making of it, but for SIGKILL, removes that.
    """
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    new = path.with_name(f".{path.name}.new")
    with open(
        os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600),
        "w",
        **text,
    ) as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            new.rename(path)
            _sync(path.parent)
        except BaseException:
            with contextlib.suppress(OSError):
                new.unlink()  # on a full disk its room is needed
            raise


class ReadOnlyFolder(Folder):
    """A folder that is only looked into: it is not made, and whatever would change it raises OSError."""

    def create(self, name: str) -> NoReturn:
        """Refuse."""
        self._refuse(name)

    def remove(self, name: str) -> NoReturn:
        """Refuse."""
        self._refuse(name)

    def replace(self, name: str, data: bytes) -> NoReturn:
        """Refuse."""
        del data
        self._refuse(name)

    def _make(self) -> None:
        """Leave it as it is, there or not."""

    def _refuse(self, name: str) -> NoReturn:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(self.path / name))


def _plain(descriptor: int, path: Path) -> int:
    """Return a descriptor that is of a plain file; closes any other and raises OSError, as opening a FIFO does."""
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ENXIO, os.strerror(errno.ENXIO), str(path))
    return descriptor


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
