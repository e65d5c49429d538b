"""What holds for every test: nothing is left behind, no file descriptor, thread, process or task."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import inspect
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

GRACE = 2.0  # seconds for threads and processes that are on their way out
PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
TURNS = 20  # of the loop, in which it closes the connections that were let go

# A machine that has other work to do is no fault of ours: how long an example takes is not judged.
settings.register_profile("roadside", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("roadside")


@pytest.fixture(scope="session", autouse=True)
def orphans_are_ours() -> None:
    """Become the parent of processes whose own has ended, so that they are seen."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder that can hold unix sockets, whose paths are at most 107 bytes long: pytest's own are too deep."""
    with tempfile.TemporaryDirectory(prefix="roadside-") as folder:
        yield Path(folder)


@pytest.fixture(autouse=True)
def nothing_is_left_behind() -> Iterator[None]:
    before = _held()
    yield
    deadline = time.monotonic() + GRACE
    while left := {kind: _fresh(kind, before, now) for kind, now in _held().items() if _fresh(kind, before, now)}:
        assert time.monotonic() < deadline, f"left behind: {left}"
        gc.collect()
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def nor_a_task(request: pytest.FixtureRequest, nothing_is_left_behind: None) -> None:  # noqa: ARG001 - checked after this
    if inspect.iscoroutinefunction(request.function):
        request.getfixturevalue("no_task_is_left_behind")


@pytest.fixture
async def no_task_is_left_behind() -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    assert not left, f"left behind: {left}"
    for _ in range(TURNS):
        await asyncio.sleep(0)


def _held() -> dict[str, dict[int, str]]:
    """Return what this process holds, by kind and number."""
    return {
        "file descriptors": _descriptors(),
        # Those of an event loop's own executor end with the loop, which is closed after this.
        "threads": {
            thread.native_id or 0: thread.name
            for thread in threading.enumerate()
            if not thread.name.startswith("asyncio_")
        },
        "processes": _children(),
    }


def _fresh(kind: str, before: dict[str, dict[int, str]], now: dict[int, str]) -> dict[int, str]:
    return {number: what for number, what in now.items() if before[kind].get(number) != what}


def _descriptors() -> dict[int, str]:
    held = {}
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            held[int(descriptor)] = os.readlink(f"/proc/self/fd/{descriptor}")
        except FileNotFoundError:
            continue  # the one that listed the folder
    return held


def _children() -> dict[int, str]:
    children = {}
    for path in Path("/proc/self/task").glob("*/children"):
        for pid in _read(path).split():
            name, state = _process(_read(Path(f"/proc/{pid}/stat")))
            if name and state != "Z":  # an orphan that has ended, and that nobody waits for
                children[int(pid)] = name
    return children


def _read(path: Path) -> str:
    """Return what is in a file of a process or thread; nothing if it is gone meanwhile."""
    try:
        return path.read_text("utf-8")
    except OSError:
        return ""


def _process(stat: str) -> tuple[str, str]:
    """Return the name and the state in a /proc/PID/stat."""
    name, _, rest = stat.partition("(")[2].rpartition(")")
    return name, rest[1:2]
