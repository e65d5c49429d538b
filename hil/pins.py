"""The gpiozero pin factory `rig`: GPIO pins that a rig drives and watches over a unix socket.

This part runs inside the process that uses gpiozero, unchanged: `GPIOZERO_PIN_FACTORY=rig` is all it takes. The socket
is named by RIG_PINS, or is `pins.sock` in the working directory; `hil.pinboard` is its other end and describes the
lines that go over it.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from typing import Any

from gpiozero.exc import BadPinFactory
from gpiozero.pins.mock import MockFactory, MockPin

READY_WITHIN = 15.0  # seconds


class RigPin(MockPin):  # type: ignore[misc]  # gpiozero has no types
    """A pin whose input level comes from the rig, and whose output level the rig is told."""

    factory: RigFactory
    _felt_at: float | None = None

    def feel(self, level: bool, at: float | None) -> None:
        """Take the level that the rig put on the pin at an instant, and fire whatever waits for an edge."""
        with self._when_changed_lock:  # the handler may be taken away by another thread at this moment
            self._felt_at = at
            if self._function == "input":
                (self.drive_high if level else self.drive_low)()
            self._felt_at = None

    def close(self) -> None:
        """Give the pin back."""
        super().close()
        self.factory.tell("free", self._number)

    def _set_function(self, value: str) -> None:
        super()._set_function(value)
        if value == "output":
            self.factory.tell("out", self._number, int(self._state))

    def _set_pull(self, value: str) -> None:
        super()._set_pull(value)
        driven = self.factory.level(self._number)
        if driven is not None:  # a pull is weak: a contact that is closed wins over it
            self._change_state(driven)
        self.factory.tell("in", self._number, value)

    def _change_state(self, value: bool) -> bool:
        changed = bool(super()._change_state(value))
        if (
            changed and self._felt_at is not None
        ):  # on a busy machine, now may be so late that a contact seems to bounce
            self._last_change = self._felt_at
        self.states.clear()  # gpiozero's mock remembers every edge for its own tests; over days that is a leak
        if changed and self._function == "output":
            self.factory.tell("out", self._number, int(value))
        return changed

    def _enable_event_detect(self) -> None:
        self.factory.tell("edges", self._number, 1)

    def _disable_event_detect(self) -> None:
        self.factory.tell("edges", self._number, 0)


class RigFactory(MockFactory):  # type: ignore[misc]  # gpiozero has no types
    """Makes pins that hang on the rig. One daemon thread applies what the rig sends, in order."""

    def __init__(self) -> None:
        super().__init__(pin_class=RigPin)
        path = os.environ.get("RIG_PINS", "pins.sock")
        self._levels: dict[int, bool] = {}
        self._ready = threading.Event()
        self._sending = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            help_ = "start one (hil.pinboard), or set RIG_PINS to its socket"
            raise BadPinFactory(f"{path}: no rig listens here ({error.strerror}); {help_}") from error
        threading.Thread(target=self._read, name="rig-pins", daemon=True).start()
        # The rig sends all levels first, so that a switch that is closed already is seen closed.
        if not self._ready.wait(READY_WITHIN):
            self._socket.close()
            raise BadPinFactory(f"{path}: the rig took the connection and said nothing for {READY_WITHIN:g} s")

    def level(self, number: int) -> bool | None:
        """Return the level that the rig drives a pin to, or None if it leaves the pin alone."""
        return self._levels.get(number)

    def tell(self, *words: object) -> None:
        """Tell the rig one thing. A rig that is gone is not told; a real pin does not complain either."""
        line = " ".join(map(str, words)) + "\n"
        with self._sending, contextlib.suppress(OSError):
            self._socket.sendall(line.encode("ascii"))

    def close(self) -> None:
        """Give all pins back and hang up."""
        super().close()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # wakes the reading thread, which a close would not
        self._socket.close()

    def _read(self) -> None:
        with contextlib.suppress(OSError), self._socket.makefile("r", encoding="ascii") as lines:
            for line in lines:
                self._apply(line.split())

    def _apply(self, words: list[str]) -> None:
        if words == ["ready"]:
            self._ready.set()
            return
        number, level = int(words[0]), words[1] == "1"
        at = float(words[2]) if len(words) > 2 else None
        if at is not None:
            time.sleep(max(0.0, at - time.monotonic()))
        self._levels[number] = level
        pin: Any = next((pin for pin in list(self.pins.values()) if pin._number == number), None)  # noqa: SLF001 - see RigPin
        if pin is not None:
            pin.feel(level, at)
