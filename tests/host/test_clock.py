import os
import subprocess
import sys
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
    assert clock.boottime() <= time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) <= clock.boottime()
    assert clock.utc() <= time.time_ns() <= clock.utc()


def test_timesyncds_mark_says_that_the_clock_is_set(tmp_path: Path) -> None:
    clock = SystemClock(tmp_path)
    mark = tmp_path / "run/systemd/timesync/synchronized"
    mark.parent.mkdir(parents=True)
    mark.touch()
    assert clock._by_timesyncd() == Sync("timesyncd", pytest.approx(0.5, rel=0.01))  # it may still be slewing


def test_a_mark_that_is_days_old_counts_for_less(tmp_path: Path) -> None:
    mark = tmp_path / "run/systemd/timesync/synchronized"
    mark.parent.mkdir(parents=True)
    mark.touch()
    week = 7 * 86_400
    os.utime(mark, (time.time() - week,) * 2)
    assert SystemClock(tmp_path)._by_timesyncd() == Sync("timesyncd", pytest.approx(0.5 + week * 100e-6, rel=0.01))


def test_a_minute_after_the_first_mark_the_clock_has_been_slewed_to_where_it_belongs(tmp_path: Path) -> None:
    class Later(SystemClock):
        """The same machine after some seconds."""

        by = 0

        def boottime(self) -> int:
            return super().boottime() + self.by

        def utc(self) -> int:
            return super().utc() + self.by

    clock = Later(tmp_path)
    mark = tmp_path / "run/systemd/timesync/synchronized"
    mark.parent.mkdir(parents=True)
    mark.touch()
    clock._by_timesyncd()
    clock.by = 61 * 10**9
    assert clock._by_timesyncd() == Sync("timesyncd", pytest.approx(0.1 + 61 * 100e-6, rel=0.01))


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
    assert sync is None or (sync.source == "kernel" and 0.1 <= sync.uncertainty <= 17)  # the kernel gives up at 16 s


# What systemd does for ProtectClock=yes (systemd.exec(5)), by hand: a seccomp filter that answers EPERM.
PROTECTED = """
import ctypes, platform, struct, sys
from pathlib import Path
from agent.host.clock import SystemClock

CALLS = {"x86_64": (159, 305), "aarch64": (171, 266), "armv7l": (124, 372, 405)}[platform.machine()]
LOAD_NUMBER, IS, RETURN = 0x20, 0x15, 0x06
program = [(LOAD_NUMBER, 0, 0, 0)]
program += [(IS, len(CALLS) - place, 0, number) for place, number in enumerate(CALLS)]
program += [(RETURN, 0, 0, 0x7FFF0000), (RETURN, 0, 0, 0x00050000 | 1)]  # allow; EPERM
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
filter_ = ctypes.create_string_buffer(struct.pack("HP", len(program), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, filter_, 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
timex = ctypes.create_string_buffer(1024)
assert (libc.adjtimex(timex), ctypes.get_errno()) == (-1, 1)
sync = SystemClock(Path(sys.argv[1])).synchronised()
print(sync.source if sync else None)
"""


def protected(root: Path) -> str:
    """Return the source that a process whose sandbox protects the clock believes."""
    command = [sys.executable, "-c", PROTECTED, str(root)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_where_the_sandbox_protects_the_clock_timesyncds_mark_is_what_counts(tmp_path: Path) -> None:
    assert protected(tmp_path) == "None"
    mark = tmp_path / "run/systemd/timesync/synchronized"
    mark.parent.mkdir(parents=True)
    mark.touch()
    assert protected(tmp_path) == "timesyncd"
