"""Maintenance: while somebody works at a device, what it says is marked as a test. It ends by itself.

An end is kept as a boottime: it holds across restarts of the agent, and a restart of the machine ends every test. A
test that ends too early costs a false alarm, one that ends too late a true one.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from agent.journal.journal import Journal
    from agent.sampler.pipeline import Pipeline
    from agent.seams import Clock

KEPT = "test"
SECOND = 1_000_000_000


class Maintenance:
    """Which devices are being tested, and until when."""

    def __init__(self, pipelines: Mapping[str, Pipeline], journal: Journal, clock: Clock) -> None:
        self._pipelines = pipelines
        self._journal = journal
        self._clock = clock
        self._until: dict[str, int] = {}  # by device, in boottime
        self._timer: asyncio.TimerHandle | None = None

    def recall(self, kept: object) -> None:
        """Go on with the tests of an earlier run; to be called before anything is read. Raises ValueError."""
        match kept:
            case [str(boot), dict(until)] if all(type(at) is int for at in until.values()):
                self._until = {name: at for name, at in until.items() if name in self._pipelines}
            case _:
                raise ValueError(f"not the ends of tests: {kept!r}")
        for name in self._until:
            self._pipelines[name].set_testing(boot == self._clock.boot)
        if boot != self._clock.boot:
            self._until.clear()
        self._look()

    def begin(self, devices: Iterable[str], seconds: float) -> None:
        """Test these devices from now on for so long; 0 ends it."""
        now = self._clock.boottime()
        for name in devices:
            if name in self._until or seconds > 0:
                self._until[name] = now + round(seconds * SECOND)
        self._keep()
        for name, until in self._until.items():
            if until > now:
                self._pipelines[name].set_testing(True)
        self._look()

    def left(self) -> dict[str, float]:
        """Return for how many more seconds each device is tested."""
        now = self._clock.boottime()
        return {name: round(max(0, until - now) / SECOND, 1) for name, until in self._until.items()}

    def stop(self) -> None:
        """Let no more time pass; the tests go on with the next run."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        """End what is over, and look again when the next one is."""
        self.stop()
        now = self._clock.boottime()
        for name in [name for name, until in self._until.items() if until <= now]:
            self._pipelines[name].set_testing(False)  # again after a crash before the end was kept: harmless
            del self._until[name]
        self._keep()
        if self._until:
            wait = (min(self._until.values()) - now) / SECOND
            self._timer = asyncio.get_running_loop().call_later(wait, self._look)

    def _keep(self) -> None:
        kept = [self._clock.boot, dict(self._until)] if self._until else None
        if kept != self._journal.kept(KEPT):
            self._journal.keep(KEPT, kept)
