"""What waits to be published, topic by topic, each in its order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import insort
from typing import TYPE_CHECKING, NamedTuple

from agent.journal.pack import Lane
from agent.selection import count, halves
from agent.uplink.budget import Expense
from agent.uplink.refusals import Pace, Remedy, remedy

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.journal.pack import Outbox, Pack
    from agent.seams import Random
    from agent.uplink.broker import RefusedError
    from agent.uplink.sizes import Sizes

SENML = "application/senml+json"  # RFC 8428, section 12.3
JSON = "application/json"
_CONTENT_TYPES = {Lane.ANCHORS: JSON, Lane.LEDGER: JSON}
_EXPENSES = {Lane.ALARMS: Expense.URGENT, Lane.HISTORY: Expense.HISTORY}


class Place(NamedTuple):
    """A pack or a part of it, and its place in the order in which the outbox gave its lane."""

    place: int
    pack: Pack
    whole: Pack  # as the outbox gave it


class Message(NamedTuple):
    """What is published."""

    attempt: int  # counts what its queue sent
    name: str  # the last part of the topic
    payload: bytes
    content_type: str
    retain: bool = False
    source: Place | None = None
    topic: str = ""  # the whole of it, where it is not one of the gateway's own
    correlation: bytes | None = None


class Queue(ABC):
    """Messages for one topic or several, and what became of them on this connection."""

    urgent = False
    expense = Expense.TELEMETRY

    def __init__(self, random: Random) -> None:
        self.pace = Pace(random)
        self.in_flight = 0
        self.attempts = 0
        self.set_aside = 0  # on this connection: what the broker would not have

    def ready(self, now: float) -> bool:
        """Return whether `take` is worth a try."""
        return self.pace.allows(now, self.in_flight)

    @abstractmethod
    def take(self) -> Message | None:
        """Return what to send now, or None."""

    def delivered(self, message: Message) -> None:
        """The broker has it."""
        self.in_flight -= 1
        self.pace.accepted(message.attempt)

    def refused(self, message: Message, refusal: RefusedError, now: float) -> bool:
        """The broker does not want it; return whether that is news."""
        self.in_flight -= 1
        if remedy(refusal) in {Remedy.SPLIT, Remedy.SET_ASIDE}:
            self.set_aside += 1
            return True
        self._put_back(message)
        return self.pace.refused(refusal, message.attempt, self.attempts, now)

    def begin_anew(self) -> None:
        """There is a new connection, on which everything undone is sent again."""
        self.in_flight = self.set_aside = 0
        self.pace.begin_anew()

    @abstractmethod
    def _put_back(self, message: Message) -> None: ...

    def _count(self) -> int:
        self.in_flight += 1
        self.attempts += 1
        return self.attempts


class PackQueue(Queue):
    """One lane of the outbox."""

    def __init__(
        self,
        lane: Lane,
        outbox: Outbox,
        encode: Callable[[Pack], bytes | None],
        live_within: float,
        random: Random,
        sizes: Sizes,
    ) -> None:
        super().__init__(random)
        self.urgent = lane is Lane.ALARMS
        self.expense = _EXPENSES.get(lane, Expense.TELEMETRY)
        self._lane = lane
        self._outbox = outbox
        self._encode = encode
        self._live_within = live_within
        self._sizes = sizes
        self._places = 0
        self._waiting: list[Place] = []  # taken from the outbox and to be sent (again), in order
        self._held = False  # the first of them cannot be sent for now
        self._parts: dict[int, int] = {}  # by place: how many parts of a pack that was split are not delivered yet

    def ready(self, now: float) -> bool:
        """Return whether `take` is worth a try."""
        return not self._held and super().ready(now)

    def release(self) -> None:
        """What was held back may be sendable now."""
        self._held = False

    def take(self) -> Message | None:
        """Return the next pack as a message; stale telemetry leaves the live lane here, and goes to the end of history.

        Published at once as history, it would overtake what waits there, and the topic would be out of order.
        """
        while (source := self._next()) is not None:
            if self._stale(source):
                self._outbox.demote(source.whole)
                continue
            payload = self._encode(source.pack)
            if payload is None:
                self._held = True
                self._waiting.insert(0, source)
                return None
            if not self._sizes.fits(len(payload)) and self._split(source):
                continue
            return Message(self._count(), self._lane, payload, _CONTENT_TYPES.get(self._lane, SENML), source=source)
        return None

    def delivered(self, message: Message) -> None:
        """The broker has it."""
        super().delivered(message)
        self._sizes.accepted(len(message.payload))
        if message.source is None:
            return
        place, _, whole = message.source
        left = self._parts.pop(place, 1) - 1
        if left:
            self._parts[place] = left
        else:
            self._outbox.done(whole)

    def refused(self, message: Message, refusal: RefusedError, now: float) -> bool:
        """The broker does not want it; return whether that is news. Records that are too much at once go in parts."""
        if remedy(refusal) is Remedy.SPLIT and message.source is not None and self._split(message.source):
            self._sizes.refused(len(message.payload))
            self.in_flight -= 1
            return True
        return super().refused(message, refusal, now)

    def begin_anew(self) -> None:
        """There is a new connection, on which everything undone is sent again: the outbox has been rewound."""
        super().begin_anew()
        self._waiting.clear()
        self._parts.clear()
        self._held = False

    def _next(self) -> Place | None:
        if self._waiting:
            return self._waiting.pop(0)
        pack = self._outbox.next(self._lane)
        if pack is None:
            return None
        self._places += 1
        return Place(self._places, pack, pack)

    def _stale(self, source: Place) -> bool:
        """Return whether a pack must leave the live lane; one of which a part has gone there stays."""
        return (
            self._lane is Lane.LIVE
            and source.place not in self._parts
            and self._outbox.age(source.pack) > self._live_within
        )

    def _split(self, source: Place) -> bool:
        """Have two halves wait in place of a pack; False if there is but one record in it.

        The outbox is told when the last part is delivered: until then the whole pack comes again on a new connection.
        """
        place, pack, whole = source
        if count(pack) < 2:
            return False
        self._parts[place] = self._parts.get(place, 1) + 1
        for half in halves(pack):
            self._wait(Place(place, half, whole))
        return True

    def _wait(self, source: Place) -> None:
        insort(self._waiting, source, key=lambda waiting: (waiting.place, waiting.pack.first))

    def _put_back(self, message: Message) -> None:
        if message.source is not None:
            self._wait(message.source)


class Document(NamedTuple):
    """Something about the gateway itself, of which only the last state counts."""

    payload: bytes
    retain: bool


class DocumentQueue(Queue):
    """Documents by name; retained ones are published again on each connection, which may be to an empty broker."""

    expense = Expense.URGENT  # few: what a budget leaves of them, the publisher sees to

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self._retained: dict[str, Document] = {}
        self._waiting: dict[str, Document] = {}

    def put(self, name: str, document: Document) -> None:
        """Publish a document, in place of the one of that name that still waits."""
        self._waiting[name] = document
        if document.retain:
            self._retained[name] = document

    def waits(self, name: str) -> bool:
        """Return whether a document of that name is not on its way."""
        return name in self._waiting

    def take(self) -> Message | None:
        """Return the document that has waited longest."""
        if not self._waiting:
            return None
        name = next(iter(self._waiting))
        payload, retain = self._waiting.pop(name)
        return Message(self._count(), name, payload, JSON, retain=retain)

    def begin_anew(self) -> None:
        """There is a new connection: publish again what is retained."""
        super().begin_anew()
        self._waiting = self._retained | self._waiting

    def _put_back(self, message: Message) -> None:
        self._waiting.setdefault(message.name, Document(message.payload, message.retain))
