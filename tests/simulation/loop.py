"""An event loop in simulated time: whenever everything waits, the universe goes on to what happens next.

Its executor's jobs run at some moment after they were handed in, all at once, and are known to be done some time
later; a kill may come before, after, or (from the disk) in the midst.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tests.simulation.universe import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sized

    from tests.simulation.clock import SimulatedClock
    from tests.simulation.universe import Universe


class _Waiting:
    """In place of a selector: waiting is letting the universe go on until somebody is woken."""

    def __init__(self, universe: Universe, clock: SimulatedClock, ready: Sized) -> None:
        self._universe = universe
        self._clock = clock
        self._ready = ready  # what the loop does next

    def select(self, timeout: float | None = None) -> list[Any]:
        universe = self._universe
        until = None
        if timeout is not None:
            until = universe.now + (math.ceil(timeout * SECOND / self._clock.rate) + 1 if timeout > 0 else 0)
        universe.go_on(until)
        while not self._ready and (until is None or universe.now < until):
            universe.go_on(until)
        return []

    def close(self) -> None:
        """Nothing is held."""


class SimulatedLoop(asyncio.BaseEventLoop):
    """The loop of one run of the agent; its time is the boottime."""

    def __init__(self, universe: Universe, clock: SimulatedClock, delays: Callable[[], tuple[float, float]]) -> None:
        """`delays` draws, for one job, the seconds until it runs, and then until that is known."""
        super().__init__()
        self._universe = universe
        self._boot_clock = clock
        self._delays = delays
        self._selector = _Waiting(universe, clock, self._ready)

    def time(self) -> float:
        """Return seconds since boot."""
        return self._boot_clock.boottime() / SECOND

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run a job in simulated time."""
        assert executor is None
        future = self.create_future()
        before, after = self._delays()

        def work() -> None:
            self._universe.tell("job", getattr(func, "__qualname__", None) or getattr(func, "func", func).__qualname__)
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - an executor hands every exception to whoever awaits the result
                self._universe.within_life(after, lambda error=error: future.done() or future.set_exception(error))
            else:
                self._universe.within_life(after, lambda: future.done() or future.set_result(result))

        self._universe.within_life(before, work)
        return future

    def _process_events(self, event_list: list[Any]) -> None:
        """Nothing comes through a selector."""

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""

    def run(self, main: Coroutine[Any, Any, None]) -> None:
        """Run until `main` is over, or raise what ended the process."""
        self.set_exception_handler(lambda _loop, context: self._universe.fault(f"asyncio: {context}"))
        try:
            self.run_until_complete(main)
        finally:
            self._bury()

    def _bury(self) -> None:
        """Take what is left apart, silently: nothing of it may run again, or complain when it is collected."""
        self._universe.dying = True
        self._universe.life += 1
        self.set_exception_handler(lambda _loop, _context: None)
        for task in asyncio.all_tasks(self):
            task._log_destroy_pending = False
            with suppress(BaseException):
                task.get_coro().close()
        self._ready.clear()
        self._scheduled.clear()
        self.close()
