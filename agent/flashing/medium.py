"""What is written to: a card, or a file that stands for one. And what is read from: an image, however it is packed."""

from __future__ import annotations

import lzma
import os
import stat
from typing import TYPE_CHECKING, Protocol

from agent.i18n import _

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

FARTHEST = 1 << 30  # bytes that are read of an image to see what it is; the boot partition lies within them
KEPT = 512  # bytes at the beginning of a file that are not emptied
STEP = 4 << 20  # bytes that are read or written at once


class FlashError(Exception):
    """A card cannot be made; the message is for people."""


class Readable(Protocol):
    """Bytes at offsets."""

    def read(self, offset: int, size: int) -> bytes:
        """Return so many bytes, fewer only at the end; may raise OSError."""
        ...


class Medium(Readable, Protocol):
    """Bytes at offsets that can be written, too. Every method may raise OSError."""

    def write(self, offset: int, data: bytes) -> None:
        """Write all of it."""
        ...

    def sync(self) -> None:
        """Return when all that was written is on the medium; what is read next comes from the medium itself."""
        ...


class Card:
    """A `Medium`: a block device, or a plain file that is made where there is none. Use it as a context manager."""

    def __init__(self, path: Path) -> None:
        flags = os.O_RDWR | os.O_CLOEXEC
        # O_EXCL without O_CREAT: Linux refuses a block device of which anything is mounted or otherwise in use.
        flags |= os.O_EXCL if path.is_block_device() else os.O_CREAT
        self._descriptor = os.open(path, flags, 0o644)
        self.is_device = stat.S_ISBLK(os.fstat(self._descriptor).st_mode)
        self.size = os.lseek(self._descriptor, 0, os.SEEK_END)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def read(self, offset: int, size: int) -> bytes:
        """Return so many bytes, fewer only at the end."""
        return os.pread(self._descriptor, size, offset)

    def write(self, offset: int, data: bytes) -> None:
        """Write all of it."""
        left = memoryview(data)
        while left:
            written = os.pwrite(self._descriptor, left, offset)
            offset, left = offset + written, left[written:]

    def sync(self) -> None:
        """Wait for the medium, and let the kernel forget what it has kept of it."""
        os.fsync(self._descriptor)
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def cut(self, size: int) -> None:
        """Give a plain file its size, and zeros behind its first bytes; a device has its own, and keeps what it has."""
        if not self.is_device:
            os.ftruncate(self._descriptor, min(size, KEPT))
            os.ftruncate(self._descriptor, size)
            self.size = size


class _File(Protocol):
    def read(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


class Image:
    """An image as it is when unpacked, from its beginning to its end: .img, .img.xz or .img.zst by what is in it."""

    def __init__(self, path: Path) -> None:
        """Raises FlashError and OSError."""
        self.path = path
        with path.open("rb") as file:
            magic = file.read(6)
        self.packed = True
        self._damaged: tuple[type[Exception], ...] = (EOFError,)
        self._file: _File
        if magic == b"\xfd7zXZ\0":
            self._file = lzma.open(path, "rb")  # noqa: SIM115 - closed with the image
            self._damaged += (lzma.LZMAError,)
        elif magic.startswith(b"\x28\xb5\x2f\xfd"):
            self._open_zstd()
        elif magic.startswith((b"PK", b"\x1f\x8b")):
            raise FlashError(_("{path} is a zip or gzip file; unpack it first").format(path=path))
        else:
            self._file, self.packed = path.open("rb"), False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, size: int) -> bytes:
        """Return so many bytes, fewer only at the end; raises FlashError if it is damaged."""
        try:
            return self._file.read(size)
        except self._damaged as error:
            text = _("{path} is damaged or not whole ({error}); get it again")
            raise FlashError(text.format(path=self.path, error=error)) from error

    def _open_zstd(self) -> None:
        try:
            import backports.zstd as zstd
        except ImportError as error:
            raise FlashError(
                _('{error}: run pip install ".[flash]" -c constraints.txt in the checkout').format(error=error)
            ) from error
        self._file = zstd.open(self.path, "rb")
        self._damaged += (zstd.ZstdError,)


class Head:
    """A `Readable`: the beginning of an image, unpacked as far as it is asked for."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._data = bytearray()

    def read(self, offset: int, size: int) -> bytes:
        """Return so many bytes, fewer at the end of the image; raises FlashError."""
        end = offset + size
        if end > FARTHEST:
            raise FlashError(_("{path} is no image of Raspberry Pi OS").format(path=self._image.path))
        while len(self._data) < end and (more := self._image.read(STEP)):
            self._data += more
        return bytes(self._data[offset:end])
