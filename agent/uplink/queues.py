"""What waits to be published, topic by topic, each in its order."""

from __future__ import annotations

from abc import ABC, abstractmethod
from bisect import insort
from typing import TYPE_CHECKING, NamedTuple

from agent.journal.pack import Lane
from agent.uplink.refusals import Pace, Remedy, remedy

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.journal.pack import Outbox, Pack
    from agent.seams import Random
    from agent.uplink.broker import RefusedError

SENML = "application/senml+json"  # RFC 8428, section 12.3
JSON = "application/json"
_CONTENT_TYPES = {Lane.ANCHORS: JSON, Lane.LEDGER: JSON}


class Place(NamedTuple):
    """A pack, and its place in the order in which the outbox gave its lane."""

    place: int
    pack: Pack


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

    def __init__(self, random: Random) -> None:
        self.pace = Pace(random)
        self.in_flight = 0
        self.attempts = 0

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
        if remedy(refusal) is Remedy.SET_ASIDE:
            return True
        self._put_back(message)
        return self.pace.refused(refusal, message.attempt, self.attempts, now)

    def begin_anew(self) -> None:
        """There is a new connection, on which everything undone is sent again."""
        self.in_flight = 0
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
        self, lane: Lane, outbox: Outbox, encode: Callable[[Pack], bytes | None], live_within: float, random: Random
    ) -> None:
        super().__init__(random)
        self.urgent = lane is Lane.ALARMS
        self._lane = lane
        self._outbox = outbox
        self._encode = encode
        self._live_within = live_within
        self._places = 0
        self._waiting: list[Place] = []  # taken from the outbox and to be sent (again), in order
        self._held = False  # the first of them cannot be sent for now

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
            if self._lane is Lane.LIVE and self._outbox.age(source.pack) > self._live_within:
                self._outbox.demote(source.pack)
                continue
            payload = self._encode(source.pack)
            if payload is None:
                self._held = True
                self._waiting.insert(0, source)
                return None
            return Message(self._count(), self._lane, payload, _CONTENT_TYPES.get(self._lane, SENML), source=source)
        return None

    def delivered(self, message: Message) -> None:
        """The broker has it."""
        super().delivered(message)
        if message.source is not None:
            self._outbox.done(message.source.pack)

    def begin_anew(self) -> None:
        """There is a new connection, on which everything undone is sent again: the outbox has been rewound."""
        super().begin_anew()
        self._waiting.clear()
        self._held = False

    def _next(self) -> Place | None:
        if self._waiting:
            return self._waiting.pop(0)
        pack = self._outbox.next(self._lane)
        if pack is None:
            return None
        self._places += 1
        return Place(self._places, pack)

    def _put_back(self, message: Message) -> None:
        if message.source is not None:
            insort(self._waiting, message.source, key=lambda waiting: waiting.place)


class Document(NamedTuple):
    """Something about the gateway itself, of which only the last state counts."""

    payload: bytes
    retain: bool


class DocumentQueue(Queue):
    """Documents by name; retained ones are published again on each connection, which may be to an empty broker."""

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
