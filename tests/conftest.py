"""What holds for every test: nothing is left behind, no file descriptor, thread, process or task."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

GRACE = 2.0  # seconds for threads and processes that are on their way out
TURNS = 20  # of the loop, in which it closes the connections that were let go


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
        for pid in path.read_text("ascii").split():
            try:
                children[int(pid)] = Path(f"/proc/{pid}/comm").read_text("utf-8").strip()
            except OSError:
                continue  # gone meanwhile
    return children
