"""The young end: what is new, written at once to a bounded run of files on tmpfs.

Once `write` has returned, a crash or SIGKILL of the agent loses nothing; a power cut takes the young end with it. A
file never goes on after a restart (its tail may be torn): each run begins a new one, and each begins with a whole
snapshot, so that the oldest file can be removed at any time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.journal.frames import Damage, Frame, Kind, frame, scan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.seams import Disk, File

FILES = 16  # the limit is divided among so many files
_NAME = re.compile(r"\d{10}\.young")


@dataclass(slots=True)
class _Written:
    number: int
    size: int


class Young:
    """Files of frames on a volatile disk; every method but `recover` may raise OSError."""

    def __init__(self, disk: Disk, limit: int) -> None:
        self._disk = disk
        self._limit = limit
        self._file: File | None = None
        self._written: list[_Written] = []
        self.damaged = 0  # bytes that could not be read at start

    @property
    def number(self) -> int:
        """The number of the file that is being written; 0 before the first."""
        return self._written[-1].number if self._written else 0

    @property
    def oldest(self) -> int:
        """The number of the oldest file that is still there."""
        return self._written[0].number if self._written else 0

    def recover(self) -> Iterator[tuple[int, Frame]]:
        """Yield the file number and frame of all that an earlier run wrote, in order."""
        for name in self._disk.names():
            if not _NAME.fullmatch(name):
                continue
            number = int(name.removesuffix(".young"))
            data = self._disk.read(name)
            self._written.append(_Written(number, len(data)))
            for found in scan(data):
                if isinstance(found, Damage):
                    self.damaged += found.size
                else:
                    yield number, found

    def write(self, data: bytes) -> None:
        """Append one frame, or several at once, to the file that is being written."""
        if self._file is None:
            message = "the young end was not begun"
            raise ValueError(message)
        self._file.append(data)
        self._written[-1].size += len(data)

    def begin(self, snapshot: bytes) -> None:
        """Begin a new file with a whole snapshot."""
        self.close()
        number, data = self.number + 1, frame(Kind.SNAPSHOT, snapshot)
        file = self._disk.create(_name(number))
        try:
            file.append(data)
        except OSError:
            file.close()
            self._disk.remove(_name(number))
            raise
        self._file = file
        self._written.append(_Written(number, len(data)))

    @property
    def begun(self) -> bool:
        """Whether there is a file to write to."""
        return self._file is not None

    @property
    def full(self) -> bool:
        """Whether a new file is due: this one has had its share, or there is none."""
        return not self.begun or self._written[-1].size >= self._limit // FILES

    @property
    def over(self) -> bool:
        """Whether the oldest file has to go."""
        return len(self._written) > 1 and sum(one.size for one in self._written) > self._limit - self._limit // FILES

    def drop_oldest(self) -> None:
        """Remove the oldest file; its number is `oldest` before the call."""
        oldest = self._written.pop(0)
        self._disk.remove(_name(oldest.number))

    def size(self) -> int:
        """Return how many bytes are written."""
        return sum(one.size for one in self._written)

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _name(number: int) -> str:
    return f"{number:010}.young"
