"""Takes packs from the outbox to the broker, and forgets only what the broker acknowledged."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from agent.backoff import OF_MANY, Backoff
from agent.i18n import _
from agent.journal.pack import Lane
from agent.uplink.answers import DID, AnswerQueue
from agent.uplink.broker import LinkError, LinkFault, Will
from agent.uplink.pump import Pump, Tally
from agent.uplink.queues import JSON, Document, DocumentQueue, PackQueue, Queue
from agent.uplink.reports import Reports
from agent.uplink.route import Route
from agent.uplink.sizes import Sizes
from drivers.seams import LinkCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.config.model import Uplink
    from agent.journal.pack import Outbox, Pack
    from agent.logs import Log
    from agent.seams import Random
    from agent.uplink.broker import Broker, Holder, Incoming, Link, Papers
    from agent.uplink.budget import Account, Budget
    from agent.uplink.route import Backup
    from agent.uplink.x509 import Validity

FAREWELL_WITHIN = 1.5  # seconds to be acknowledged and to say goodbye when the agent stops
STATUS = "status"
OVER_A_MESSAGE = frozenset({LinkFault.CLOSED, LinkFault.UNACKED})  # how brokers meet what is too large, without a word


class Presence(StrEnum):
    """What the retained status of a gateway says."""

    ONLINE = "online"
    STOPPED = "stopped"  # the agent took its leave
    LOST = "lost"  # said by the broker, as the last will
    MOVED = "moved"  # to the other broker, in good order


class State(StrEnum):
    """What the publisher is at."""

    CONNECTING = "connecting"
    ONLINE = "online"
    WAITING = "waiting"  # before the next attempt
    STOPPED = "stopped"


class FirstBroker(NamedTuple):
    """The first broker of an uplink, while the second is in use."""

    broker: str  # host and port
    message: str  # why it is not in use, for people
    steady_for: float | None  # seconds for which it has held a connection by now; None if it does not


@dataclass(frozen=True, slots=True)
class UplinkStatus:
    """How an uplink is doing."""

    state: State
    lasted: float  # seconds in this state
    fault: LinkFault | None  # what keeps packs from going up; None if nothing is known to
    message: str  # the same for people
    reconnects: int  # connections after the first
    tally: Tally
    set_aside: int  # messages that the broker would not have, and that wait for another connection
    in_flight: int  # messages unanswered
    broker: str  # host and port of the one in use
    first: FirstBroker | None  # while the second is in use
    certificates: Mapping[Holder, Validity]  # of the last encrypted connection
    renewal: str  # why renewed secrets or certificates are not used yet, for people; "" if there are none
    budget: Account | None = None  # of a metered link


class Publisher:
    """One uplink's way up, for as long as the agent runs: one task calls `run`, and only that touches the broker."""

    def __init__(
        self,
        uplink: Uplink,
        gateway: str,
        outbox: Outbox,
        broker: Broker,
        *,
        backup: Backup | None = None,
        budget: Budget | None = None,
        encode: Callable[[Pack], bytes | None],
        status: Callable[[Presence], bytes],
        random: Random,
        log: Log,
    ) -> None:
        """Take the configuration and the seams.

        `encode` makes a pack's payload, or returns None while the pack must be held back (see `poke`); `status` makes
        the JSON of the retained status.
        """
        self._uplink = uplink
        self._topics = f"{uplink.prefix}/roadside/v1/{gateway}/".removeprefix("/")
        self._encoding = {"encoding": "deflate"} if uplink.compression == "deflate" else {}
        self._outbox = outbox
        self._route = Route(uplink, broker, backup, random)
        self._budget = budget
        self._status = status
        self._reports = Reports(log, uplink.id)
        self._backoff = Backoff(random, shortest=OF_MANY)
        self._hurry = Backoff(random)  # while an alarm waits: few gateways have one at the same moment
        self._documents = DocumentQueue(random)
        self._answers = AnswerQueue(random)
        self.on_incoming: Callable[[Incoming], None] | None = None  # set it before `run`: commands are listened to
        self._sizes = Sizes()
        self._lanes = [PackQueue(lane, outbox, encode, uplink.live_within, random, self._sizes) for lane in Lane]
        alarms, *others = self._lanes
        self._queues: tuple[Queue, ...] = (alarms, self._answers, self._documents, *others)
        self._tally = Tally()
        self._pump: Pump | None = None
        self._wake = asyncio.Event()
        self._documents_at: dict[str, float] = {}  # when the last one of each name was put, on a metered link
        self._state = State.CONNECTING
        self._state_since: float | None = None
        self._trouble: LinkError | None = None
        self._connections = 0
        self._papers: Papers | None = None  # of the last link
        outbox.on_new(self._wake.set)

    def publish_document(self, name: str, payload: bytes, *, retain: bool) -> None:
        """Publish a JSON document about the gateway; of each name only the last one counts.

        A retained one is published again on every connection; others are left out where a budget wants fewer.
        """
        if not (retain or self._has_time_for(name)):
            return
        self._documents.put(name, Document(payload, retain))
        self._wake.set()

    def _has_time_for(self, name: str) -> bool:
        if self._budget is None:
            return True
        now, last = self._now(), self._documents_at.get(name)
        if last is not None and now - last < self._budget.documents_every:
            return False
        self._documents_at[name] = now
        return True

    def answers_on(self, topic: str) -> bool:
        """Return whether a commander may have its answers there: nobody makes this gateway publish anywhere else."""
        own = self._topics + DID
        allowed = self._uplink.answers
        is_ours = topic == own or topic.startswith((own + "/", *((allowed + "/",) if allowed else ())))
        return is_ours and set(topic).isdisjoint("+#\0")

    def answer(self, payload: bytes, topic: str | None, correlation: bytes | None) -> None:
        """Answer a command on `did`, and where it wanted that."""
        self._answers.put(payload, "", correlation)
        if topic is not None and topic != self._topics + DID:
            self._answers.put(payload, topic, correlation)
        self._wake.set()

    def poke(self) -> None:
        """Try again to encode what was held back."""
        for lane in self._lanes:
            lane.release()
        self._wake.set()

    @property
    def online(self) -> bool:
        """Whether a broker is connected."""
        return self._state is State.ONLINE

    @property
    def condition(self) -> tuple[object, ...]:
        """What of `snapshot` is worth telling at once when it changes: cheap enough for a look each second."""
        papers, budget = self._papers, self._budget
        return (
            self._state,
            None if self._trouble is None else self._trouble.fault,
            any(queue.pace.refusal or queue.set_aside for queue in self._queues),
            self._connections,
            self._route.name,
            None if papers is None or papers.fault is None else str(papers.fault),
            None if budget is None else budget.account().state,
        )

    @property
    def certificates(self) -> Mapping[Holder, Validity]:
        """Those of the last encrypted connection."""
        return {} if self._papers is None else self._papers.certificates

    def snapshot(self) -> UplinkStatus:
        """Return how it is going; call it on the loop."""
        refusal = next((queue.pace.refusal for queue in self._queues if queue.pace.refusal), None)
        set_aside = sum(queue.set_aside for queue in self._queues)
        fault, message = None, ""
        if self._trouble is not None:
            fault, message = self._trouble.fault, str(self._trouble)
        elif refusal is not None:
            fault = LinkFault.REFUSED_PUBLISH
            message = _("the broker refuses what is published: {why}; check its access rules and quotas")
            message = message.format(why=refusal)
        elif set_aside:
            fault = LinkFault.REFUSED_PUBLISH
            message = _("{count} messages are too large for the broker, or of a form that it refuses; raise its limits")
            message = message.format(count=set_aside)
        return UplinkStatus(
            state=self._state,
            lasted=0.0 if self._state_since is None else self._now() - self._state_since,
            fault=fault,
            message=message,
            reconnects=max(0, self._connections - 1),
            tally=replace(self._tally, refused=Counter(self._tally.refused)),
            set_aside=set_aside,
            broker=self._route.name,
            first=self._first(),
            certificates=self.certificates,
            renewal="" if self._papers is None or self._papers.fault is None else str(self._papers.fault),
            in_flight=0 if self._pump is None else self._pump.in_flight,
            budget=None if self._budget is None else self._budget.account(),
        )

    def _first(self) -> FirstBroker | None:
        if self._route.away is None:
            return None
        return FirstBroker(self._route.first, str(self._route.away), self._route.steady_for(self._now()))

    def link(self) -> LinkCounts:
        """Return how well the broker is reached."""
        from statistics import median  # only here: few gateways ask, and it is a hundredth of every start

        tally = self._tally
        return LinkCounts(
            online=self.online,
            attempts=tally.attempts,
            failed=tally.failed,
            answered=tally.acked + tally.refused.total(),
            unanswered=tally.unanswered,
            latency=median(tally.round_trips) if tally.round_trips else None,
        )

    async def run(self) -> None:
        """Connect and publish until cancelled; then wait a moment for what is on its way, and take leave."""
        try:
            while True:
                error, held = await self._connect()
                if error is None:
                    continue
                self._route.failed(error, held, self._now())
                patience = 1.0 if self._budget is None else self._budget.patience
                wait = min(self._backoff.failed(held) * patience, self._route.longest_wait(self._now()))
                hurried = min(self._hurry.failed(held) * patience, wait)
                self._trouble = error
                self._enter(State.WAITING)
                self._reports.link_down(error, wait)
                await self._rest(wait, hurried)
        finally:
            self._enter(State.STOPPED)

    async def _rest(self, wait: float, hurried: float) -> None:
        """Wait before the next attempt, less long while an alarm wants to go up."""
        since = self._now()
        self._outbox.rewind()  # what was on its way waits; what is taken to see it comes again with the next link
        with suppress(TimeoutError):
            async with asyncio.timeout_at(since + wait) as end:
                while self._outbox.next(Lane.ALARMS) is None:
                    self._wake.clear()
                    await self._wake.wait()
                end.reschedule(max(since + hurried, self._now()))
                await asyncio.Event().wait()

    async def _connect(self) -> tuple[LinkError | None, float]:
        """Serve one connection; return why it ended, None if to be made anew at once, and the seconds it held."""
        self._enter(State.CONNECTING)
        up_since: float | None = None
        self._tally.attempts += 1
        try:
            if self._route.trying(self._now()):
                self._reports.moved(self._route.name)
            will = Will(self._topics + STATUS, self._status(Presence.LOST), JSON)
            async with self._route.broker.connect(will) as link:
                up_since = self._now()
                await self._metered(link)
            return None, self._now() - up_since
        except LinkError as error:
            self._tally.failed += up_since is None
            if up_since is None and self._budget is not None:
                self._budget.failed(error.fault)
            if self._pump is not None and error.fault in OVER_A_MESSAGE:
                self._suspect(self._pump)
            held = 0.0 if up_since is None else self._now() - up_since
            return error.with_traceback(None), held  # which would keep all alive that the connection had
        finally:
            self._tally.unanswered += 0 if self._pump is None else self._pump.in_flight
            self._pump = None

    async def _metered(self, link: Link) -> None:
        if self._budget is None:
            await self._serve(link)
            return
        self._budget.begin()
        try:
            await self._serve(link)
        finally:
            self._budget.measured(link.wire_bytes())

    def _suspect(self, pump: Pump) -> None:
        largest = pump.largest_unanswered()
        if largest is not None and largest.source is not None:
            self._sizes.lost(largest.source.pack, len(largest.payload))

    async def _serve(self, link: Link) -> None:
        self._outbox.rewind()  # makes history also of what came while there was no link
        for queue in self._queues:
            queue.begin_anew()
        self._documents.put(STATUS, Document(self._status(Presence.ONLINE), retain=True))
        self._pump = Pump(
            link,
            self._queues,
            self._wake,
            topics=self._topics,
            properties=self._encoding,
            ack_within=self._uplink.ack_within,
            tally=self._tally,
            reports=self._reports,
            budget=self._budget,
        )
        self._connections += 1
        self._papers = link.papers
        self._trouble = None
        self._enter(State.ONLINE)
        self._reports.link_up(link.window)
        if self.on_incoming is not None:
            subscribed = link.subscribe(self._topics + "do/+", self.on_incoming)
            subscribed.add_done_callback(self._reports.subscribed)
        try:
            async with self._route.watching_first(link):
                await self._pump.run()
        except asyncio.CancelledError:
            await self._take_leave(link, self._pump)
            raise
        if self._route.first_is_back:
            await self._move_back(link, self._pump)
            return
        self._reports.renewing()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_WITHIN):
                await link.goodbye()  # in good order: the last will is not published

    async def _take_leave(self, link: Link, pump: Pump) -> None:
        """Wait for what is on its way and what still comes, and say goodbye.

        What does not go up in time stays in the journal; without time for the status, the last will speaks for us.
        """
        self._documents.put(STATUS, Document(self._status(Presence.STOPPED), retain=True))
        with suppress(LinkError, TimeoutError):
            async with asyncio.timeout(FAREWELL_WITHIN):
                await pump.run_dry(self._queues)
                if not self._documents.waits(STATUS):
                    await link.goodbye()

    async def _move_back(self, link: Link, pump: Pump) -> None:
        """Say at the second broker that we are elsewhere, and go to the first."""
        self._documents.put(STATUS, Document(self._status(Presence.MOVED), retain=True))
        with suppress(LinkError, TimeoutError):
            async with asyncio.timeout(FAREWELL_WITHIN):
                await pump.run_dry([self._documents])
                await link.goodbye()
        self._route.go_back()
        self._reports.moved(self._route.name)

    def _enter(self, state: State) -> None:
        self._state = state
        self._state_since = self._now()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
