"""How long an append keeps the loop: single readings, frames of three, and while the card stalls."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import threading
from time import perf_counter_ns, thread_time_ns
from typing import TYPE_CHECKING

from agent.config.model import Journal as Limits
from agent.host.disk import AppendingFile, Folder
from agent.readings import Stream
from tests.bench.cabinet import RATE, Cabinet, open_journal
from tests.bench.figures import Measured, percentile

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from agent.journal.journal import Journal
    from agent.readings import Reading

READINGS = 30_000
FULL = Limits().young_limit * 14 // 16  # bytes of a young end whose files have all been begun
STALL = 1.0  # seconds
WAITING = 10 * RATE  # readings that the commit takes along which stalls


class _StallingFile(AppendingFile):
    """A file whose sync does not come back for a second."""

    def __init__(self, path: Path, began: threading.Event) -> None:
        super().__init__(path)
        self._began = began

    def sync(self) -> None:
        self._began.set()
        threading.Event().wait(STALL)


class _StallingCard(Folder):
    """A card that stalls once it is told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.began = threading.Event()

    def create(self, name: str) -> AppendingFile:
        return _StallingFile(self.path / name, self.began)


def run(folder: Path) -> Iterator[Measured]:
    """Measure once, in a folder on tmpfs."""
    for size, what in ((1, "single readings"), (3, "frames of 3")):
        yield from asyncio.run(_append(folder / f"by-{size}", size, what))
    yield from asyncio.run(_stalled(folder / "stalled"))


async def _append(folder: Path, size: int, what: str) -> list[Measured]:
    journal = open_journal(folder)
    readings = Cabinet(journal.clock.boottime()).readings(READINGS)
    frames = [readings[at : at + size] for at in range(0, READINGS, size)]
    gc.collect()
    gc.freeze()  # a gateway does not hold so many readings: looking through them is no part of an append
    written = _size(journal, frames[0])
    await _fill(journal)
    began = thread_time_ns()
    spent = [_spent(journal, frame) for frame in frames]
    busy = (thread_time_ns() - began) / 1000
    await journal.close(10)
    each = sum(spent) / READINGS
    return [
        Measured(f"append, {what}", each, "us/reading", 15, yardstick="json.dumps", measure=_dumping(frames)),
        Measured(f"append, {what}: of that on the processor", busy / READINGS, "us/reading"),
        Measured(
            f"append, {what}: p50 of the calls",
            percentile(spent, 0.5),
            "us",
            yardstick="os.write",
            measure=_writing(folder, written, len(frames)),
        ),
        Measured(f"append, {what}: p99 of the calls", percentile(spent, 0.99), "us"),
        Measured(f"append, {what}: longest call", max(spent), "us"),
    ]


def _size(journal: Journal, frame: Sequence[Reading]) -> int:
    """Return how many bytes a frame takes in the young end; it is left there."""
    before = journal.status().young_bytes
    journal.append(Stream.TELEMETRY, frame)
    return journal.status().young_bytes - before


async def _fill(journal: Journal) -> None:
    """Fill the young end, as it is an hour after the start: from then on each new file takes the place of another."""
    cabinet = Cabinet(journal.clock.boottime())
    while journal.status().young_bytes < FULL:
        for _ in range(100):
            journal.append(Stream.TELEMETRY, cabinet.readings(RATE))
            journal.close_packs()  # a second is over
    await journal.commit()


def _spent(journal: Journal, frame: Sequence[Reading]) -> float:
    began = perf_counter_ns()
    with journal.together():  # as a sampler does
        journal.append(Stream.TELEMETRY, frame)
    return (perf_counter_ns() - began) / 1000


def _dumping(frames: Sequence[Sequence[Reading]]) -> float:
    """Return how many microseconds a reading json.dumps takes for the same fields."""
    fields = [
        [{"n": f"{one.device}/{one.quantity}", "u": one.unit, "v": one.value, "t": one.at / 1e9} for one in frame]
        for frame in frames
    ]
    began = perf_counter_ns()
    for each in fields:
        json.dumps(each)
    return (perf_counter_ns() - began) / 1000 / READINGS


def _writing(folder: Path, size: int, count: int) -> float:
    """Return how many microseconds one os.write of as many bytes takes: the median."""
    data = bytes(size)
    spent = []
    descriptor = os.open(folder / "yardstick", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        for _ in range(count):
            began = perf_counter_ns()
            os.write(descriptor, data)
            spent.append((perf_counter_ns() - began) / 1000)
    finally:
        os.close(descriptor)
    return percentile(spent, 0.5)


async def _stalled(folder: Path) -> list[Measured]:
    """Append as fast as a loop with other work would while a commit waits for the card."""
    card = _StallingCard(folder / "card")
    Folder(folder / "card").names()  # makes the folder
    journal = open_journal(folder, card=card)  # the first commit stalls the start: nobody waits for us yet
    card.began.clear()
    cabinet = Cabinet(journal.clock.boottime())
    journal.append(Stream.TELEMETRY, cabinet.readings(WAITING))
    commit = asyncio.create_task(journal.commit())
    await asyncio.to_thread(card.began.wait)
    spent, late = [], []
    frames = cabinet.frames()
    while not commit.done():
        frame = next(frames)
        slept = perf_counter_ns()
        await asyncio.sleep(0.001)
        late.append((perf_counter_ns() - slept) / 1000 - 1000)
        spent.append(_spent(journal, frame))
    await commit
    await journal.close(10)
    return [
        Measured("append while the card stalls for 1 s: p99", percentile(spent, 0.99), "us", 1000),
        Measured("append while the card stalls for 1 s: longest", max(spent), "us"),
        Measured("the loop late while the card stalls: p99", percentile(late, 0.99), "us"),
    ]
