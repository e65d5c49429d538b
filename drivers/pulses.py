"""A contact that closes once for each of something: rain, a vehicle, a litre."""

import math
from abc import ABC, abstractmethod
from enum import Enum, auto
from typing import NamedTuple

from drivers.contract import Item
from drivers.debounce import Debounce, Level


class What(Enum):
    """What a contact did."""

    FOUND = auto()  # its first level, whichever that is
    PULSE = auto()  # it closed
    TOO_SOON = auto()  # it closed sooner after the last pulse than can be
    OPENED = auto()
    STUCK = auto()  # it has been closed for too long
    FREED = auto()  # it opened after all


class Event(NamedTuple):
    """One thing that a contact did."""

    what: What
    since: float  # seconds, when it happened
    lasted: float  # seconds: of OPENED, STUCK and FREED how long it was closed, of TOO_SOON since the last pulse


class Contact:
    """Debounces a contact and watches that it opens again. Times are seconds on any clock that never steps.

    A contact that is closed at the start has not closed: who knows when it did.
    """

    def __init__(self, *, hold: float, stuck_after: float, spacing: float = 0.0) -> None:
        """A level counts after `hold`; two pulses are at least `spacing` apart, from beginning to beginning."""
        self._debounce = Debounce(hold)
        self._stuck_after = stuck_after
        self._spacing = spacing
        self._open_seen = False
        self._last_pulse = -math.inf
        self.closed: Level | None = None  # the present closure
        self.stuck = False

    def edge(self, at: float, active: bool) -> list[Event]:
        """Take one edge, or the level at start."""
        return self._settled(self._debounce.edge(at, active))

    def due(self) -> float | None:
        """Return when `tick` wants to be called, or None."""
        stuck = None if self.closed is None or self.stuck else self.closed.since + self._stuck_after
        return min((due for due in (self._debounce.due(), stuck) if due is not None), default=None)

    def tick(self, at: float) -> list[Event]:
        """Let time pass: settle the contact; notice that it is stuck."""
        events = self._settled(self._debounce.tick(at))
        if self.closed is not None and not self.stuck and at >= self.closed.since + self._stuck_after:
            self.stuck = True
            events.append(Event(What.STUCK, at, self._stuck_after))
        return events

    def _settled(self, level: Level | None) -> list[Event]:
        if level is None:
            return []
        return self._closed(level) if level.active else self._opened(level)

    def _closed(self, level: Level) -> list[Event]:
        self.closed = level
        if not self._open_seen:
            return [Event(What.FOUND, level.since, 0.0)]
        apart = level.since - self._last_pulse
        if apart < self._spacing:
            return [Event(What.TOO_SOON, level.since, apart)]
        self._last_pulse = level.since
        return [Event(What.PULSE, level.since, 0.0)]

    def _opened(self, level: Level) -> list[Event]:
        was_closed, was_stuck = self.closed, self.stuck
        self.closed, self.stuck, self._open_seen = None, False, True
        if was_closed is None:
            return [Event(What.FOUND, level.since, 0.0)]
        return [Event(What.FREED if was_stuck else What.OPENED, level.since, level.since - was_closed.since)]


class Reporter(ABC):
    """An `EdgeDecoder` of one contact: tells what it does, and every so often, whatever it does, how things stand."""

    def __init__(self, contact: Contact, every: float) -> None:
        """`every` is in seconds."""
        self._contact = contact
        self._every = every
        self._reported = 0.0  # when, seconds

    @abstractmethod
    def _told(self, at: float, event: Event) -> list[Item]:
        """Return what to tell of something that the contact did."""

    @abstractmethod
    def _report(self, at: float) -> list[Item]:
        """Return how things stand; sets `_reported`."""

    def edge(self, at: float, active: bool) -> list[Item]:
        """Take one edge."""
        return [item for event in self._contact.edge(at, active) for item in self._told(at, event)]

    def due(self) -> float:
        """Return when `tick` wants to be called."""
        due, report = self._contact.due(), self._reported + self._every
        return report if due is None else min(due, report)

    def tick(self, at: float) -> list[Item]:
        """Settle the contact; notice that it is stuck; report if that is due."""
        items = [item for event in self._contact.tick(at) for item in self._told(at, event)]
        return items + self._report(at) if at >= self._reported + self._every else items
