import time
from pathlib import Path

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
    assert clock.synchronised() == Sync("timesyncd", 0.1)


def test_without_the_mark_the_kernel_is_asked_and_never_fails(tmp_path: Path) -> None:
    sync = SystemClock(tmp_path).synchronised()
    assert sync is None or (sync.source == "kernel" and 0 < sync.uncertainty <= 16)  # the kernel gives up at 16 s
