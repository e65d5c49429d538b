"""Debouncing of a contact: a level counts once it has lasted, and it counts from when it began."""

from typing import NamedTuple


class Level(NamedTuple):
    """A level that has lasted."""

    since: float  # seconds, when it began
    active: bool


class Debounce:
    """Confirms a level when it has lasted `hold` seconds. Times are seconds on any clock that never steps."""

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self._confirmed: Level | None = None
        self._next: Level | None = None  # the level that is not yet confirmed

    def edge(self, at: float, active: bool) -> Level | None:
        """Take an edge, or the first level; return the level that had already lasted when it came, if that is new."""
        lasted = self.tick(at)
        known = self._confirmed is not None and self._confirmed.active == active
        self._next = None if known else Level(at, active)
        return lasted

    def due(self) -> float | None:
        """Return when a level will have lasted, or None if nothing is open."""
        return None if self._next is None else self._next.since + self._hold

    def tick(self, at: float) -> Level | None:
        """Let time pass; return the level that has now lasted, if that is new."""
        due = self.due()
        if due is None or at < due:
            return None
        self._confirmed, self._next = self._next, None
        return self._confirmed
