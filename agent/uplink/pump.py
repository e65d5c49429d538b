"""One connection's worth of publishing: fills the window from the queues and takes in the broker's answers."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from agent.i18n import _
from agent.uplink.broker import NO_SUBSCRIBERS, LinkError, LinkFault, RefusedError
from agent.uplink.budget import LOOK_EVERY, MESSAGE
from agent.uplink.refusals import Remedy, remedy
from agent.uplink.window import Window

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agent.uplink.broker import Link
    from agent.uplink.budget import Budget
    from agent.uplink.queues import Message, Queue
    from agent.uplink.reports import Reports

ROUND_TRIPS = 20  # of the last messages: enough for a median


@dataclass(slots=True)
class Tally:
    """Messages since the agent started, documents included."""

    published: int = 0
    acked: int = 0
    unheard: int = 0  # of the acked: the broker said that nobody subscribes to the topic
    refused: Counter[str] = field(default_factory=Counter)  # by the broker's reason
    unanswered: int = 0  # gone with a connection, and sent anew over the next
    attempts: int = 0  # to connect
    failed: int = 0  # of these
    round_trips: deque[float] = field(default_factory=lambda: deque(maxlen=ROUND_TRIPS))  # seconds, of the last ones


class _Sent(NamedTuple):
    queue: Queue
    message: Message
    at: float


class Pump:
    """Publishes over one link until that is gone."""

    def __init__(
        self,
        link: Link,
        queues: Sequence[Queue],
        wake: asyncio.Event,
        *,
        topics: str,
        properties: Mapping[str, str],
        ack_within: float,
        tally: Tally,
        reports: Reports,
        budget: Budget | None = None,
    ) -> None:
        """Take the queues, most urgent first; `wake` is set whenever they may have something new.

        `topics` goes before the name of each message; `properties` go with packs.
        """
        self._link = link
        self._queues = queues
        self._wake = wake
        self._topics = topics
        self._properties = properties
        self._ack_within = ack_within
        self._tally = tally
        self._reports = reports
        self._budget = budget
        self._window: Window[_Sent] = Window(link.window)
        self._unanswered: list[Message] = []  # when the link went
        self._clock = asyncio.get_running_loop().time
        self._renewed = link.papers.renewed
        for event in (link.lost, self._renewed):
            event.add_done_callback(lambda _: wake.set())

    @property
    def in_flight(self) -> int:
        """How many messages are unanswered."""
        return len(self._window)

    def largest_unanswered(self) -> Message | None:
        """Return the largest pack that has not been answered, now or when the link went; None if there is none."""
        unanswered = [*self._unanswered, *(sent.message for sent in self._window)]
        packs = [message for message in unanswered if message.source is not None]
        return max(packs, key=lambda message: len(message.payload), default=None)

    async def run(self) -> None:
        """Publish until the link is to be made anew with renewed papers and nothing is on its way; alarms do not wait.

        Raises LinkError when the connection is gone, or when an acknowledgement does not come.
        """
        while True:
            self._wake.clear()
            self.settle()
            if self._clock() >= self._window.due(self._ack_within):
                text = _("the broker did not acknowledge a message within {seconds:g} s; connecting anew")
                raise LinkError(LinkFault.UNACKED, text.format(seconds=self._ack_within))
            ending = self._renewed.done()
            self._fill([queue for queue in self._queues if queue.urgent] if ending else self._queues)
            if ending and not self._window:
                return
            await self._next_event()

    async def run_dry(self, queues: Sequence[Queue]) -> None:
        """Wait for what is on its way, and for what still comes in these queues; raises LinkError."""
        while True:
            self._wake.clear()
            self.settle()
            self._fill(queues)
            if not self._window:
                return
            await self._wake.wait()

    def settle(self) -> None:
        """Take in the answers that came; raises LinkError if the connection is gone."""
        now = self._clock()
        # Not only those whose callbacks have run: nothing may be sent now that overtakes what is refused already.
        for future in self._window.answered():
            sent = self._window.remove(future, now)
            error = future.exception()
            if error is None:
                self._tally.round_trips.append(now - sent.at)
                self._on_acked(sent, future.result())
            elif isinstance(error, RefusedError):
                self._on_refused(sent, error, now)
            else:
                self._unanswered.append(sent.message)
                self._tally.unanswered += 1
        if self._link.lost.done():
            raise self._link.lost.result()

    async def _next_event(self) -> None:
        """Wait for an answer, a loss, something new, or the time at which something is due."""
        now = self._clock()
        pauses = [queue.pace.resume_at for queue in self._queues if queue.pace.refusal is not None]
        due = min([self._window.due(self._ack_within), *(pause for pause in pauses if pause > now)])
        if self._budget is not None:
            due = min(due, now + LOOK_EVERY)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(None if math.isinf(due) else due):
                await self._wake.wait()

    def _fill(self, queues: Sequence[Queue]) -> None:
        """Send what there is room for, the most urgent first."""
        now = self._clock()
        if self._budget is not None:
            self._budget.measured(self._link.wire_bytes())
        for queue in queues:
            while self._window.has_room(urgent=queue.urgent) and queue.ready(now) and self._can_afford(queue):
                message = queue.take()
                if message is None:
                    break
                self._send(_Sent(queue, message, now), now)

    def _can_afford(self, queue: Queue) -> bool:
        in_flight = self._window.bytes + MESSAGE * len(self._window)
        return self._budget is None or self._budget.allows(queue.expense, in_flight)

    def _send(self, sent: _Sent, now: float) -> None:
        message = sent.message
        if self._budget is not None:
            self._budget.sent(sent.queue.expense, len(message.payload))
        future = self._link.publish(
            message.topic or self._topics + message.name,
            message.payload,
            retain=message.retain,
            properties={} if message.source is None else self._properties,
            content_type=message.content_type,
            correlation=message.correlation,
        )
        self._tally.published += 1
        self._window.add(future, sent, len(message.payload), now)
        if future.done():  # refused before it leaves the house: what waits behind it must not overtake it
            self._on_answer(future)
            self.settle()
        else:
            future.add_done_callback(self._on_answer)

    def _on_answer(self, future: asyncio.Future[int]) -> None:
        future.exception()  # has now been seen, even if nobody settles this connection any more
        self._wake.set()

    def _on_acked(self, sent: _Sent, code: int) -> None:
        queue, message, _ = sent
        self._tally.acked += 1
        self._tally.unheard += code == NO_SUBSCRIBERS
        self._window.grow()
        refusal = queue.pace.refusal
        queue.delivered(message)
        if refusal is not None and queue.pace.refusal is None:
            self._reports.accepted(message.name, refusal)

    def _on_refused(self, sent: _Sent, refusal: RefusedError, now: float) -> None:
        queue, message, _ = sent
        self._tally.refused[refusal.name] += 1
        if queue.refused(message, refusal, now):
            if remedy(refusal) is Remedy.EASE:
                self._window.shrink()
            self._reports.refused(message.name, refusal)
