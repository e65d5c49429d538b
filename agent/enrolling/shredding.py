"""Removing what was secret, as far as a card lets us."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

STEP = 1 << 20  # bytes


def shred(path: Path) -> None:
    """Overwrite a file, then remove it; raises OSError. A link is removed, and what it leads to is left alone.

    A card writes to fresh cells and keeps the old ones for a while, where whoever takes its chips off may find them:
    nothing but the card's own erasure, or its end, is safe against that. A reader of the card's blocks finds nothing.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        if not path.is_symlink():
            raise
        path.unlink()
        return
    try:
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            for at in range(0, status.st_size, STEP):
                os.pwrite(descriptor, os.urandom(min(STEP, status.st_size - at)), at)
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
