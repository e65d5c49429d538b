"""When a commit is due: at once after an alarm, when something has waited, and once a minute for what is only known."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from agent.journal.status import Fault

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.journal.packing import OpenPack
    from agent.journal.state import State
    from agent.journal.status import Faults
    from agent.journal.stock import Stock
    from agent.seams import Clock

URGENT_GAP = 0.25  # seconds between two commits: the first alarm is written at once, one that flaps not each time
# Seconds within which progress and kept values reach the card although nothing else has to. What a power cut takes of
# progress is sent twice.
SNAPSHOT_EVERY = 60.0


class Due:
    """Keeps count of what the card has not got, and for how long."""

    def __init__(self, clock: Clock, state: State, stock: Stock, faults: Faults, interval: float) -> None:
        """`interval`: seconds for which anything may wait; in each there are two looks at what does."""
        self._clock = clock
        self._state = state
        self._stock = stock
        self._faults = faults
        self._pause = max(0.0, interval / 2 - URGENT_GAP)
        self._urgent = asyncio.Event()
        self._changed_at: int | None = None  # since when the card's snapshot is not up to date
        self._looked_at = dict(state.next)  # what came before this has been seen waiting for the card once

    async def wait(self) -> bool:
        """Wait until it is time to look at what waits; returns whether somebody hurries."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._urgent.wait(), self._pause)
        is_urgent = self._urgent.is_set()
        self._urgent.clear()
        return is_urgent

    def hurry(self) -> None:
        """Have a look at once, at which whatever waits is due."""
        self._urgent.set()

    def hurry_snapshot(self) -> None:
        """Have a commit at once, also if nothing is new to the card but what is kept, and what is delivered."""
        self._changed_at = self._clock.boottime() - int(SNAPSHOT_EVERY * 1e9)
        self._urgent.set()

    def changed(self) -> None:
        """Note that something is kept or delivered of which the card does not know."""
        if self._changed_at is None:
            self._changed_at = self._clock.boottime()

    def begin(self) -> int | None:
        """Note that a commit begins, which takes a whole snapshot along; returns what `failed` wants to have."""
        changed_at, self._changed_at = self._changed_at, None
        return changed_at

    def failed(self, changed_at: int | None) -> None:
        """Note that it has failed: the card is as far behind as it was."""
        self._changed_at = changed_at

    def looked(self) -> None:
        """Note that all that waits has been seen."""
        self._looked_at = dict(self._state.next)

    def has_waited(self, opened: Iterable[OpenPack]) -> bool:
        """Return whether anything from before the last look is neither delivered nor on the card."""
        looked_at = self._looked_at
        return any(pack.first < looked_at[pack.stream] for pack in opened) or any(
            pack.first < looked_at[pack.stream] for pack in self._stock.uncommitted()
        )

    def is_snapshot(self) -> bool:
        """Return whether it is time for what is kept and delivered, though no pack should wait."""
        if self._changed_at is None:
            return False
        # What the young end refuses is in memory alone: a crash must not take more of it than of telemetry.
        return self._faults.stands(Fault.YOUNG) or self._clock.boottime() - self._changed_at >= SNAPSHOT_EVERY * 1e9
