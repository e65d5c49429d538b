"""Threads that never keep the process from ending.

The standard executor's threads are joined when the interpreter exits. One `open()` of a wedged USB adapter or one DNS
look-up without a network then holds up a stop until systemd kills the service. These are daemon threads: left behind.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import Condition, Thread, current_thread
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

LIMIT = 32  # threads; each stuck call holds one, and a gateway has a handful of ports and uplinks


class _Job(NamedTuple):
    future: Future[Any]
    call: Callable[[], Any]

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.call()
        except BaseException as error:  # noqa: BLE001 - an executor hands every exception to whoever awaits the result
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class DaemonThreads(ThreadPoolExecutor):
    """An executor for `loop.set_default_executor`, which insists on a ThreadPoolExecutor; all of it is replaced."""

    def __init__(self, limit: int = LIMIT) -> None:
        super().__init__(max_workers=limit)
        self._limit = limit
        self._changed = Condition()  # guards everything below
        self._jobs: deque[_Job] = deque()
        self._idle: set[Thread] = set()
        self._count = 0
        self._closed = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a call in a thread: an idle one, else a new one, else (at the limit) the next that is done."""
        future: Future[T] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            self._jobs.append(_Job(future, partial(fn, *args, **kwargs)))
            if len(self._idle) >= len(self._jobs):
                self._changed.notify()
            elif self._count < self._limit:
                Thread(target=self._work, name=f"roadside-{self._count}", daemon=True).start()
                self._count += 1
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls and let the idle threads end; never waits for one that is at work, stuck or not."""
        with self._changed:
            self._closed = True
            if cancel_futures:
                for job in self._jobs:
                    job.future.cancel()
                self._jobs.clear()
            ending = () if self._jobs else tuple(self._idle)
            self._changed.notify_all()
        if wait:
            for thread in ending:
                thread.join()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            job.run()
            del job  # holds on to the result and its caller until the next call otherwise

    def _next(self) -> _Job | None:
        with self._changed:
            while not self._jobs:
                if self._closed:
                    return None
                self._idle.add(current_thread())
                self._changed.wait()
                self._idle.discard(current_thread())
            return self._jobs.popleft()
