"""Serial devices that send one line a reading, at any rate: pseudo-terminals, written to by a thread."""

from __future__ import annotations

import array
import fcntl
import math
import os
import termios
import threading
import time
import tty
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import Self

AT_ONCE = 50  # lines at most to one device before the next has its turn
BREATH = 0.001  # seconds
GIVES_UP = 10.0  # seconds after which nobody takes the rest any more
SETTLED = 0.25  # seconds in which whoever took the last bytes has dealt with them


class Lines:
    """Devices in a folder. Each numbers its lines from 1; a line that does not fit waits, as behind flow control."""

    def __init__(self, folder: Path, names: Sequence[str], value: Callable[[int], int] = int) -> None:
        """Take what a device says instead of the number, if it does."""
        self.names = names
        self.written: dict[str, list[float]] = {name: [] for name in names}  # when each line was due, since 1970
        self._folder = folder
        self._value = value
        self._masters: dict[str, int] = {}
        self._slaves: dict[str, int] = {}
        self._left = dict.fromkeys(names, b"")  # what did not fit
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in self.names:
            self._masters[name], self._slaves[name] = os.openpty()
            tty.setraw(self._slaves[name])
            os.set_blocking(self._masters[name], False)
            (self._folder / name).symlink_to(os.ttyname(self._slaves[name]))
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for descriptor in (*self._masters.values(), *self._slaves.values()):
            os.close(descriptor)

    @property
    def count(self) -> int:
        """How many lines there were."""
        return sum(map(len, self.written.values()))

    def start(self, rate: float) -> None:
        """Send so many lines a second, of all devices together; with infinity as many as are taken."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, args=(rate,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Send no more. Harmless to call again."""
        if self._thread is not None:
            self._stop.set()
            self._thread.join()
            self._thread = None

    def _run(self, rate: float) -> None:
        began, done = time.time(), 0
        turn = 0
        while not self._stop.is_set():
            due = math.inf if math.isinf(rate) else int((time.time() - began) * rate)
            before = done
            for _ in self.names:
                turn = (turn + 1) % len(self.names)
                name = self.names[turn]
                if self._flush(name) and done < due:
                    share = AT_ONCE if math.isinf(due) else min(AT_ONCE, math.ceil((due - done) / len(self.names)))
                    self._write(name, share, time.time() if math.isinf(rate) else began + (done + 1) / rate)
                    done += share
            if done == before:
                self._stop.wait(max(BREATH, 0 if math.isinf(rate) else began + (done + 1) / rate - time.time()))
        stopped = time.time()
        while any(self._left.values()) and time.time() < stopped + GIVES_UP:
            for name in self.names:
                self._flush(name)
            time.sleep(BREATH)

    def _write(self, name: str, count: int, at: float) -> None:
        written = self.written[name]
        first = len(written) + 1
        written += [at] * count
        self._left[name] = b"".join([b"R%-21d\r\n" % self._value(n) for n in range(first, first + count)])
        self._flush(name)

    def _flush(self, name: str) -> bool:
        left = self._left[name]
        if left:
            try:
                self._left[name] = left[os.write(self._masters[name], left) :]
            except BlockingIOError:
                return False
        return not self._left[name]

    # --- so that a device does not speak to nobody

    def settle(self) -> None:
        """Return when all that was sent has been taken, and dealt with."""
        while any(self._unread(name) for name in self.names):
            time.sleep(BREATH)
        time.sleep(SETTLED)

    def wait_for_reader(self, within: float = 30.0) -> None:
        """Return when all devices have a reader that has seen the end of a line: it will use the next one."""
        deadline = time.monotonic() + within
        for _ in range(2):  # what comes before the port is open may be thrown away
            for name in self.names:
                os.write(self._masters[name], b"\n")
            time.sleep(SETTLED)
            while any(self._unread(name) for name in self.names):
                if time.monotonic() > deadline:
                    raise TimeoutError("nobody reads the lines")
                time.sleep(BREATH)
            time.sleep(SETTLED)

    def _unread(self, name: str) -> int:
        count = array.array("i", [0])
        fcntl.ioctl(self._slaves[name], termios.FIONREAD, count)
        return count[0]
