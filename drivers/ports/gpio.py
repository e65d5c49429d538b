"""GPIO lines through gpiozero's pins: edges are queued in the callback, with their instants, for the loop to fetch.

Not through gpiozero's devices: they hand no time stamps on, and their debounce differs from factory to factory.
Debouncing is the drivers' own.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import sys
from collections import deque
from importlib.metadata import entry_points
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from drivers.ports import explain
from drivers.seams import PortError, PortFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from threading import Thread

    from drivers.ports.ranging import GpiozeroRanging

# Edges kept until the loop fetches them: 4 s at 500 Hz, the fastest input we promise to count. The oldest go first, so
# that what is left ends in the level the line really has.
QUEUE_LIMIT = 2000
SLEW = 1e-3  # how fast the kernel moves CLOCK_MONOTONIC against the crystal: 500 ppm by ntp_adjtime(3), and the crystal
LOOK_EVERY = 10.0  # seconds between two looks whether edges can still come

PULLS = {"up": "up", "down": "down", "none": "floating"}


class _Pin(Protocol):
    """What we use of `gpiozero.Pin`, which has no types."""

    factory: _Factory
    state: float
    bounce: float | None
    edges: str
    when_changed: Callable[[float, float], None] | None

    def input_with_pull(self, pull: str) -> None: ...
    def output_with_state(self, state: bool) -> None: ...
    def close(self) -> None: ...


class _Factory(Protocol):
    """What we use of `gpiozero.pins.pi.PiFactory`."""

    pin_class: Any

    def pin(self, name: int) -> _Pin: ...
    def ticks(self) -> float: ...
    def ticks_diff(self, later: float, earlier: float) -> float: ...
    def close(self) -> None: ...


def make_factory() -> _Factory:
    """Make the pin factory that GPIOZERO_PIN_FACTORY names, else lgpio.

    gpiozero itself would fall back from one factory to the next with no more than a warning, down to one that does not
    work on a Pi 5: the siren would stay silent and no edge would come.
    """
    name = os.environ.get("GPIOZERO_PIN_FACTORY") or "lgpio"
    found = tuple(entry_points(group="gpiozero_pin_factories", name=name))
    if not found:
        raise PortError(PortFault.FAILED, "GPIO", f"GPIOZERO_PIN_FACTORY={name} names no pin factory that is installed")
    factory: _Factory = found[0].load()()
    return steady(factory) if name == "lgpio" else factory


def steady(factory: _Factory) -> _Factory:
    """Let the outputs of an lgpio factory start at their initial level.

    gpiozero claims an output low and sets its level afterwards; a siren that is active low would give a short cry.
    """
    import lgpio
    from gpiozero.pins.lgpio import LGPIOPin

    class SteadyPin(LGPIOPin):  # type: ignore[misc] # gpiozero has no types
        def output_with_state(self, state: bool) -> None:
            lgpio.gpio_claim_output(self.factory._handle, self._number, int(state))  # noqa: SLF001 - as LGPIOPin does

    factory.pin_class = SteadyPin
    return factory


def notifier() -> Thread | None:
    """Return the one thread in which lgpio calls everybody's callbacks; None where lgpio is not in use.

    An exception in any callback, ours or not, ends it, and no edge of any pin is ever told again.
    """
    thread: Thread | None = getattr(sys.modules.get("lgpio"), "_notify_thread", None)
    return thread


def revive_notifier() -> None:
    """Give lgpio a new thread if its own has ended: lines that are claimed from now on are heard."""
    thread = notifier()
    if thread is not None and not thread.is_alive():
        lgpio: Any = sys.modules["lgpio"]
        lgpio._notify_thread = lgpio._callback_thread()  # noqa: SLF001 - as lgpio does when it is imported


class GpiozeroPorts:
    """Implements `drivers.seams.GpioPorts`. The factory is made with the first line: gpiozero is slow to import.

    `now` gives seconds on the clock that the times of edges shall be on; it is called in threads.
    """

    def __init__(
        self, now: Callable[[], float], make: Callable[[], _Factory] = make_factory, devices: Path = Path("/dev")
    ) -> None:
        self._now = now
        self._make = make
        self._devices = devices
        self._factory: _Factory | None = None
        self._open: dict[
            int, GpiozeroInput | GpiozeroOutput | GpiozeroRanging
        ] = {}  # a pin holds its callback weakly: we keep it alive

    def input(self, pin: int, *, pull: str, active: str) -> GpiozeroInput:
        """Claim a pin as an input. Call it on the loop that will wait for its edges."""
        raw = self._claim(pin)
        with translated(pin):
            raw.input_with_pull(PULLS[pull])
            raw.bounce = None
            raw.edges = "both"
            line = GpiozeroInput(pin, raw, active == "high", self._now, lambda: self._open.pop(pin, None))
            raw.when_changed = line.changed
        self._open[pin] = line
        return line

    def output(self, pin: int, *, active: str, initial: bool) -> GpiozeroOutput:
        """Claim a pin as an output at its initial logical level."""
        raw = self._claim(pin)
        with translated(pin):
            raw.output_with_state(initial == (active == "high"))
        line = GpiozeroOutput(pin, raw, active == "high", lambda: self._open.pop(pin, None))
        self._open[pin] = line
        return line

    def ranging(self, trigger: int, echo: int) -> GpiozeroRanging:
        """Claim a pin as a trigger and another as an echo. Call it on the loop that will wait for its echoes."""
        from drivers.ports.ranging import GpiozeroRanging  # few gateways have one

        for pin in (trigger, echo):
            self._claim(pin)
        with translated(echo):
            line = GpiozeroRanging(trigger, echo, self._factory, lambda: self._give_back(trigger, echo))
        self._open[trigger] = self._open[echo] = line
        return line

    def _give_back(self, *pins: int) -> None:
        for pin in pins:
            self._open.pop(pin, None)

    def close(self) -> None:
        """Give all lines and the factory back. Harmless to call again."""
        for line in tuple(self._open.values()):
            line.close()
        if self._factory is not None:
            self._factory.close()
            self._factory = None

    def _claim(self, pin: int) -> _Pin:
        if pin in self._open:
            raise PortError(PortFault.TAKEN, f"GPIO{pin}", "another device of this gateway uses it")
        if self._factory is None:
            try:
                self._factory = self._make()
            except PortError:
                raise
            except Exception as error:  # factories come from entry points, each with errors of its own
                raise _explain(pin, error, self._devices) from error
        revive_notifier()
        with translated(pin):
            return self._factory.pin(pin)


class GpiozeroInput:
    """Implements `drivers.seams.InputLine`."""

    def __init__(
        self, pin: int, raw: _Pin, active_high: bool, now: Callable[[], float], released: Callable[[], object]
    ) -> None:
        self._pin = pin
        self._raw = raw
        self._active_high = active_high
        self._now = now
        self._released = released
        self._closed = False
        self._notifier = notifier()
        self._loop = asyncio.get_running_loop()
        self._came = asyncio.Event()
        self._lock = Lock()  # guards everything below, which the factory's thread changes
        self._stamps = _Stamps(raw.factory, now)
        self._edges: deque[tuple[float, bool]] = deque(maxlen=QUEUE_LIMIT)
        self._dropped = 0
        self._waking = False

    async def wait(self, until: float | None) -> list[tuple[float, bool]]:
        """Wait for edges, or until that time; return (seconds, active) pairs, oldest first, perhaps none.

        Raises PortError when no edge can come any more.
        """
        while not self._edges:
            if self._notifier is not None and not self._notifier.is_alive():
                raise PortError(PortFault.FAILED, f"GPIO{self._pin}", "lgpio's thread has ended: no edge is told")
            left = LOOK_EVERY if until is None else until - self._now()
            if left <= 0:
                break
            self._came.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, LOOK_EVERY)):
                    await self._came.wait()
        with self._lock:
            edges = list(self._edges)
            self._edges.clear()
        return edges

    def active(self) -> bool:
        """Return the logical level now."""
        with translated(self._pin):
            return bool(self._raw.state) == self._active_high

    def dropped(self) -> int:
        """Return how many edges came too fast to be kept, since the last call."""
        with self._lock:
            dropped, self._dropped = self._dropped, 0
        return dropped

    def close(self) -> None:
        """Give the line back. Harmless to call again."""
        if not self._closed:
            self._closed = True
            self._raw.when_changed = None
            self._released()

    def changed(self, ticks: float, state: float) -> None:
        """Queue one edge; the factory calls this in its own thread.

        It must not raise: lgpio calls everybody's callbacks in one thread, which an exception would end. And it wakes
        the loop once for all edges not yet fetched: a contact that bounces must not fill the loop with wake-ups.
        """
        with self._lock:
            self._dropped += len(self._edges) == QUEUE_LIMIT
            self._edges.append((self._stamps.at(ticks), bool(state) == self._active_high))
            wake, self._waking = not self._waking, True
        if wake:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._wake)

    def _wake(self) -> None:
        with self._lock:
            self._waking = False
        self._came.set()


class GpiozeroOutput:
    """Implements `drivers.seams.OutputLine`."""

    def __init__(self, pin: int, raw: _Pin, active_high: bool, released: Callable[[], object]) -> None:
        self._pin = pin
        self._raw = raw
        self._active_high = active_high
        self._released = released
        self._closed = False

    def write(self, active: bool) -> None:
        """Drive the logical level."""
        with translated(self._pin):
            self._raw.state = active == self._active_high

    def close(self) -> None:
        """Give the line back; it floats from then on, so a siren's relay needs a resistor to its safe level."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(PortError), translated(self._pin):  # what fails here we do not hold any more
                self._raw.close()
            self._released()


class _Stamps:
    """Puts the ticks of a factory's callbacks on the scale of `now`.

    The kernel stamps an edge in its interrupt on CLOCK_MONOTONIC, and lgpio hands that on; the other factories take
    time.monotonic() in their callback. That stamp is what debouncing needs: our callback may come many milliseconds
    late. The sampler's scale is a clock that nobody slews, and CLOCK_MONOTONIC is slewed: their difference moves, but
    slowly. A thread that is interrupted between reading the two clocks sees it too small: the largest one seen is the
    truest, as far as it may not have shrunk since.
    """

    def __init__(self, factory: _Factory, now: Callable[[], float]) -> None:
        self._factory = factory
        self._now = now
        self._origin = factory.ticks()
        self._offset = -math.inf
        self._compared = now()
        self._compare()  # so that the first edge does not hang on one comparison alone

    def at(self, ticks: float) -> float:
        """Return the time of an edge, never later than now."""
        return min(self._compare(), self._offset + self._since(ticks))

    def _compare(self) -> float:
        now = self._now()
        shrunk = SLEW * (now - self._compared)
        self._offset = max(self._offset - shrunk, now - self._since(self._factory.ticks()))
        self._compared = now
        return now

    def _since(self, ticks: float) -> float:
        return self._factory.ticks_diff(ticks, self._origin)


@contextlib.contextmanager
def translated(pin: int) -> Iterator[None]:
    """Raise PortError for whatever goes wrong with a pin."""
    try:
        yield
    except Exception as error:  # lgpio.error shares no base with gpiozero's; other factories have others
        fault = PortFault.TAKEN if "busy" in str(error) else PortFault.FAILED
        raise PortError(fault, f"GPIO{pin}", str(error)) from error


def _explain(pin: int, error: Exception, devices: Path) -> PortError:
    """Say why there is no factory."""
    chips = sorted(devices.glob("gpiochip*"))
    closed = [chip for chip in chips if not os.access(chip, os.R_OK | os.W_OK, effective_ids=True)]
    fault, detail = PortFault.FAILED, f"gpiozero's pin factory does not work: {error}"
    if isinstance(error, ModuleNotFoundError):
        detail = f"{error}; sudo apt install python3-lgpio, and let the venv see it (--system-site-packages)"
    elif ".lgd-nfy" in str(error):  # lgpio makes a FIFO of this name where it is started
        detail = "lgpio must be able to write to the working folder; see WorkingDirectory= of the service"
    elif closed:
        fault, detail = PortFault.NOT_PERMITTED, f"{closed[0]}: {explain.permission(closed[0])}"
    elif not chips:
        fault, detail = PortFault.MISSING, f"this machine has no {devices}/gpiochip*: is it a Raspberry Pi? ({error})"
    return PortError(fault, f"GPIO{pin}", detail)
