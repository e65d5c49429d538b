"""When what happened on a rig: what the rig did, what the agent logged, what the city received."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


class Lane(StrEnum):
    """Who did it."""

    RIG = "rig"
    AGENT = "agent"
    CITY = "city"


@dataclass(slots=True)
class Event:
    """One thing that happened; `start` and `stop` are seconds since the timeline began."""

    lane: Lane
    start: float
    stop: float
    text: str


@dataclass(slots=True)
class Timeline:
    """All that happened during one test. `began` is in seconds since 1970."""

    began: float = field(default_factory=time.time)
    events: list[Event] = field(default_factory=list)

    def note(self, lane: Lane, text: str, at: float | None = None) -> None:
        """Note what has just happened, or did at an instant (seconds since 1970)."""
        moment = (time.time() if at is None else at) - self.began
        self.events.append(Event(lane, moment, moment, text))

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Note what the rig does, for as long as it takes."""
        event = Event(Lane.RIG, time.time() - self.began, 0.0, text)
        self.events.append(event)
        try:
            yield
        finally:
            event.stop = time.time() - self.began

    def plain(self) -> list[dict[str, Any]]:
        """Return the events in the order of time, as values that JSON has."""
        # A lane's plain value: what xdist sends between processes may be of no other type than JSON's own.
        return [
            {"lane": event.lane.value, "start": event.start, "stop": event.stop, "text": event.text}
            for event in sorted(self.events, key=lambda event: event.start)
        ]
