"""The breadcrumb: which device the process is busy with, in memory that outlives it, and how the last one ended.

A driver that never gives the loop back (an endless regular expression, a call that blocks) stops the whole agent, and
systemd's watchdog then ends it. What is left here tells the next process which device it was.
"""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CRUMB = "crumb"
ENDED = "ended"
WATCHDOG = "watchdog"  # systemd.exec(5), $SERVICE_RESULT
SIZE = 64  # bytes


class MappedCrumb:
    """Implements `agent.seams.Crumb` in a file on tmpfs: a store costs no system call, so it can precede every step."""

    def __init__(self, folder: Path) -> None:
        """Make the file; raises OSError."""
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / CRUMB).open("w+b") as file:
            file.truncate(SIZE)
            self._memory = mmap.mmap(file.fileno(), SIZE)

    def put(self, device: bytes) -> None:
        """Leave the id of a device behind, cut to what there is room for."""
        self._memory[:] = device[:SIZE].ljust(SIZE, b"\0")


class NoCrumb:
    """Implements `agent.seams.Crumb` where there is no room for the file."""

    def put(self, device: bytes) -> None:
        """Leave nothing."""


def note_end(folder: Path, result: str) -> None:
    """Write down how systemd says the agent ended; raises OSError."""
    (folder / ENDED).write_text(result, "ascii", errors="replace")


def culprit(folder: Path) -> str:
    """Return the id of the device with which the last process held itself up until its watchdog ended it.

    Empty if it ended otherwise: a process that is killed for other reasons is now and then busy with a device, too.
    """
    try:
        ended = (folder / ENDED).read_text("ascii", errors="replace")
        crumb = (folder / CRUMB).read_bytes()
    except OSError:
        return ""
    return crumb.rstrip(b"\0").decode(errors="replace") if ended == WATCHDOG else ""
