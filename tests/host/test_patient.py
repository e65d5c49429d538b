"""A card that does not answer at start is waited for within a bound, and straight from any other thread."""

import asyncio
import threading
import time

import pytest

from agent.host.disk import Folder
from agent.host.patient import Patient


class Stalled(Folder):
    """A folder whose calls return when it is let go."""

    def __init__(self, path):
        super().__init__(path)
        self.go = threading.Event()

    def names(self):
        self.go.wait(30)
        return super().names()


@pytest.fixture
def stalled(tmp_path):
    folder = Stalled(tmp_path)
    yield folder
    folder.go.set()


def test_the_loop_waits_for_all_calls_together_no_longer_than_its_patience(stalled):
    disk = Patient(stalled, patience=0.2)
    began = time.monotonic()
    for _ in range(5):
        with pytest.raises(TimeoutError, match="does not answer"):
            disk.names()

    assert time.monotonic() - began < 2
    assert issubclass(TimeoutError, OSError)


async def test_other_threads_wait_as_long_as_it_takes(stalled):
    disk = Patient(stalled, patience=0.05)
    names = asyncio.get_running_loop().run_in_executor(None, disk.names)
    with pytest.raises(TimeoutError):
        disk.names()
    assert not names.done()
    stalled.go.set()

    assert await names == []


def test_what_the_disk_says_itself_is_passed_on(tmp_path):
    disk = Patient(Folder(tmp_path))
    file = disk.create("one")
    file.append(b"data")
    file.sync()
    file.close()
    disk.replace("two", b"more")
    disk.sync_folder()

    assert (disk.names(), disk.read("one"), disk.size("two"), disk.free() > 0) == (["one", "two"], b"data", 4, True)
    disk.remove("one")
    with pytest.raises(FileNotFoundError):
        disk.read("one")
