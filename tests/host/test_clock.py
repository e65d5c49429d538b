import os
import time
from pathlib import Path

import pytest

from agent.host.clock import SystemClock
from agent.seams import Clock, Sync


def test_the_boot_is_the_kernels_own_id_without_dashes() -> None:
    boot = SystemClock().boot
    assert len(boot) == 32
    assert int(boot, 16) == int(Path("/proc/sys/kernel/random/boot_id").read_text().replace("-", ""), 16)


def test_the_two_clocks_are_the_machines() -> None:
    clock: Clock = SystemClock()
    assert clock.boottime() <= time.clock_gettime_ns(time.CLOCK_BOOTTIME) <= clock.boottime()
    assert clock.utc() <= time.time_ns() <= clock.utc()


def test_timesyncds_mark_says_that_the_clock_is_set(tmp_path: Path) -> None:
    clock = SystemClock(tmp_path)
    mark = tmp_path / "run/systemd/timesync/synchronized"
    mark.parent.mkdir(parents=True)
    mark.touch()
    assert clock.synchronised() == Sync("timesyncd", pytest.approx(0.1, rel=0.01))


def test_a_mark_that_is_days_old_counts_for_less(tmp_path: Path) -> None:
    mark = tmp_path / "run/systemd/timesync/synchronized"
    mark.parent.mkdir(parents=True)
    mark.touch()
    week = 7 * 86_400
    os.utime(mark, (time.time() - week,) * 2)
    sync = SystemClock(tmp_path).synchronised()
    assert sync is not None
    assert sync.source == "kernel" or sync.uncertainty == pytest.approx(0.1 + week * 100e-6, rel=0.01)


def test_a_clock_that_somebody_set_is_not_believed_until_a_server_is_heard_again(tmp_path: Path) -> None:
    class Set(SystemClock):
        """The wall clock, put forward by hand."""

        by = 0

        def utc(self) -> int:
            return super().utc() + self.by

    clock = Set(tmp_path)
    mark = tmp_path / "run/systemd/timesync/synchronized"
    mark.parent.mkdir(parents=True)
    mark.touch()
    assert clock._by_timesyncd() is not None
    clock.by = 3_600 * 10**9
    assert clock._by_timesyncd() is None
    os.utime(mark, (clock.utc() / 1e9,) * 2)
    assert clock._by_timesyncd() is not None


def test_without_the_mark_the_kernel_is_asked_and_never_fails(tmp_path: Path) -> None:
    sync = SystemClock(tmp_path).synchronised()
    assert sync is None or (sync.source == "kernel" and 0 < sync.uncertainty <= 16)  # the kernel gives up at 16 s
