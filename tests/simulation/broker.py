"""A broker with a memory of its own, at the far end of a bad line; behind it the city, which reads what arrives."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zlib import crc32

from agent.uplink.broker import LinkError, LinkFault, Papers, RefusedError
from tests.simulation.universe import SECOND

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from agent.uplink.broker import Incoming, Will
    from tests.simulation.city import City, Name
    from tests.simulation.universe import Universe


@dataclass
class SimulatedBroker:
    """Implements `agent.uplink.broker.Broker`; its attributes are its troubles."""

    universe: Universe
    city: City
    name: str = "broker"
    window: int = 20
    latency: float = 0.1  # seconds, the most there and the most back
    down: LinkFault | None = None  # why nobody gets through
    deaf: bool = False  # what is sent is lost, and nothing comes back
    refused: dict[str, int] = field(default_factory=dict)  # by topic: the reason code for what is published there
    lose_next: str = ""  # "before": the line breaks with the next message on it; "after": before its acknowledgement
    withhold_next: bool = False  # the next message is taken and never acknowledged
    link: SimulatedLink | None = None
    former: SimulatedLink | None = None  # the last one that there was
    probe: SimulatedLink | None = None  # of a client that only watches, under a name of its own

    def __post_init__(self) -> None:
        self.chance = self.universe.chance(self.name)

    @asynccontextmanager
    async def connect(self, will: Will | None) -> AsyncIterator[SimulatedLink]:
        """Open a link, which takes its time and may fail."""
        assert will is None or will.payload
        await self._reach()
        if self.former is not None:
            self.former.give_way()  # MQTT 5, section 3.1.4
        link = self.link = self.former = SimulatedLink(self)
        self.universe.tell("connected")
        try:
            yield link
        finally:
            link.hang_up()
            self.city.note_end(link.unanswered.values())

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[SimulatedLink]:
        """Open a link that is to show no more than that it is held."""
        await self._reach()
        link = self.probe = SimulatedLink(self)
        self.universe.tell("watched")
        try:
            yield link
        finally:
            link.hang_up()

    async def _reach(self) -> None:
        if self.down is LinkFault.TIMED_OUT:
            await asyncio.sleep(8.0)
        await asyncio.sleep(self.chance.uniform(0.001, 3 * self.latency))
        if self.down is not None:
            raise LinkError(self.down, "the line is down")

    def drop(self) -> None:
        """Break the lines that stand, if any."""
        for link in (self.link, self.probe):
            if link is not None:
                link.lose()


class SimulatedLink:
    """Implements `agent.uplink.broker.Link`. What is sent arrives in order, up to where the line broke."""

    def __init__(self, broker: SimulatedBroker) -> None:
        self.window = broker.window
        self.papers = Papers()
        self.lost: asyncio.Future[LinkError] = asyncio.get_running_loop().create_future()
        self._broker = broker
        self._universe = broker.universe
        self._waiting: dict[asyncio.Future[int], int] = {}
        self.unanswered: dict[int, tuple[str, bytes]] = {}  # topics and payloads of messages, by their number
        self._life = broker.universe.life
        self._closed = False
        self.left = False  # by the agent, in good order
        self._sent = 0
        self._arrived = 0
        self._deliverable: int | None = None  # how many messages arrive in all, once the line is broken
        self._busy_until = 0
        self._answers_at = 0

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
        """Send at least once."""
        assert content_type
        assert correlation is None  # nobody commands here
        assert retain or properties is not None
        if self._universe.dying:
            self._universe.die()
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self.lost.done():
            future.set_exception(self.lost.result())
            return future
        self._sent += 1
        number = self._sent
        self._waiting[future] = number
        self.unanswered[number] = (topic, payload)
        self._universe.tell("publish", f"{topic} {number} {crc32(payload):08x}")
        if len(self._waiting) > self.window:
            self._universe.fault(f"{len(self._waiting)} messages on the way, the broker takes {self.window}")
        broker = self._broker
        if broker.lose_next == "before":
            broker.lose_next = ""
            self._universe.within_life(0.0, self.lose_all)
            return future
        self._busy_until = max(self._busy_until, self._universe.now + self._delay())
        sent = self._universe.now
        self._universe.at(self._busy_until, lambda: self._arrive(number, topic, payload, sent, future))
        return future

    def _delay(self) -> int:
        return round(self._broker.chance.uniform(0.0005, self._broker.latency) * SECOND)

    def _arrive(self, number: int, topic: str, payload: bytes, sent: int, future: asyncio.Future[int]) -> None:
        broker = self._broker
        if broker.deaf:
            self.give_way()  # what is lost on a line holds up all that is behind it
        if self._deliverable is not None and number > self._deliverable:
            return
        self._arrived = number
        name = topic.rpartition("/")[2]
        code = broker.refused.get(name, 0)
        names = broker.city.names_in(topic, payload) if code else broker.city.take(topic, payload, sent)
        if self._universe.life != self._life or future not in self._waiting:
            return
        if broker.lose_next == "after":
            broker.lose_next = ""
            self.lose()
            return
        if broker.withhold_next and not code:
            broker.withhold_next = False
            return
        self._answers_at = max(self._answers_at, self._universe.now + self._delay())
        self._universe.at(self._answers_at, lambda: self._answer(future, code, names))

    def _answer(self, future: asyncio.Future[int], code: int, names: list[Name]) -> None:
        broker = self._broker
        if self._universe.life != self._life or future not in self._waiting or self._closed or broker.deaf:
            return
        number = self._waiting.pop(future)
        del self.unanswered[number]
        self._universe.tell("answer", f"{number} {code:#x}")
        if future.done():
            return
        if code:
            broker.city.note_refusal(names, code)
            future.set_exception(RefusedError(code, f"reason {code:#x}"))
        else:
            broker.city.ack(names)
            future.set_result(0)

    def subscribe(self, topic_filter: str, take: Callable[[Incoming], None]) -> asyncio.Future[int]:
        """Ask for commands: there are none here."""
        raise NotImplementedError((topic_filter, take))

    def wire_bytes(self) -> int:
        """Return nothing: no simulated line is metered."""
        return 0

    async def goodbye(self) -> None:
        """Disconnect in good order."""
        self.left = True
        self._universe.tell("goodbye")

    def lose_all(self) -> None:
        """Break the line; nothing that is on it arrives."""
        self._deliverable = self._arrived
        self.lose()

    def lose(self) -> None:
        """Break the line: what is on it arrives, or only a part."""
        self.hang_up()
        error = LinkError(LinkFault.CLOSED, "the line broke")
        if self.lost.done():
            return
        self._universe.tell("line lost")
        self.lost.set_result(error)
        for future in self._waiting:
            if not future.done():
                future.set_exception(error)
        self._waiting.clear()

    def give_way(self) -> None:
        """Deliver nothing more of it."""
        self._deliverable = self._arrived

    def hang_up(self) -> None:
        """Have no more of it, at this end; also what a kill does."""
        self._closed = True
        if self._broker.link is self:
            self._broker.link = None
        if self._broker.probe is self:
            self._broker.probe = None
        if self._deliverable is None:
            self._deliverable = self._broker.chance.randint(self._arrived, self._sent)
