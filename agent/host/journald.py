"""journald's native protocol: each event with its fields, so that `journalctl ROADSIDE_DEVICE=air-1` finds them.

Source: systemd, "Native Journal Protocol": one datagram an entry; `KEY=value`, or `KEY`, the length and the value
where the value has a line break.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
from pathlib import Path

from agent import logs

SOCKET = Path("/run/systemd/journal/socket")
PREFIX = "ROADSIDE_"


class JournaldHandler(logging.Handler):
    """Sends events to journald; what cannot be sent so goes to another handler."""

    def __init__(self, otherwise: logging.Handler, path: Path = SOCKET) -> None:
        super().__init__()
        self._otherwise = otherwise
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def emit(self, record: logging.LogRecord) -> None:
        """Send one entry."""
        try:
            self._socket.sendto(entry(record), self._path)
        except OSError:  # journald is being restarted, or the entry is too long for a datagram
            self._otherwise.emit(record)

    def close(self) -> None:
        """Close the socket."""
        with contextlib.suppress(OSError):
            self._socket.close()
        super().close()


def entry(record: logging.LogRecord) -> bytes:
    """Return a datagram of the protocol."""
    name, fields = logs.event(record)
    entries: dict[str, object] = {
        "MESSAGE": logs.line(record),
        "PRIORITY": logs.priority(record),
        "SYSLOG_IDENTIFIER": "roadside",
        f"{PREFIX}EVENT": name,
        f"{PREFIX}PART": record.name,
        **{f"{PREFIX}{key.upper()}": value for key, value in fields.items()},
    }
    return b"".join(_field(key, str(value)) for key, value in entries.items())


def _field(key: str, value: str) -> bytes:
    data = value.encode(errors="replace")
    if b"\n" in data:
        return key.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n"
    return key.encode() + b"=" + data + b"\n"
