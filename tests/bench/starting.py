"""How long a start takes with a million readings waiting, how much memory, and how fast they come off the card."""

from __future__ import annotations

import asyncio
import json
import logging
import math
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from time import perf_counter, process_time
from typing import TYPE_CHECKING, NamedTuple

from agent.readings import Stream
from tests.bench.cabinet import RATE, UPLINK, Cabinet, open_journal
from tests.bench.draining import drain
from tests.bench.figures import Measured

if TYPE_CHECKING:
    from collections.abc import Iterator

WAITING = 1_000_000  # readings
FEW = 10_000  # readings; what they take more than these is what a backlog takes
PER_COMMIT = 10 * RATE  # readings: one commit each 10 s
MIB = 1 << 20
DRAIN = "--drain"
NO_GROWTH = 2 * MIB  # what memory may differ by between two processes that hold the same


class _Start(NamedTuple):
    """What the process that started found."""

    seconds: float  # until the journal was open
    processor: float  # seconds of it
    waiting: int  # readings
    before: int  # bytes resident, all modules imported
    after: int  # bytes resident, the journal open
    drained: int  # bytes resident, all readings taken and marked done, if that was asked
    rate: float  # readings/s, read back from the card and marked done; 0 if that was not asked
    processor_rate: float  # readings a second of the processor's
    reading: float  # seconds that the yardstick took: to read the same files


def build(folder: Path) -> None:
    """Fill two journals as an agent does whose link is down."""
    for count in (FEW, WAITING):
        asyncio.run(_fill(folder / str(count), count))


async def _fill(folder: Path, count: int) -> None:
    journal = open_journal(folder)
    cabinet = Cabinet(journal.clock.boottime())
    appended = 0
    for frame in cabinet.frames():
        journal.append(Stream.TELEMETRY, frame)
        appended += len(frame)
        if appended % RATE == 0:
            journal.close_packs()  # a second is over
        if appended % PER_COMMIT == 0:
            await journal.commit()
        if appended >= count:
            break
    journal._young.close()  # killed: it does not stop in order
    journal._card.close()


def run(built: Path, folder: Path) -> Iterator[Measured]:
    """Start once after a power cut and once after a crash, each in a process of its own."""
    few = _started(built, FEW, folder / "few", crash=False)
    for crash, what in ((False, "after a power cut"), (True, "after a crash")):
        start = _started(built, WAITING, folder / what, crash=crash)
        case = f"1,000,000 waiting, {what}"
        yield Measured(f"{case}: ready in", start.seconds, "s", 1, yardstick="reading the files", measure=start.reading)
        yield Measured(f"{case}: of that on the processor", start.processor, "s")
        yield Measured(f"{case}: RSS before", start.before / MIB, "MiB")
        yield Measured(f"{case}: RSS when ready", start.after / MIB, "MiB")
        yield Measured(
            f"{case}: more RSS than for {FEW:,}",
            (start.after - few.after) / MIB,
            "MiB",
            at_most=math.inf if crash else NO_GROWTH / MIB,  # after a crash the young end is in memory, up to its limit
        )
        if not crash:
            yield Measured(f"{case}: RSS when drained", start.drained / MIB, "MiB")
            yield Measured("read back from the card", start.rate, "readings/s", at_least=500_000)
            yield Measured("read back from the card, by time on the processor", start.processor_rate, "readings/s")


def _started(built: Path, count: int, folder: Path, *, crash: bool) -> _Start:
    shutil.copytree(built / str(count) / "card", folder / "card")
    if crash:
        shutil.copytree(built / str(count) / "young", folder / "young")
    command = [sys.executable, "-m", __spec__.name, str(folder), *([] if crash else [DRAIN])]
    start = _Start(*json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    shutil.rmtree(folder)
    if start.waiting != count:
        message = f"{start.waiting} readings wait where {count} ought to"
        raise ValueError(message)
    return start


async def _start(folder: Path, *, drains: bool) -> _Start:
    before = _resident()
    began, worked = perf_counter(), process_time()
    journal = open_journal(folder)
    seconds, processor = perf_counter() - began, process_time() - worked
    after = _resident()
    waiting = journal.status().waiting[UPLINK][Stream.TELEMETRY.value]
    taken = await drain(journal) if drains else None
    drained = _resident()
    rates = (taken.rate, taken.processor_rate) if taken else (0.0, 0.0)
    return _Start(seconds, processor, waiting, before, after, drained, *rates, _reading(folder))


def _reading(folder: Path) -> float:
    began = perf_counter()
    for path in folder.rglob("*.*"):
        path.read_bytes()
    return perf_counter() - began


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    sys.stdout.write(json.dumps(asyncio.run(_start(Path(sys.argv[1]), drains=DRAIN in sys.argv))))
