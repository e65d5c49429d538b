"""A loop whose time does not pass but jumps: ten minutes of readings in a second, with the agent's own timers."""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.seams import Sync

_BOOT = "b" * 32
_START = 1_000_000_000  # boottime in nanoseconds
_UTC = 1_795_346_000_000_000_000


class _Jumping(selectors.DefaultSelector):
    """A selector that moves the time on instead of waiting."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now += timeout or 0.0
        found: list[tuple[selectors.SelectorKey, int]] = super().select(0)
        return found


class CompressedLoop(asyncio.SelectorEventLoop):
    """A loop for `asyncio.Runner` that never waits; what belongs into a thread is done at once."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def run_in_executor(self, _executor: object, call: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        done = self.create_future()
        try:
            done.set_result(call(*args))
        except OSError as error:
            done.set_exception(error)
        return done


class CompressedClock:
    """Implements `agent.seams.Clock` with the time of such a loop."""

    boot = _BOOT

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time

    def boottime(self) -> int:
        return _START + round(self._time() * 1e9)

    def utc(self) -> int:
        return _UTC + self.boottime()

    def synchronised(self) -> Sync | None:
        return None
