"""What kind of file system a folder is on."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")  # proc(5): the fifth field is where it is mounted; behind " - " stands its type
IN_MEMORY = frozenset({"tmpfs", "ramfs", "devtmpfs"})


def file_system(folder: Path) -> str:
    """Return the type of the file system that a folder, there or not yet, is or would be on; "" if nobody knows."""
    found, longest = "", -1
    try:
        real = str(folder.resolve())
        lines = MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except (OSError, RuntimeError):  # a loop of links is no OSError to Python 3.11
        return ""
    for line in lines:
        mount, _dash, kind = line.partition(" - ")
        place = re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), mount.split()[4])
        # Of several at one place the last one is seen.
        if (real + "/").startswith(place.rstrip("/") + "/") and len(place) >= longest:
            found, longest = kind.split()[0], len(place)
    return found
