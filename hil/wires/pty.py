"""A serial line that is a pseudo-terminal: the agent opens its slave through a symbolic link, as it opens an adapter.

The rig keeps the slave open too. So the master never sees EIO while no agent is there, and the rig can ask the slave
how many bytes nobody has read yet. And the master is in packet mode (TIOCPKT, ioctl_tty(2)): there the kernel says when
somebody flushes what came in, as whoever opens a serial line does. From both, the rig knows which bytes no agent can
have heard, without believing the agent.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import fcntl
import math
import os
import termios
import tty
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

# The kernel's line discipline holds 4096 bytes (N_TTY_BUF_SIZE); FIONREAD does not see what queues up behind it. A real
# UART loses what does not fit, and so does this wire.
ROOM = 4000


class Pty:
    """A line that can be unplugged. Use it as a context manager, inside a running event loop."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.written = 0
        self.deaf: list[tuple[float, float]] = []  # stretches of bytes that nobody can have read
        self.overrun: list[tuple[int, int]] = []  # stretches of bytes that did not fit any more
        self._listeners: list[Callable[[bytes], None]] = []
        self._accepted: deque[tuple[int, int]] = deque()
        self._master = -1
        self._slave = -1
        self._deaf_since: int | None = 0
        self._seen = 0  # bytes that the slave was last seen to hold; they grow fewer only if somebody takes them

    def __enter__(self) -> Self:
        self.plug()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.unplug()

    @property
    def plugged(self) -> bool:
        """Tell whether there is something to open."""
        return self._master >= 0

    @property
    def heard(self) -> bool:
        """Tell whether somebody was seen to read since the line was plugged in or the last reader died."""
        return self._deaf_since is None

    def plug(self) -> None:
        """Make the line and the link to it. Harmless if it is plugged in."""
        if self.plugged:
            return
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.fchmod(self._slave, 0o666)  # the agent may be another user
        fcntl.ioctl(self._master, termios.TIOCPKT, array.array("i", [1]))
        os.set_blocking(self._master, False)
        self.link.parent.mkdir(parents=True, exist_ok=True)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(self._slave))
        self._accepted.clear()
        self._seen = 0
        asyncio.get_running_loop().add_reader(self._master, self._readable)

    def unplug(self) -> None:
        """Take the line away: whoever has it open reads end-of-file. Harmless if it is unplugged."""
        if not self.plugged:
            return
        self.reader_gone()
        self._seen = 0  # what goes with the line was not taken by anybody
        asyncio.get_running_loop().remove_reader(self._master)
        self.link.unlink(missing_ok=True)
        os.close(self._master)
        os.close(self._slave)
        self._master = self._slave = -1

    def listen(self, heard: Callable[[bytes], None]) -> None:
        """Have `heard` called with whatever the agent sends."""
        self._listeners.append(heard)

    def write(self, data: bytes) -> int:
        """Put bytes on the line, read or not, and return the offset behind them. What does not fit is lost."""
        self._notice_reader()
        start = self.written
        self.written += len(data)
        if self.plugged:
            taken = 0
            if self.unread() + len(data) <= ROOM:
                with contextlib.suppress(BlockingIOError):  # a full line loses bytes; they stay unaccounted as accepted
                    taken = os.write(self._master, data)
                    self._accepted.append((start, start + taken))
            if taken < len(data):
                self.overrun.append((start + taken, self.written))
        while len(self._accepted) > ROOM:
            self._accepted.popleft()
        return self.written

    def unread(self) -> int:
        """Return how many bytes nobody has read yet; 0 when unplugged."""
        if not self.plugged:
            return 0
        count = array.array("i", [0])
        fcntl.ioctl(self._slave, termios.FIONREAD, count)
        return count[0]

    def reader_gone(self) -> None:
        """Take note that the agent is dead: what it has not read, and what comes until another opens, is unheard."""
        self._readable()  # it may have flushed when it closed the line
        if self._deaf_since is None:
            self._deaf_since = self._taken()
        self._seen = self.unread()

    def stretches(self) -> list[tuple[float, float]]:
        """Return every stretch of bytes that nobody can have read, with the one that goes on."""
        return self.deaf if self._deaf_since is None else [*self.deaf, (self._deaf_since, math.inf)]

    def _taken(self) -> int:
        """Return the offset up to which the bytes have been read."""
        left = self.unread()
        for start, stop in reversed(self._accepted):
            if left < stop - start:
                return stop - left
            left -= stop - start
        return self._accepted[0][0] if self._accepted else self.written

    def _notice_reader(self) -> None:
        """See from a flush, or from bytes that vanished, that somebody has opened the line."""
        self._readable()
        unread = self.unread()
        if unread < self._seen:
            self._reader_came()
        self._seen = unread

    def _reader_came(self) -> None:
        if self._deaf_since is not None:
            self.deaf.append((self._deaf_since, self.written))
            self._deaf_since = None

    def _readable(self) -> None:
        while self.plugged:
            try:
                packet = os.read(self._master, 4096)
            except BlockingIOError:
                return
            if packet[0] == termios.TIOCPKT_DATA:
                self._reader_came()  # who asks, listens
                for heard in self._listeners:
                    heard(packet[1:])
            elif packet[0] & termios.TIOCPKT_FLUSHREAD:
                self._reader_came()
