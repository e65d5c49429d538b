import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from signal import SIGTERM

import pytest

from agent.host.threads import DaemonThreads

SOON = 5.0  # seconds


@pytest.fixture
def threads() -> Iterator[DaemonThreads]:
    executor = DaemonThreads(limit=2)
    yield executor
    executor.shutdown()


def test_results_and_errors_come_back(threads: DaemonThreads) -> None:
    assert threads.submit(divmod, 7, 2).result(SOON) == (3, 1)
    assert isinstance(threads.submit(int, "x").exception(SOON), ValueError)


def test_an_idle_thread_is_used_again() -> None:
    threads = DaemonThreads(limit=50)
    used = {threads.submit(threading.get_ident).result(SOON) for _ in range(50)}
    threads.shutdown()
    assert len(used) < 25  # not 1: a call may come before the thread that gave the last result is seen to be idle


def test_a_stuck_call_holds_up_no_other(threads: DaemonThreads) -> None:
    release = threading.Event()
    stuck = threads.submit(release.wait)
    assert [threads.submit(abs, -i).result(SOON) for i in range(20)] == list(range(20))
    release.set()
    assert stuck.result(SOON)


def test_beyond_the_limit_calls_wait_their_turn(threads: DaemonThreads) -> None:
    release = threading.Event()
    stuck = [threads.submit(release.wait) for _ in range(2)]
    late = threads.submit(abs, -1)
    release.set()
    assert late.result(SOON) == 1
    assert all(future.result(SOON) for future in stuck)


def test_shutdown_ends_the_idle_leaves_the_stuck_and_takes_no_more() -> None:
    before = set(threading.enumerate())
    executor, started, release = DaemonThreads(limit=1), threading.Event(), threading.Event()

    def stick() -> bool:
        started.set()
        return release.wait()

    stuck = executor.submit(stick)
    assert started.wait(SOON)
    waiting = executor.submit(abs, -1)
    executor.shutdown(wait=True, cancel_futures=True)  # would never return if it waited
    with pytest.raises(CancelledError):
        waiting.result(SOON)
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(abs, -1)
    release.set()
    assert stuck.result(SOON)
    for thread in set(threading.enumerate()) - before:
        thread.join(SOON)
        assert not thread.is_alive()


def test_the_loop_takes_them_as_its_own() -> None:
    async def main() -> str:
        asyncio.get_running_loop().set_default_executor(DaemonThreads())
        await asyncio.to_thread(abs, -1)
        return await asyncio.to_thread(lambda: threading.current_thread().name)

    before = threading.active_count()
    assert asyncio.run(main()).startswith("roadside-")
    assert threading.active_count() == before


STUCK = """
import asyncio, os, signal, sys, threading
from agent.host.threads import DaemonThreads

async def main():
    loop = asyncio.get_running_loop()
    loop.set_default_executor(DaemonThreads())
    task = asyncio.current_task()
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    reading, _ = os.pipe()  # nobody ever writes: the call hangs in the kernel as the open() of a wedged adapter does
    opening = loop.run_in_executor(None, os.read, reading, 1)
    print("stuck", flush=True)
    try:
        await opening
    except asyncio.CancelledError:
        print("stopping", flush=True)

asyncio.run(main())
"""


def test_sigterm_ends_the_process_while_a_call_hangs() -> None:
    with subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "stuck\n"
            process.send_signal(SIGTERM)
            assert process.stdout.readline() == "stopping\n"
            assert process.wait(SOON) == 0
        finally:
            process.kill()
