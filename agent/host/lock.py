"""One agent a gateway: two would take each other's journal apart, and throw each other off the broker."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "agent.lock"
MODE = 0o640


class TakenError(Exception):
    """Another agent holds the folder."""

    def __init__(self, folder: Path, process: str) -> None:
        super().__init__(f"{folder}: held by process {process}")
        self.folder = folder
        self.process = process


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder while the context lasts; raises TakenError, or OSError if it cannot be written at all.

    The kernel lets go when the process ends, however it ends.
    """
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    descriptor = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, MODE)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            process = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
            raise TakenError(folder, process or "?") from None
        with suppress(OSError):  # a full disk: the lock holds all the same
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)
