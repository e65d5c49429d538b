"""The clocks of the machine, and how well the wall clock is known to be right."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import NamedTuple

from agent.seams import Sync

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
TIMESYNCD = (
    "run/systemd/timesync/synchronized"  # touched when systemd-timesyncd has set the clock (its manual page, "Files")
)

# timesyncd does not say how far off it may be. It steps beyond 0.4 s (NTP_MAX_ADJUST) and slews below; servers on the
# Internet are some tens of milliseconds away.
TIMESYNCD_UNCERTAINTY = 0.1  # seconds

DRIFT = 100e-6  # of the crystal of a Pi since a server was last heard

STA_UNSYNC = 0x0040  # linux/timex.h: the kernel's clock is not synchronised
KERNEL_UNCERTAINTY_FLOOR = 0.01  # seconds; whoever disciplines the clock may have left maxerror at 0


class _Heard(NamedTuple):
    """How the wall clock stood when timesyncd's mark was first seen as it is."""

    mark: int  # the time of the mark: nanoseconds since 1970
    offset: int  # of the wall clock to the boottime, in nanoseconds


class _Timex(ctypes.Structure):
    """The beginning of `struct timex` (adjtimex(2)), and room for the rest of it."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


class SystemClock:
    """Implements `agent.seams.Clock`. `root` is where `run/systemd` is looked for."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.boot = BOOT_ID.read_text("ascii").strip().replace("-", "")
        self._timesyncd = root / TIMESYNCD
        self._heard: _Heard | None = None

    def boottime(self) -> int:
        """Return nanoseconds since boot, suspend included: never steps."""
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME)

    def utc(self) -> int:
        """Return the wall clock in nanoseconds since 1970, right or wrong."""
        return time.time_ns()

    def synchronised(self) -> Sync | None:
        """Return how the wall clock is known to be right; None means that it is not."""
        return _kernel() or self._by_timesyncd()

    def _by_timesyncd(self) -> Sync | None:
        """Ask timesyncd's mark, whose own time says when a server was last heard.

        It stays for the whole boot. So it counts for less as it ages, and for nothing once the clock has been set by
        somebody else since.
        """
        try:
            heard = self._timesyncd.stat().st_mtime_ns
        except OSError:
            return None
        now = self.utc()
        offset = now - self.boottime()
        if self._heard is None or self._heard.mark != heard:
            self._heard = _Heard(heard, offset)
        age = abs(now - heard) / 1e9
        uncertainty = TIMESYNCD_UNCERTAINTY + DRIFT * age
        if abs(offset - self._heard.offset) / 1e9 > uncertainty:
            return None
        return Sync("timesyncd", uncertainty)


def _kernel() -> Sync | None:
    """Ask the kernel, which every NTP daemon tells. A sandbox that forbids the question (EPERM) gives None."""
    try:
        adjtimex = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None
    timex = _Timex()  # modes 0: only read
    if adjtimex(ctypes.byref(timex)) < 0 or timex.status & STA_UNSYNC:
        return None
    return Sync("kernel", max(timex.maxerror / 1e6, KERNEL_UNCERTAINTY_FLOOR))
