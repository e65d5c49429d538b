"""Removing what was secret, as far as a card lets us."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

STEP = 1 << 20  # bytes


def shred(path: Path) -> None:
    """Overwrite a file, then remove it; raises OSError. What is no plain file is removed alone, as a link is.

    A card writes to fresh cells and keeps the old ones for a while, where whoever takes its chips off may find them:
    nothing but the card's own erasure, or its end, is safe against that. A reader of the card's blocks finds nothing.
    """
    if stat.S_ISREG(path.lstat().st_mode):
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            size = os.fstat(descriptor).st_size
            for at in range(0, size, STEP):
                os.pwrite(descriptor, os.urandom(min(STEP, size - at)), at)
            os.fsync(descriptor)
            os.ftruncate(descriptor, 0)
        finally:
            os.close(descriptor)
    path.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def shred_below(folder: Path) -> int:
    """Shred every file below a folder and remove it, and leave no link; return how many files. Raises OSError."""
    if not folder.is_dir() or folder.is_symlink():
        return 0
    count = 0
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            count += shred_below(path)
        else:
            shred(path)
            count += 1
    os.rmdir(folder)
    return count
