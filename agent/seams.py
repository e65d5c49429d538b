"""What the agent needs of the world, as narrow interfaces.

agent/app.py is handed the real ones, made in agent/host/machine.py; a simulation hands in others and runs the
same modules. Nothing else in the agent reaches for the time, the disk, the environment, a thread or a random number.
Timers are asyncio's own (a simulation brings its own loop); blocking work goes to the loop's default executor.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Sync(NamedTuple):
    """What is known of the wall clock's synchronisation."""

    source: str  # "kernel", "timesyncd" or "gnss"
    uncertainty: float  # seconds


class Clock(Protocol):
    """The clocks of the machine."""

    boot: str  # this boot's id, 32 hexadecimal digits

    def boottime(self) -> int:
        """Return nanoseconds since boot as the crystal counts them: never steps, and nobody slews it."""
        ...

    def utc(self) -> int:
        """Return the wall clock in nanoseconds since 1970, right or wrong."""
        ...

    def synchronised(self) -> Sync | None:
        """Return how the wall clock is known to be right; None means that it is not."""
        ...


class Random(Protocol):
    """Chance."""

    def uniform(self, low: float, high: float) -> float:
        """Return a number between two."""
        ...

    def bits(self, count: int) -> int:
        """Return so many random bits."""
        ...


class File(Protocol):
    """A file open for appending. Every method may raise OSError."""

    def append(self, data: bytes) -> None:
        """Write all of it; on a short write cut the file back to what it was, then raise."""
        ...

    def sync(self) -> None:
        """Return when all that was appended is on the medium."""
        ...

    def close(self) -> None:
        """Give the file back."""
        ...


class Disk(Protocol):
    """One folder of plain files. Every method may raise OSError. Names are plain names, never paths."""

    def names(self) -> list[str]:
        """Return the names of the files, sorted."""
        ...

    def read(self, name: str) -> bytes:
        """Return the whole file."""
        ...

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        ...

    def create(self, name: str) -> File:
        """Make an empty file, or empty the one that is there, and open it for appending."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file."""
        ...

    def replace(self, name: str, data: bytes) -> None:
        """Put a whole file in place at once, synced: the old one or the new one is there, never half of one."""
        ...

    def sync_folder(self) -> None:
        """Return when made and removed names are on the medium."""
        ...

    def free(self) -> int:
        """Return how many bytes are free for us."""
        ...


class Notifier(Protocol):
    """The service manager that started us, if any."""

    def notify(self, *states: str) -> None:
        """Send states such as `READY=1`; never raises."""
        ...

    def watchdog(self) -> float | None:
        """Return the seconds within which the manager wants to hear from us, or None."""
        ...


class Crumb(Protocol):
    """A memory that outlives the process, for what it was busy with."""

    def put(self, device: bytes) -> None:
        """Leave the id of a device behind; empty: busy with none. Cheap, and never raises."""
        ...
