"""The young end: what is new, written at once to a bounded run of files on tmpfs.

Once `write` has returned, a crash or SIGKILL of the agent loses nothing; a power cut takes the young end with it. A
file never goes on after a restart (its tail may be torn): each run begins a new one, and each begins with a whole
snapshot, so that the oldest file can be removed at any time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.journal.frames import Damage, Frame, Kind, frame, scan
from agent.journal.numbered import NumberedFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from agent.seams import Disk, File

FILES = 16  # the limit is divided among so many files
# An empty file that vouches for the others: all that was numbered is in them. It is removed when one refuses, because
# to remove is what a full tmpfs never refuses.
WHOLE = ".whole"


@dataclass(slots=True)
class _Written:
    number: int
    size: int


class Young:
    """Files of frames on a volatile disk; every method but `recover` may raise OSError."""

    def __init__(self, disk: Disk, limit: int) -> None:
        self._disk = disk
        self._files = NumberedFiles(disk, "young")
        self._limit = limit
        self._share = limit // FILES
        self._file: File | None = None
        self._written: list[_Written] = []
        self.full = True  # whether a new file is due: this one has had its share, or there is none
        self.was_whole = False  # at start: no number was used of which nothing is known here
        self.damaged = 0  # bytes that could not be read at start
        self.unreadable: list[str] = []  # files that could not be, each with what the system said

    @property
    def number(self) -> int:
        """The number of the file that is being written; 0 while there is none."""
        return self._written[-1].number if self.begun else 0

    @property
    def oldest(self) -> int:
        """The number of the oldest file that is still there."""
        return self._written[0].number if self._written else 0

    def recover(self) -> Iterator[tuple[int, Frame]]:
        """Yield the file number and frame of all that an earlier run wrote, in order."""
        for number in self._files.numbers():
            written = _Written(number, 0)
            self._written.append(written)
            try:
                data = self._disk.read(self._files.name(number))
            except OSError as error:
                self.unreadable.append(f"{self._files.name(number)}: {error}")
                continue
            written.size = len(data)
            for found in scan(data):
                if isinstance(found, Damage):
                    self.damaged += found.size
                else:
                    yield number, found
        self.was_whole = not (self.unreadable or self._files.is_gone(WHOLE))

    def write(self, data: bytes) -> None:
        """Append one frame, or several at once, to the file that is being written."""
        if self._file is None:
            message = "the young end was not begun"
            raise ValueError(message)
        self._file.append(data)
        written = self._written[-1]
        written.size += len(data)
        self.full = written.size >= self._share

    def begin(self, snapshot: bytes) -> None:
        """Begin a new file with a whole snapshot."""
        self.close()
        data = frame(Kind.SNAPSHOT, snapshot)
        number, file = self._files.create_after(self._written[-1].number if self._written else 0)
        try:
            file.append(data)
        except OSError:
            file.close()
            self._disk.remove(self._files.name(number))
            raise
        self._file = file
        self._written.append(_Written(number, len(data)))
        self.full = len(data) >= self._share

    def vouch(self) -> None:
        """Tell the next start that all that was numbered is here."""
        if self._files.is_gone(WHOLE):
            self._disk.create(WHOLE).close()

    def retract(self) -> None:
        """Vouch no more."""
        if not self._files.is_gone(WHOLE):
            self._disk.remove(WHOLE)

    @property
    def begun(self) -> bool:
        """Whether there is a file to write to."""
        return self._file is not None

    @property
    def is_gone(self) -> bool:
        """Whether somebody has removed the file that is being written: writing to it goes on without an error."""
        return self._files.is_gone(self._files.name(self.number))

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self._written)

    @property
    def over(self) -> bool:
        """Whether the oldest file has to go."""
        return len(self._written) > 1 and sum(one.size for one in self._written) > self._limit - self._share

    def drop_oldest(self) -> None:
        """Remove the oldest file; its number is `oldest` before the call."""
        oldest = self._written.pop(0)
        self._disk.remove(self._files.name(oldest.number))

    def vanished(self) -> set[int]:
        """Return the numbers of the files that somebody has removed."""
        return {one.number for one in self._written if self._files.is_gone(self._files.name(one.number))}

    def forget(self, numbers: AbstractSet[int]) -> None:
        """Forget files that are gone."""
        self._written = [one for one in self._written if one.number not in numbers]

    def size(self) -> int:
        """Return how many bytes are written."""
        return sum(one.size for one in self._written)

    def close(self) -> None:
        """Give the file back."""
        if self._file is not None:
            self._file.close()
            self._file = None
            self.full = True
