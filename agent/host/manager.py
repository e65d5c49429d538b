"""systemd's notification protocol: sd_notify(3) and sd_watchdog_enabled(3)."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class ServiceManager:
    """Implements `agent.seams.Notifier`. Without NOTIFY_SOCKET in the environment nothing is sent."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._watchdog = _watchdog(environment)

    def notify(self, *states: str) -> None:
        """Send states such as `READY=1`; never raises and never waits.

        What cannot be told is not told again: the manager's watchdog is the one that judges a silent service.
        """
        if not self._address:
            return
        # A leading "@" stands for the NUL of Linux's abstract namespace (sd_notify(3), "Notes").
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.setblocking(False)
            manager.connect(address)
            manager.send("\n".join(states).encode())

    def reloading(self) -> None:
        """Tell that a new configuration is being taken up, until the next `READY=1` (sd_notify(3), RELOADING=1)."""
        self.notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def watchdog(self) -> float | None:
        """Return the seconds within which the manager wants to hear from us, or None."""
        return self._watchdog


def _watchdog(environment: Mapping[str, str]) -> float | None:
    """Read WATCHDOG_USEC, unless WATCHDOG_PID says that it is meant for another process."""
    try:
        meant_for = int(environment.get("WATCHDOG_PID", os.getpid()))
        seconds = int(environment.get("WATCHDOG_USEC", 0)) / 1e6
    except ValueError:
        return None
    return seconds if seconds > 0 and meant_for == os.getpid() else None
