"""What a simulated serial device needs of the wire it sits on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Wire(Protocol):
    """A serial line, seen from the device."""

    def write(self, data: bytes) -> int:
        """Put bytes on the line; returns the running offset behind them, counted from the first byte ever written."""
        ...

    def listen(self, heard: Callable[[bytes], None]) -> None:
        """Have `heard` called with whatever the other end sends. Several devices may listen on one bus."""
        ...
