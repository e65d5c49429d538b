"""The files in which the kernel tells of the machine."""

from __future__ import annotations

import os
import time
from pathlib import Path

from drivers.seams import Space

LARGEST = 65_536  # bytes of a file that are read


class SystemFolder:
    """Implements `drivers.seams.SystemFiles` below a folder, `/` on a gateway."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def read(self, path: str) -> str:
        """Return a small file; raises OSError."""
        with self._under(path).open("rb") as file:
            return file.read(LARGEST).decode(errors="replace")

    def find(self, pattern: str) -> list[str]:
        """Return the paths that fit a pattern as of a shell, sorted; perhaps none."""
        return sorted(f"/{found.relative_to(self._root)}" for found in self._root.glob(pattern.lstrip("/")))

    def age(self, path: str) -> float:
        """Return the seconds since a file was written; raises OSError."""
        return time.time() - self._under(path).stat().st_mtime

    def space(self, path: str) -> Space:
        """Return what is free on the disk that a folder is on; raises OSError."""
        status = os.statvfs(self._under(path))
        return Space(status.f_bavail * status.f_frsize, status.f_blocks * status.f_frsize)

    def _under(self, path: str) -> Path:
        return self._root / path.lstrip("/")
