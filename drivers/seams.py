"""What a driver needs of the world, as narrow interfaces: ports, and the files in which the gateway tells of itself.

drivers/ports/ has the real ports; a test hands in scripted ones. A driver that speaks alone sees none of it: whoever
feeds it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.contract import Reason, SerialLine


class PortFault(StrEnum):
    """Why a port cannot be used."""

    MISSING = "missing"
    NOT_PERMITTED = "not_permitted"
    TAKEN = "taken"
    UNPLUGGED = "unplugged"
    FAILED = "failed"


class PortError(Exception):
    """A port cannot be used; `fault` says why, for machines, and the message for people."""

    def __init__(self, fault: PortFault, path: str, detail: str = "") -> None:
        super().__init__(f"{path}: {detail or fault.value}")
        self.fault = fault
        self.path = path
        self.detail = detail


class SerialPort(Protocol):
    """An open serial line."""

    async def read(self) -> bytes:
        """Wait for bytes and return what came, never empty; raises PortError when the line is gone."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes; raises PortError when the line is gone."""
        ...

    def flush(self) -> None:
        """Throw away what came in and was not read."""
        ...

    def close(self) -> None:
        """Give the line back. Harmless to call again."""
        ...


class SerialPorts(Protocol):
    """Where serial ports come from: the real ones, or a test's script."""

    async def open(self, path: str, line: SerialLine) -> SerialPort:
        """Open exclusively; raises PortError."""
        ...


class InputLine(Protocol):
    """A GPIO input that queues its edges."""

    async def wait(self, until: float | None) -> list[tuple[float, bool]]:
        """Wait for edges, or until that time; return (seconds, active) pairs, oldest first, perhaps none."""
        ...

    def active(self) -> bool:
        """Return the logical level now."""
        ...

    def dropped(self) -> int:
        """Return how many edges came too fast to be kept, since the last call."""
        ...

    def close(self) -> None:
        """Give the line back. Harmless to call again."""
        ...


class RangingLine(Protocol):
    """A trigger and an echo."""

    async def measure(self) -> float | Reason:
        """Wait for an echo and return how long its pulse was, in seconds, or why there is none."""
        ...

    def close(self) -> None:
        """Give the pins back. Harmless to call again."""
        ...


class OutputLine(Protocol):
    """A GPIO output."""

    def write(self, active: bool) -> None:
        """Drive the logical level."""
        ...

    def close(self) -> None:
        """Give the line back. Harmless to call again."""
        ...


class GpioPorts(Protocol):
    """Where GPIO lines come from. Opening raises PortError."""

    def input(self, pin: int, *, pull: str, active: str) -> InputLine:
        """Claim a pin as an input."""
        ...

    def output(self, pin: int, *, active: str, initial: bool) -> OutputLine:
        """Claim a pin as an output at its initial logical level."""
        ...

    def ranging(self, trigger: int, echo: int) -> RangingLine:
        """Claim a pin as a trigger and another as an echo."""
        ...


# --- the gateway itself ----------------------------------------------------------------------------------------------


class Space(NamedTuple):
    """How much of a disk is free."""

    free: int  # bytes, for programs that are not root
    total: int  # bytes


class LinkCounts(NamedTuple):
    """What an uplink knows of its way to the broker; counted since the agent started."""

    online: bool
    attempts: int  # to connect
    failed: int  # of these
    answered: int  # messages
    unanswered: int  # messages that a connection took with it when it went
    latency: float | None  # seconds from a message to its answer, median of the last ones; None before the first


class SystemFiles(Protocol):
    """The files in which the system tells of itself, below /proc and /sys. Paths are absolute."""

    def read(self, path: str) -> str:
        """Return a small file; raises OSError."""
        ...

    def find(self, pattern: str) -> list[str]:
        """Return the paths that fit a pattern as of a shell, sorted; perhaps none."""
        ...

    def age(self, path: str) -> float:
        """Return the seconds since a file was written; raises OSError."""
        ...

    def space(self, path: str) -> Space:
        """Return what is free on the disk that a folder is on; raises OSError."""
        ...


@dataclass(frozen=True, slots=True)
class GatewayView:
    """What can be seen of the gateway itself."""

    files: SystemFiles
    link: Callable[[str | None], LinkCounts]  # of an uplink by its name; None: of the first
