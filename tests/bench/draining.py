"""How fast a backlog is read back and marked done, and how small its readings are when deflated."""

from __future__ import annotations

import asyncio
from time import perf_counter, process_time
from typing import TYPE_CHECKING

from agent.journal.pack import Lane
from agent.readings import Stream
from tests.bench.cabinet import RATE, UPLINK, Cabinet, open_journal
from tests.bench.figures import Measured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.journal.journal import Journal

READINGS = 100_000
FULL = 100  # readings; a pack that reached its limit
IN_FLIGHT = 20  # packs that wait for their acknowledgement, as the window of an uplink has it


def run(folder: Path) -> Iterator[Measured]:
    """Measure once, in a folder on tmpfs."""
    for size, what in ((FULL, f"{FULL} a pack"), (RATE, f"{RATE} a pack")):
        taken = asyncio.run(_from_memory(folder / f"memory-{size}", size))
        yield Measured(f"read back from memory, {what}", taken.rate, "readings/s", at_least=500_000)
        yield Measured(
            f"deflated body, {what}",
            taken.deflated / taken.readings,
            "B/reading",
            yardstick="as JSON",
            measure=taken.inflated / taken.readings,
        )


async def _from_memory(folder: Path, size: int) -> Taken:
    journal = open_journal(folder)
    readings = Cabinet(journal.clock.boottime()).readings(READINGS)
    for at in range(0, READINGS, size):
        journal.append(Stream.TELEMETRY, readings[at : at + size])
        journal.close_packs()
    taken = await drain(journal)
    await journal.close(10)
    return taken


class Taken:
    """What an uplink took out of a journal."""

    def __init__(self) -> None:
        self.readings = 0
        self.deflated = 0  # bytes
        self.inflated = 0  # bytes
        self.seconds = 0.0
        self.processor = 0.0  # seconds of it, all threads together

    @property
    def rate(self) -> float:
        """Readings a second."""
        return self.readings / self.seconds

    @property
    def processor_rate(self) -> float:
        """Readings a second of the processor's."""
        return self.readings / self.processor


async def drain(journal: Journal) -> Taken:
    """Take all telemetry that waits, a window of packs in flight, and mark it done."""
    outbox = journal.outbox(UPLINK)
    new = asyncio.Event()
    outbox.on_new(new.set)
    taken = Taken()
    waiting = journal.status().waiting[UPLINK][Stream.TELEMETRY.value]
    in_flight = []
    began, worked = perf_counter(), process_time()
    while taken.readings < waiting:
        pack = outbox.next(Lane.HISTORY)
        if pack is None:  # it comes from the card
            await new.wait()
            new.clear()
            continue
        taken.readings += pack.last - pack.first + 1
        taken.deflated += len(pack.body)
        taken.inflated += pack.size
        in_flight.append(pack)
        if len(in_flight) >= IN_FLIGHT or taken.readings >= waiting:
            for one in in_flight:
                outbox.done(one)
            in_flight.clear()
            await asyncio.sleep(0)
    taken.seconds, taken.processor = perf_counter() - began, process_time() - worked
    return taken
