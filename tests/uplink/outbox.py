"""An outbox in memory, and what a publisher needs besides."""

from __future__ import annotations

import asyncio
import random
import zlib
from bisect import insort
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from agent import logs
from agent.config.model import Uplink
from agent.journal.pack import Lane, Pack
from agent.readings import Stream
from agent.uplink.publisher import Presence, Publisher

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.uplink.broker import Broker
    from agent.uplink.budget import Budget
    from agent.uplink.route import Backup

STREAMS = {Lane.ALARMS: Stream.ALARM, Lane.ANCHORS: Stream.ANCHOR, Lane.LEDGER: Stream.LEDGER}
EPOCH = "00000000deadbeef"


def pack(lane: Lane, number: int, *, size: int = 10) -> Pack:
    body = b"x" * size
    return Pack(
        stream=STREAMS.get(lane, Stream.TELEMETRY),
        epoch=EPOCH,
        boot="0" * 32,
        base=0,
        first=number,
        last=number,
        body=body,
        size=len(body),
        adler=zlib.adler32(body),
    )


class MemoryOutbox:
    """Implements `agent.journal.pack.Outbox`, and objects to whoever uses it wrongly."""

    def __init__(self) -> None:
        self.made: dict[tuple[Stream, int], float] = {}
        self.finished: list[Pack] = []
        self._waiting: dict[Lane, list[Pack]] = defaultdict(list)
        self._taken: dict[tuple[Stream, int], tuple[Lane, Pack]] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._last: dict[Stream, int] = defaultdict(int)

    def put(self, lane: Lane, *, size: int = 10, age: float = 0.0) -> Pack:
        """Add a pack; telemetry that is put into history must come before any that is put into the live lane."""
        stream = STREAMS.get(lane, Stream.TELEMETRY)
        self._last[stream] += 1
        made = pack(lane, self._last[stream], size=size)
        self.made[stream, made.first] = asyncio.get_running_loop().time() - age
        self._waiting[lane].append(made)
        for callback in self._callbacks:
            callback()
        return made

    def unfinished(self) -> int:
        return sum(map(len, self._waiting.values())) + len(self._taken)

    def next(self, lane: Lane) -> Pack | None:
        if not self._waiting[lane]:
            return None
        taken = self._waiting[lane].pop(0)
        self._taken[taken.stream, taken.first] = lane, taken
        return taken

    def done(self, pack: Pack) -> None:
        del self._taken[pack.stream, pack.first]
        self.finished.append(pack)

    def rewind(self) -> None:
        for lane, taken in self._taken.values():
            self._give_back(lane, taken)
        self._taken.clear()
        for live in self._waiting.pop(Lane.LIVE, []):
            self._give_back(Lane.HISTORY, live)

    def demote(self, pack: Pack) -> None:
        lane, _ = self._taken.pop((pack.stream, pack.first))
        assert lane is Lane.LIVE
        self._give_back(Lane.HISTORY, pack)

    def age(self, pack: Pack) -> float:
        return asyncio.get_running_loop().time() - self.made[pack.stream, pack.first]

    def on_new(self, callback: Callable[[], None]) -> None:
        self._callbacks.append(callback)

    def _give_back(self, lane: Lane, given: Pack) -> None:
        insort(self._waiting[lane], given, key=lambda waiting: waiting.first)


class Dice:
    """Chance that is the same each time; that of the default begins with small numbers, and so with short waits."""

    def __init__(self, seed: int = 112_983) -> None:
        self._random = random.Random(seed)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def bits(self, count: int) -> int:
        return self._random.getrandbits(count)


def uplink(url: str = "mqtt://127.0.0.1:1883", **settings: Any) -> Uplink:
    return Uplink(**{"id": "city", "url": url, "client_id": "pkt-0042", "ack_within": 2.0} | settings)


def number(pack: Pack) -> bytes:
    return f"{pack.first}".encode()


def publisher(
    configured: Uplink,
    outbox: MemoryOutbox,
    broker: Broker,
    encode: Callable[[Pack], bytes | None] = number,
    backup: Backup | None = None,
    budget: Budget | None = None,
) -> Publisher:
    return Publisher(
        configured,
        "pkt-0042",
        outbox,
        broker,
        backup=backup,
        budget=budget,
        encode=encode,
        status=lambda presence: f'{{"state":"{presence}"}}'.encode(),
        random=Dice(),
        log=logs.get("uplink"),
    )


__all__ = ["Dice", "MemoryOutbox", "Presence", "number", "pack", "publisher", "uplink"]
