"""The time, the chance and the record of one simulation: all that outlives the agent's runs."""

from __future__ import annotations

import heapq
import random
from collections import deque
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND = 1_000_000_000  # nanoseconds
BEGINNING = 1_795_000_000 * SECOND  # UTC at the beginning, nanoseconds since 1970
TAIL = 4000  # lines of the trace that are remembered


class Dead(SystemExit):
    """The agent's process is gone: asyncio lets this one through, whatever it interrupts."""


class Universe:
    """What happens is a heap of events; whoever waits lets it go on to the next. Times are true nanoseconds."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.now = 0
        self.life = 0  # counts the runs of the agent; what belongs to an earlier one never happens
        self.dying = False  # the agent is gone; what its stack still does on the way out is nothing
        self.faults: list[str] = []  # what must never be, seen on the way
        self.tail: deque[str] = deque(maxlen=TAIL)
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0
        self._hash = blake2b(digest_size=16)

    def chance(self, of: str) -> random.Random:
        """Return chance of its own for one part: no other part's use of chance changes it."""
        return random.Random(f"{self.seed}/{of}")

    @property
    def utc(self) -> int:
        """The true time."""
        return BEGINNING + self.now

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Have something happen in a while."""
        self.at(self.now + round(seconds * SECOND), call)

    def at(self, when: int, call: Callable[[], None]) -> None:
        """Have something happen at a time; events of one time happen in the order in which they were made."""
        self._count += 1
        heapq.heappush(self._events, (when, self._count, call))

    def within_life(self, seconds: float, call: Callable[[], None]) -> None:
        """Have something happen in a while, unless the present run of the agent ends before."""
        life = self.life

        def unless_dead() -> None:
            if self.life == life and not self.dying:
                call()

        self.after(seconds, unless_dead)

    def go_on(self, until: int | None) -> None:
        """Let time pass until the next event, and let that happen; or until a time, if none comes before."""
        if self._events and (until is None or self._events[0][0] <= until):
            when, _, call = heapq.heappop(self._events)
            self.now = max(self.now, when)
            call()
        elif until is None:
            raise AssertionError("everything waits, and for nothing")
        else:
            self.now = max(self.now, until)

    def die(self) -> None:
        """End the agent's process here and now, in the midst of whatever it does."""
        self.dying = True
        raise Dead

    # --- the record ------------------------------------------------------------------------------------------------

    def tell(self, kind: str, detail: object = "") -> None:
        """Put a line into the trace."""
        if self.dying:
            return
        line = f"{self.now / SECOND:.9f} {kind} {detail}"
        self._hash.update(line.encode())
        self.tail.append(line)

    def fault(self, text: str) -> None:
        """Note what must never be."""
        if not self.dying:
            self.faults.append(f"at {self.now / SECOND:.3f} s: {text}")
            self.tell("FAULT", text)

    def digest(self) -> str:
        """Return the hash of the trace so far."""
        return self._hash.hexdigest()
