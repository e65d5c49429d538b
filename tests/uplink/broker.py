"""A broker in memory that keeps an eye on the publisher's promises."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from agent.uplink.broker import LinkError, LinkFault, Papers, RefusedError
from agent.uplink.budget import MESSAGE
from agent.uplink.refusals import Remedy, remedy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from agent.uplink.broker import Incoming, Will


class Sent(NamedTuple):
    name: str
    payload: bytes
    at: float
    connection: int


HANDSHAKE = 5_000  # bytes
ACCEPT = 0
WITHHOLD = -1
LOSE = -2
# The reason code of a PUBACK, WITHHOLD, or LOSE (the connection goes instead), and after how many seconds.
Answer = tuple[int, float]


def accept(_: Sent) -> Answer:
    return ACCEPT, 0.01


@dataclass
class MemoryBroker:
    answer: Callable[[Sent], Answer] = accept
    window: int = 20
    down: LinkError | None = None  # connecting fails with it
    base: str = "roadside/v1/pkt-0042/"

    sent: list[Sent] = field(default_factory=list)
    acked: list[Sent] = field(default_factory=list)
    attempts: list[float] = field(default_factory=list)
    goodbyes: int = 0
    link: MemoryLink | None = None

    @asynccontextmanager
    async def connect(self, will: Will | None) -> AsyncIterator[MemoryLink]:
        assert will is None or b"lost" in will.payload
        self.attempts.append(asyncio.get_running_loop().time())
        if self.down is not None:
            raise self.down
        self.link = MemoryLink(self, len(self.attempts))
        try:
            yield self.link
        finally:
            self.link.lose()
            self.link = None

    def payloads(self, name: str) -> list[bytes]:
        return [sent.payload for sent in self.sent if sent.name == name]


class MemoryLink:
    def __init__(self, broker: MemoryBroker, number: int) -> None:
        self._loop = asyncio.get_running_loop()
        self.window = broker.window
        self.papers = Papers()
        self.lost: asyncio.Future[LinkError] = self._loop.create_future()
        self._broker = broker
        self._number = number
        self._waiting: dict[asyncio.Future[int], Sent] = {}
        self._refused: dict[str, set[int]] = defaultdict(set)  # what must go before anything behind it

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool,
        properties: Mapping[str, str],
        content_type: str,
        correlation: bytes | None = None,
    ) -> asyncio.Future[int]:
        assert topic.startswith(self._broker.base)
        name = topic.removeprefix(self._broker.base)
        assert content_type == (
            "application/senml+json" if name in {"live", "history", "alarms"} else "application/json"
        )
        assert bool(properties) != (retain or name in {"health", "did"})
        assert correlation is None or name == "did"
        future: asyncio.Future[int] = self._loop.create_future()
        if self.lost.done():
            future.set_exception(self.lost.result())
            return future
        sent = Sent(name, payload, self._loop.time(), self._number)
        self._broker.sent.append(sent)
        self._waiting[future] = sent
        assert len(self._waiting) <= (self.window if name == "alarms" else max(1, self.window - 1))
        if payload.isdigit():
            self._refused[name].discard(int(payload))
            assert all(refused > int(payload) for refused in self._refused[name]), "overtook what had been refused"
        code, delay = self._broker.answer(sent)
        if code != WITHHOLD:
            self._loop.call_later(delay, self.settle, future, code)
        return future

    def subscribe(self, topic_filter: str, take: Callable[[Incoming], None]) -> asyncio.Future[int]:
        assert topic_filter == self._broker.base + "do/+"
        self.take = take
        future: asyncio.Future[int] = self._loop.create_future()
        future.set_result(1)
        return future

    def wire_bytes(self) -> int:
        sent = [one for one in self._broker.sent if one.connection == self._number]
        return HANDSHAKE + sum(len(one.payload) + MESSAGE for one in sent)

    async def goodbye(self) -> None:
        assert not self._waiting
        self._broker.goodbyes += 1

    def settle(self, future: asyncio.Future[int], code: int) -> None:
        if future not in self._waiting:
            return
        if code == LOSE:
            self.lose()
            return
        sent = self._waiting.pop(future)
        if code < 0x80:
            self._broker.acked.append(sent)
            future.set_result(code)
            return
        refusal = RefusedError(code, f"reason {code:#x}")
        if sent.payload.isdigit() and remedy(refusal) not in {Remedy.SPLIT, Remedy.SET_ASIDE}:
            self._refused[sent.name].add(int(sent.payload))
        future.set_exception(refusal)

    def lose(self) -> None:
        error = LinkError(LinkFault.CLOSED, "the broker closed the connection")
        if not self.lost.done():
            self.lost.set_result(error)
        for future in self._waiting:
            future.set_exception(error)
        self._waiting.clear()
