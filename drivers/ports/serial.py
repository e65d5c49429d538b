"""Serial lines of Linux: opened by pyserial in a thread, then read and written on the event loop without one.

A line that cannot be had is told apart by what mends it: plug it in, give permission, stop the other process.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import termios
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import serial

from drivers.ports import explain
from drivers.seams import PortError, PortFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.contract import SerialLine

READ_SIZE = 4096  # bytes; as much as the kernel's line discipline holds (N_TTY_BUF_SIZE)

# Beyond this nothing more is taken from the descriptor until somebody reads: the kernel throws away what its own buffer
# cannot hold, at no cost to us, and the decoder's checksum finds the cut. Dropping here would burn the processor for
# bytes that nobody wants. 64 KiB is a minute at 9600 baud.
BUFFER_LIMIT = 64 * 1024

# The most lasting name comes first. Two adapters of one make without serial numbers share a name in by-id, so one of
# them has only its by-path name.
NAMES = (
    "dev/serial/by-id/*",
    "dev/serial/by-path/*",
    "dev/ttyAMA*",
    "dev/ttyUSB*",
    "dev/ttyACM*",
    "dev/ttyS*",
)

_FAULTS = {
    errno.ENOENT: PortFault.MISSING,
    errno.ENOTDIR: PortFault.MISSING,
    errno.ENODEV: PortFault.MISSING,  # a device file without a device
    errno.ENXIO: PortFault.MISSING,
    errno.EACCES: PortFault.NOT_PERMITTED,
    errno.EPERM: PortFault.NOT_PERMITTED,
    errno.EWOULDBLOCK: PortFault.TAKEN,  # flock(2)
    errno.EBUSY: PortFault.TAKEN,  # TIOCEXCL, ioctl_tty(2)
}


def existing(root: Path = Path("/")) -> list[str]:
    """Return the serial ports that there are now, each once, by its most lasting name."""
    found: dict[Path, str] = {}
    for pattern in NAMES:
        for path in sorted(root.glob(pattern)):
            if path.exists() and not _is_placeholder(path, root):
                found.setdefault(path.resolve(), f"/{path.relative_to(root)}")
    return list(found.values())


def open_line(path: Path, line: SerialLine) -> serial.Serial:
    """Open a line exclusively, raw and non-blocking; blocks for as long as its kernel driver likes.

    pyserial sets VMIN to 1 if told of an `inter_byte_timeout`, else to 0: then read(2) says 0 of a line on which there
    is nothing, as it does of one that is gone (termios(3)).
    """
    return serial.Serial(
        str(path),
        line.baud,
        line.bits,
        line.parity,
        line.stop,
        timeout=0,
        write_timeout=0,
        inter_byte_timeout=0,
        exclusive=True,
    )


class PosixSerialPorts:
    """Implements `drivers.seams.SerialPorts`. Absolute paths are looked for below `root`."""

    def __init__(self, root: Path = Path("/"), opener: Callable[[Path, SerialLine], serial.Serial] = open_line) -> None:
        self._root = root
        self._opener = opener
        self._lock = Lock()  # guards `_under_way`, which threads change
        self._under_way: set[str] = set()

    async def open(self, path: str, line: SerialLine) -> PosixSerialPort:
        """Open exclusively; raises PortError. Cancelling returns at once: what is opened later is closed again."""
        opening = _Opening(lambda: self._open(path, line))
        try:
            port = await asyncio.get_running_loop().run_in_executor(None, opening.run)
        except asyncio.CancelledError:
            opening.abandon()
            raise
        return PosixSerialPort(path, port)

    def _open(self, path: str, line: SerialLine) -> serial.Serial:
        with self._lock:
            if path in self._under_way:  # one stuck thread a port, however often it is tried again
                raise PortError(PortFault.FAILED, path, "an earlier attempt to open it still hangs; replug the adapter")
            self._under_way.add(path)
        real = self._root / path.lstrip("/")
        try:
            return self._opener(real, line)
        except (OSError, ValueError, termios.error) as error:
            raise _explain(path, real, error) from error
        finally:
            with self._lock:
                self._under_way.discard(path)


class PosixSerialPort:
    """Implements `drivers.seams.SerialPort` on the running loop. One reader at a time."""

    def __init__(self, path: str, port: serial.Serial) -> None:
        self._path = path
        self._port = port
        self._descriptor = port.fileno()
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._waiter: asyncio.Future[None] | None = None  # of the reader, until something came or the line ended
        self._listening = False
        self._ended: tuple[PortFault, str] | None = None
        self._listen()

    async def read(self) -> bytes:
        """Wait for bytes and return what came, never empty; raises PortError when the line is gone."""
        while not self._buffer:
            self._check()
            self._waiter = self._loop.create_future()
            await self._waiter
        data = bytes(self._buffer)
        self._buffer.clear()
        self._listen()
        return data

    def write(self, data: bytes) -> None:
        """Send bytes; raises PortError when the line is gone, or takes no more.

        The kernel holds 4 KiB for a line and a request is shorter than 300 bytes: when it does not fit, what was asked
        long ago has not left yet, and waiting would only make the queue of stale requests longer.
        """
        self._check()
        try:
            sent = os.write(self._descriptor, data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._end(PortFault.UNPLUGGED, _text(error))
            self._check()
            raise
        if sent < len(data):
            self._discard(termios.TCOFLUSH)
            raise PortError(PortFault.FAILED, self._path, "the line does not send: its output buffer is full")

    def flush(self) -> None:
        """Throw away what came in and was not read."""
        self._discard(termios.TCIFLUSH)
        self._buffer.clear()
        self._listen()

    def close(self) -> None:
        """Give the line back. Harmless to call again."""
        self._end(PortFault.FAILED, "closed")
        if self._port.is_open:
            # A close(2) waits up to 30 s for bytes that do not leave (closing_wait, setserial(8)); this is the loop.
            self._discard(termios.TCIOFLUSH)
            self._port.close()

    def _listen(self) -> None:
        if not self._listening and self._ended is None:
            self._loop.add_reader(self._descriptor, self._readable)
            self._listening = True

    def _pause(self) -> None:
        if self._listening:
            self._loop.remove_reader(self._descriptor)
            self._listening = False

    def _readable(self) -> None:
        try:
            data = os.read(self._descriptor, READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(PortFault.UNPLUGGED, _text(error))
            return
        if not data:  # ready to be read and yet empty: the device is gone
            self._end(PortFault.UNPLUGGED, "the device is gone")
            return
        self._buffer += data
        self._wake()
        if len(self._buffer) >= BUFFER_LIMIT:
            self._pause()

    def _end(self, fault: PortFault, detail: str) -> None:
        self._pause()
        self._ended = self._ended or (fault, detail)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():  # done: cancelled, or woken already
            self._waiter.set_result(None)

    def _check(self) -> None:
        if self._ended is not None:
            fault, detail = self._ended
            raise PortError(fault, self._path, detail)

    def _discard(self, queue: int) -> None:
        if self._port.is_open:
            with contextlib.suppress(termios.error):  # the line is gone: the next read says so
                termios.tcflush(self._descriptor, queue)


class _Opening:
    """An open(2) in a thread, which may outlive whoever asked for it."""

    def __init__(self, opener: Callable[[], serial.Serial]) -> None:
        self._opener = opener
        self._lock = Lock()  # guards the two below
        self._abandoned = False
        self._port: serial.Serial | None = None

    def run(self) -> serial.Serial:
        """Open; runs in the thread."""
        port = self._opener()
        with self._lock:
            self._port = port
            if self._abandoned:
                port.close()
        return port

    def abandon(self) -> None:
        """Close what was or will be opened; runs on the loop."""
        with self._lock:
            self._abandoned = True
            if self._port is not None:
                self._port.close()


def _explain(path: str, real: Path, error: Exception) -> PortError:
    number = getattr(error, "errno", None) or 0
    fault = _FAULTS.get(number, PortFault.FAILED)
    match fault:
        case PortFault.MISSING:
            detail = "there is no such device; is it plugged in?"
        case PortFault.NOT_PERMITTED:
            detail = explain.permission(real, number)
        case PortFault.TAKEN:
            detail = f"{explain.holder(real)} has it open"
        case _:
            detail = f"cannot be opened as a serial line: {_text(error)}"
    return PortError(fault, path, detail)


def _text(error: Exception) -> str:
    """Return what the system says, without what pyserial wraps around it."""
    cause = error.__context__ or error
    return str(cause.args[1]) if len(cause.args) > 1 else str(cause)


def _is_placeholder(path: Path, root: Path) -> bool:
    """Tell the ttyS* that a PC's kernel makes in advance from those with a UART (sysfs-tty: type 0 is unknown)."""
    with contextlib.suppress(OSError):
        return (root / "sys/class/tty" / path.name / "type").read_text("ascii").strip() == "0"
    return False
