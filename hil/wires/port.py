"""A serial line that is a real port: a USB adapter, or a UART of the machine that plays the device."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import serial

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

READ_SIZE = 4096  # bytes


class WireError(Exception):
    """A port cannot be used; the message says which and why."""


class Port:
    """An open port, seen from the device. Use it as a context manager, inside a running event loop.

    `path` is the port, and `line` its settings, such as `9600 8N1`.
    """

    def __init__(self, path: str, line: str) -> None:
        self.path = path
        self.line = line
        self.written = 0
        self.lost = 0  # bytes for which the kernel had no room
        self._listeners: list[Callable[[bytes], None]] = []
        self._serial: serial.Serial | None = None

    def __enter__(self) -> Self:
        baud, _, form = self.line.partition(" ")
        try:
            self._serial = serial.Serial(
                self.path, int(baud), int(form[0]), form[1], float(form[2:]), timeout=0, write_timeout=0, exclusive=True
            )
        except (IndexError, ValueError) as error:
            raise WireError(f"{self.path}: {self.line!r} are no settings of a line, such as 9600 8N1") from error
        except (serial.SerialException, OSError) as error:
            raise WireError(f"{self.path}: {error}") from error
        asyncio.get_running_loop().add_reader(self._serial.fileno(), self._readable)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the port back. Harmless to call again."""
        if self._serial is not None:
            asyncio.get_running_loop().remove_reader(self._serial.fileno())
            self._serial.close()
            self._serial = None

    def listen(self, heard: Callable[[bytes], None]) -> None:
        """Have `heard` called with whatever the gateway sends."""
        self._listeners.append(heard)

    def write(self, data: bytes) -> int:
        """Put bytes on the line, return the offset behind them; what there is no room for is lost, and counted."""
        taken = 0
        if self._serial is not None:
            with contextlib.suppress(serial.SerialException, OSError):  # a full line, or one that was pulled out
                taken = self._serial.write(data) or 0
        self.lost += len(data) - taken
        self.written += len(data)
        return self.written

    def waiting(self) -> int:
        """Return how many bytes the kernel has still to send."""
        return 0 if self._serial is None else int(self._serial.out_waiting)

    def _readable(self) -> None:
        if self._serial is None:
            return
        try:
            data = self._serial.read(READ_SIZE)
        except (serial.SerialException, OSError):
            data = b""
        if not data:  # pulled out
            self.close()
            return
        for heard in self._listeners:
            heard(data)
