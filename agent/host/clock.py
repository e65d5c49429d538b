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

# No daemon knows how much longer the way to a server is than the way back: some tens of milliseconds over LTE.
NETWORK_UNCERTAINTY = 0.1  # seconds
# timesyncd does not say how far off it may be. It steps beyond NTP_MAX_ADJUST and slews below, at first by an eighth to
# a sixteenth of the rest each second (its time constant is log2 of the poll interval, 32 s at first, less 4).
SLEWED = 0.4  # seconds
SLEWED_WITHIN = 60.0  # seconds, from 0.4 s to 10 ms

DRIFT = 100e-6  # of the crystal of a Pi since a server was last heard

STA_UNSYNC = 0x0040  # linux/timex.h: the kernel's clock is not synchronised
STA_NANO = 0x2000  # `offset` is in nanoseconds, not microseconds


class _Heard(NamedTuple):
    """How the wall clock stood when timesyncd's mark was first seen as it is."""

    mark: int  # the time of the mark: nanoseconds since 1970
    offset: int  # of the wall clock to the boottime, in nanoseconds
    first: int  # boottime at which any mark was first seen


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
        """Return nanoseconds since boot as the crystal counts them: never steps, and nobody slews it.

        The kernel steers CLOCK_MONOTONIC and CLOCK_BOOTTIME together with the wall clock, by up to 500 ppm, and by a
        tenth where a daemon moves the tick: an anchor would misdate what was read before a slew by all of it.
        """
        return time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)

    def utc(self) -> int:
        """Return the wall clock in nanoseconds since 1970, right or wrong."""
        return time.time_ns()

    def synchronised(self) -> Sync | None:
        """Return how the wall clock is known to be right; None means that it is not."""
        return _kernel() or self._by_timesyncd()

    def _by_timesyncd(self) -> Sync | None:
        """Ask timesyncd's mark, whose own time says when a server was last heard.

        It stays for the whole boot. So it counts for less as it ages, and for nothing once the clock has been set by
        somebody else since. With the first one, the clock may still be on its way to the right time.
        """
        try:
            heard = self._timesyncd.stat().st_mtime_ns
        except OSError:
            return None
        now, at = self.utc(), self.boottime()
        offset = now - at
        if self._heard is None or self._heard.mark != heard:
            self._heard = _Heard(heard, offset, at if self._heard is None else self._heard.first)
        age = abs(now - heard) / 1e9
        is_slewing = min(age, (at - self._heard.first) / 1e9) < SLEWED_WITHIN
        uncertainty = NETWORK_UNCERTAINTY + DRIFT * age + (SLEWED if is_slewing else 0.0)
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
    unit = 1e-9 if timex.status & STA_NANO else 1e-6
    # maxerror begins at 0 with each answer of a server, also while the clock is still being slewed to it.
    return Sync("kernel", NETWORK_UNCERTAINTY + timex.maxerror / 1e6 + abs(timex.offset) * unit)
