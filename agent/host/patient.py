"""A disk for which the event loop waits only so long: a card that stalls must not keep the agent from starting."""

from __future__ import annotations

import threading
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from agent.host.threads import DaemonThreads

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.seams import Disk, File

P = ParamSpec("P")
T = TypeVar("T")

PATIENCE = 10.0  # seconds, for all calls together


class Patient:
    """Implements `agent.seams.Disk` around another one.

    Calls from the thread that made it, which is the loop's, wait for PATIENCE in all; then they raise TimeoutError, at
    once as long as the stalled call has not returned. While the agent runs, the card is asked from other threads: their
    calls go straight through, and may take as long as they take.
    """

    def __init__(self, disk: Disk, patience: float = PATIENCE) -> None:
        self._disk = disk
        self._left = patience
        self._thread = threading.get_ident()

    def names(self) -> list[str]:
        """Return the names of the files, sorted."""
        return self.ask(self._disk.names)

    def read(self, name: str) -> bytes:
        """Return the whole file."""
        return self.ask(self._disk.read, name)

    def size(self, name: str) -> int:
        """Return the size of a file in bytes."""
        return self.ask(self._disk.size, name)

    def create(self, name: str) -> File:
        """Make an empty file, or empty the one that is there, and open it for appending."""
        return PatientFile(self, self.ask(self._disk.create, name))

    def remove(self, name: str) -> None:
        """Remove a file."""
        self.ask(self._disk.remove, name)

    def replace(self, name: str, data: bytes) -> None:
        """Put a whole file in place at once, synced: the old one or the new one is there, never half of one."""
        self.ask(self._disk.replace, name, data)

    def sync_folder(self) -> None:
        """Return when made and removed names are on the medium."""
        self.ask(self._disk.sync_folder)

    def free(self) -> int:
        """Return how many bytes are free for us."""
        return self.ask(self._disk.free)

    def ask(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Make a call; raises what it raises, and TimeoutError, an OSError, when patience is at an end."""
        if threading.get_ident() != self._thread:
            return call(*args, **kwargs)
        began = monotonic()
        threads = DaemonThreads(1)  # for this call alone: its thread may never come back
        answer = threads.submit(partial(call, *args, **kwargs))
        threads.shutdown(wait=False)
        try:
            return answer.result(max(self._left, 0.0))
        except TimeoutError:
            if answer.done():
                raise  # its own
            raise TimeoutError("the card does not answer; the agent goes on without it") from None
        finally:
            self._left -= monotonic() - began


class PatientFile:
    """Implements `agent.seams.File` around another one."""

    def __init__(self, disk: Patient, file: File) -> None:
        self._disk = disk
        self._file = file

    def append(self, data: bytes) -> None:
        """Write all of it; on a short write cut the file back to what it was, then raise."""
        self._disk.ask(self._file.append, data)

    def sync(self) -> None:
        """Return when all that was appended is on the medium."""
        self._disk.ask(self._file.sync)

    def close(self) -> None:
        """Give the file back; nobody waits for that."""
        self._file.close()
