"""Ports that play a script: what must be written, and what is readable then. For tests and simulations.

A script is exact, as embedded-hal-mock's are: anything written that it does not say next is an error at once, and
`done` fails if anything of it is left.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from drivers.seams import PortError, PortFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from drivers.contract import Reason, SerialLine


class Expect(NamedTuple):
    """These bytes must be written next, in one piece."""

    data: bytes


class Give(NamedTuple):
    """These bytes are readable next, in one piece."""

    data: bytes


class Fail(NamedTuple):
    """From here on the line is gone."""

    fault: PortFault = PortFault.UNPLUGGED
    detail: str = "the script ends the line here"


class ScriptError(AssertionError):
    """What happened is not what the script says."""


class ScriptedSerialPort:
    """Implements `drivers.seams.SerialPort`. After its last step the line is silent."""

    def __init__(self, *steps: Expect | Give | Fail, path: str = "script") -> None:
        self._steps = deque(steps)
        self._path = path
        self._changed = asyncio.Event()
        self._closed = False
        self._error: ScriptError | None = None

    async def read(self) -> bytes:
        """Return the bytes of the next step; while that is an Expect, wait until it is fulfilled."""
        while True:
            if self._steps and isinstance(step := self._steps[0], Give):
                self._steps.popleft()
                return step.data
            self._check()
            self._changed.clear()
            await self._changed.wait()

    def write(self, data: bytes) -> None:
        """Take the bytes if they are what the next step expects; raises ScriptError if not."""
        self._check()
        if not self._steps or self._steps[0] != Expect(data):
            self._error = ScriptError(f"{self._path}: written {data.hex(' ')}, but next is {self._next()}")
            raise self._error
        self._steps.popleft()
        self._changed.set()

    def flush(self) -> None:
        """Skip what is readable now."""
        while self._steps and isinstance(self._steps[0], Give):
            self._steps.popleft()

    def close(self) -> None:
        """End the line. Harmless to call again."""
        self._closed = True
        self._changed.set()

    def done(self) -> None:
        """Raise ScriptError if anything did not go by the script, or has not come yet; a final Fail need not be met."""
        if self._error is not None:
            raise self._error
        if self._steps and not isinstance(self._steps[0], Fail):
            raise ScriptError(f"{self._path}: {len(self._steps)} steps left, the next is {self._next()}")

    def _check(self) -> None:
        if self._closed:
            raise PortError(PortFault.FAILED, self._path, "closed")
        if self._steps and isinstance(self._steps[0], Fail):
            raise PortError(self._steps[0].fault, self._path, self._steps[0].detail)

    def _next(self) -> str:
        if not self._steps:
            return "nothing"
        step = self._steps[0]
        return str(step) if isinstance(step, Fail) else f"{type(step).__name__} {step.data.hex(' ')}"


class ScriptedSerialPorts:
    """Implements `drivers.seams.SerialPorts`: what each attempt to open a path gives, in turn."""

    def __init__(self, ports: Mapping[str, Iterable[ScriptedSerialPort | PortError]]) -> None:
        self._waiting = {path: deque(attempts) for path, attempts in ports.items()}
        self._opened: list[ScriptedSerialPort] = []

    async def open(self, path: str, line: SerialLine) -> ScriptedSerialPort:  # noqa: ARG002 - a script has no baud rate
        """Give out the next port of that path, or raise the PortError that stands in its place."""
        attempts = self._waiting.get(path)
        if not attempts:
            raise PortError(PortFault.MISSING, path, "the script has no more ports here")
        port = attempts.popleft()
        if isinstance(port, PortError):
            raise port
        self._opened.append(port)
        return port

    def done(self) -> None:
        """Raise ScriptError unless every port was opened and is done."""
        for path, attempts in self._waiting.items():
            if attempts:
                raise ScriptError(f"{path}: {len(attempts)} ports were not opened")
        for port in self._opened:
            port.done()


class ScriptedInput:
    """Implements `drivers.seams.InputLine`: edges that come at their times on the clock `now`, in seconds."""

    def __init__(
        self, now: Callable[[], float], edges: Iterable[tuple[float, bool]], *, start: bool = False, dropped: int = 0
    ) -> None:
        self._now = now
        self._edges = deque(edges)
        self._active = start
        self._dropped = dropped

    async def wait(self, until: float | None) -> list[tuple[float, bool]]:
        """Wait for the next edge, or until that time; return (seconds, active) pairs, oldest first, perhaps none."""
        wake = min(self._edges[0][0] if self._edges else math.inf, math.inf if until is None else until)
        if wake == math.inf:
            await asyncio.get_running_loop().create_future()  # never: the script is over
        await asyncio.sleep(wake - self._now())
        came = []
        while self._edges and self._edges[0][0] <= max(wake, self._now()):
            came.append(self._edges.popleft())
            self._active = came[-1][1]
        return came

    def active(self) -> bool:
        """Return the level after the edges that were fetched."""
        return self._active

    def dropped(self) -> int:
        """Return the number given, once."""
        dropped, self._dropped = self._dropped, 0
        return dropped

    def close(self) -> None:
        """Give the line back."""

    def done(self) -> None:
        """Raise ScriptError if edges are left."""
        if self._edges:
            raise ScriptError(f"{len(self._edges)} edges left, the next at {self._edges[0][0]} s")


class ScriptedOutput:
    """Implements `drivers.seams.OutputLine`: the levels that must be driven, the initial one first."""

    def __init__(self, *levels: bool) -> None:
        self._levels = deque(levels)
        self._error: ScriptError | None = None

    def write(self, active: bool) -> None:
        """Take the level if it is the next; raises ScriptError if not."""
        if not self._levels or self._levels[0] != active:
            self._error = ScriptError(f"driven {active}, but next is {self._levels[0] if self._levels else 'nothing'}")
            raise self._error
        self._levels.popleft()

    def close(self) -> None:
        """Give the line back."""

    def done(self) -> None:
        """Raise ScriptError if anything did not go by the script, or levels are left."""
        if self._error is not None:
            raise self._error
        if self._levels:
            raise ScriptError(f"{len(self._levels)} levels left, the next is {self._levels[0]}")


class ScriptedRanging:
    """Implements `drivers.seams.RangingLine`: what each measurement gives, in turn; the last for good."""

    def __init__(self, *echoes: float | Reason | PortError) -> None:
        self._echoes = deque(echoes)

    async def measure(self) -> float | Reason:
        """Return the next echo, or raise the PortError that stands in its place."""
        echo = self._echoes.popleft() if len(self._echoes) > 1 else self._echoes[0]
        if isinstance(echo, PortError):
            raise echo
        return echo

    def close(self) -> None:
        """Give the pins back."""

    def done(self) -> None:
        """Raise ScriptError if echoes are left."""
        if len(self._echoes) > 1:
            raise ScriptError(f"{len(self._echoes)} echoes left, the next is {self._echoes[0]}")


class ScriptedGpioPorts:
    """Implements `drivers.seams.GpioPorts`: one line a pin, that of the echo for two."""

    def __init__(self, lines: Mapping[int, ScriptedInput | ScriptedOutput | ScriptedRanging]) -> None:
        self._lines = dict(lines)

    def input(self, pin: int, *, pull: str, active: str) -> ScriptedInput:  # noqa: ARG002 - a script has logical levels
        """Give out the input of that pin."""
        line = self._lines.get(pin)
        if not isinstance(line, ScriptedInput):
            raise PortError(PortFault.MISSING, f"GPIO{pin}", "the script has no such input")
        return line

    def output(self, pin: int, *, active: str, initial: bool) -> ScriptedOutput:  # noqa: ARG002 - as above
        """Give out the output of that pin, driven at its initial level."""
        line = self._lines.get(pin)
        if not isinstance(line, ScriptedOutput):
            raise PortError(PortFault.MISSING, f"GPIO{pin}", "the script has no such output")
        line.write(initial)
        return line

    def ranging(self, trigger: int, echo: int) -> ScriptedRanging:
        """Give out the line of these pins."""
        line = self._lines.get(echo)
        if not isinstance(line, ScriptedRanging):
            raise PortError(PortFault.MISSING, f"GPIO{trigger} and GPIO{echo}", "the script has no such line")
        return line

    def done(self) -> None:
        """Raise ScriptError unless every line is done."""
        for line in self._lines.values():
            line.done()
