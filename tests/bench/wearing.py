"""What reaches the card: bytes and syncs through ten minutes of readings, the link down and up."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.host.disk import AppendingFile, Folder
from agent.journal.pack import Lane
from agent.readings import Stream
from agent.timekeeper import EVERY, KEPT, SECOND
from tests.bench.cabinet import RATE, UPLINK, Cabinet, open_journal
from tests.bench.compressed import CompressedClock, CompressedLoop
from tests.bench.figures import Measured

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.journal.journal import Journal
    from agent.journal.pack import Pack

MINUTES = 10
READINGS = MINUTES * 60 * RATE
ANSWER_AFTER = 0.05  # seconds until the broker acknowledges
PAGE = 4096  # bytes; what a file system writes of a file at the least

_LANES = (Lane.ANCHORS, Lane.LEDGER, Lane.LIVE, Lane.HISTORY)


@dataclass(slots=True)
class _Count:
    """What was handed to the card."""

    bytes: int = 0
    pages: int = 0
    syncs: int = 0


class _CountingFile(AppendingFile):
    """A file that counts what it is handed, and which pages each sync finds changed."""

    def __init__(self, path: Path, count: _Count) -> None:
        super().__init__(path)
        self._count = count
        self._synced = self._end = 0

    def append(self, data: bytes) -> None:
        super().append(data)
        self._end += len(data)
        self._count.bytes += len(data)

    def sync(self) -> None:
        super().sync()
        self._count.pages += -(-self._end // PAGE) - self._synced // PAGE
        self._count.syncs += 1
        self._synced = self._end


class _CountingCard(Folder):
    """A card that counts what its files are handed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.count = _Count()

    def create(self, name: str) -> AppendingFile:
        if not name.endswith(".segment"):
            return super().create(name)  # room taken ahead of need: once in the life of a card
        self.names()  # makes the folder
        return _CountingFile(self.path / name, self.count)


def run(folder: Path) -> Iterator[Measured]:
    """Simulate both once."""
    down, commits = _simulate(folder / "down", up=False)
    yield Measured("card, link down: bytes", down.bytes / READINGS, "B/reading", 30)
    yield Measured("card, link down: in pages of 4 KiB", down.pages * PAGE / READINGS, "B/reading")
    yield Measured("card, link down: syncs a commit", down.syncs / commits, "")
    yield Measured("card, link down: syncs a minute", down.syncs / MINUTES, "")
    for anchors in (0, KEPT):
        up, _ = _simulate(folder / f"up-{anchors}", up=True, anchors=anchors)
        what = f"card, link up, {anchors} anchors kept"
        yield Measured(f"{what}: bytes", up.bytes / READINGS, "B/reading", 2)
        yield Measured(f"{what}: in pages of 4 KiB", up.pages * PAGE / READINGS, "B/reading")
        yield Measured(f"{what}: syncs a minute", up.syncs / MINUTES, "")


def _simulate(folder: Path, *, up: bool, anchors: int = 0) -> tuple[_Count, int]:
    card = _CountingCard(folder / "card")
    with asyncio.Runner(loop_factory=CompressedLoop) as runner:
        loop = runner.get_loop()
        commits = runner.run(_ten_minutes(folder, card, CompressedClock(loop.time), up=up, anchors=anchors))
    return card.count, commits


async def _ten_minutes(folder: Path, card: _CountingCard, clock: CompressedClock, *, up: bool, anchors: int) -> int:
    journal = open_journal(folder, card=card, clock=clock)
    chance = random.Random(1)
    at = clock.boottime() - anchors * EVERY
    rows = [[clock.boot, at + n * EVERY, clock.utc() + chance.randrange(SECOND), 0.1, "kernel"] for n in range(anchors)]
    journal.keep("anchors", rows)  # as the agent does: the snapshot of each commit carries them
    committing = asyncio.create_task(journal.run())
    if up:
        _acknowledge(journal)
    cabinet = Cabinet(clock.boottime())
    count = 0
    for frame in cabinet.frames():
        journal.append(Stream.TELEMETRY, frame)
        count += len(frame)
        if count >= READINGS:
            break
        await asyncio.sleep(len(frame) / RATE)
    committing.cancel()
    return journal.status().commits


def _acknowledge(journal: Journal) -> None:
    """Take whatever waits as soon as it does, and acknowledge it a little later."""
    outbox = journal.outbox(UPLINK)
    loop = asyncio.get_running_loop()

    def take() -> None:
        for lane in _LANES:
            while (pack := outbox.next(lane)) is not None:
                loop.call_later(ANSWER_AFTER, _done, pack)

    def _done(pack: Pack) -> None:
        outbox.done(pack)

    outbox.on_new(take)
