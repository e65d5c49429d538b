"""The end of the stream to the far end of a bench that is on this machine, and wires and pins as models see them."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import TYPE_CHECKING, Any

from hil.pinboard import PinBoard
from hil.rigs.base import RigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from hil.pinboard import Edge

ANSWERS_WITHIN = 20.0  # seconds; to log in takes some
LONGEST = 1 << 20  # bytes of an answer
PROTOCOL = 1


class FarEnd:
    """Speaks with far_end.py over a command's standard streams. Use it as an asynchronous context manager.

    `command` opens the stream, such as `["ssh", "far-pi", "python3", "far_end.py"]`. `faults` are what went wrong with
    requests that nobody waited for.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self.faults: list[str] = []
        self._command = list(command)
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._wires: dict[str, list[Callable[[bytes], None]]] = {}
        self._pins: dict[int, list[Callable[[bool], None]]] = {}

    async def __aenter__(self) -> Self:
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LONGEST
            )
        except OSError as error:
            raise RigError(f"bench.far_end: {self._command[0]}: {error.strerror}") from error
        self._reading = asyncio.create_task(self._read(self._process))
        try:
            spoken = (await self.ask("hello")).get("far_end")
            if spoken != PROTOCOL:
                raise RigError(
                    f"the far end speaks protocol {spoken}, and this is {PROTOCOL}: copy far_end.py there anew"
                )
        except RigError:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()  # at which it lets go of everything
            try:
                async with asyncio.timeout(ANSWERS_WITHIN):
                    await self._process.wait()
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._reading is not None:
            await self._reading

    async def ask(self, do: str, **fields: object) -> dict[str, Any]:
        """Have something done, and wait for the answer; raises RigError."""
        try:
            async with asyncio.timeout(ANSWERS_WITHIN):
                return await self._send(do, fields)
        except TimeoutError:
            raise RigError(f"the far end does not answer {do!r} within {ANSWERS_WITHIN:g} s") from None

    def tell(self, do: str, **fields: object) -> None:
        """Have something done, in the order in which it was told; what goes wrong is added to `faults`."""

        def note(answer: asyncio.Future[dict[str, Any]]) -> None:
            if not answer.cancelled() and (error := answer.exception()) is not None:
                self.faults.append(str(error))

        self._send(do, fields).add_done_callback(note)

    def on_wire(self, wire: str, heard: Callable[[bytes], None]) -> None:
        """Have `heard` called with what comes in on a wire."""
        self._wires.setdefault(wire, []).append(heard)

    def on_pin(self, pin: int, changed: Callable[[bool], None]) -> None:
        """Have `changed` called with each level of a pin of the far end that is watched."""
        self._pins.setdefault(pin, []).append(changed)

    def _send(self, do: str, fields: Mapping[str, object]) -> asyncio.Future[dict[str, Any]]:
        number = next(self._numbers)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        if self._process is None or self._process.stdin is None or self._reading is None or self._reading.done():
            answer.set_exception(RigError(f"the far end is gone: {' '.join(self._command)}"))
            return answer
        self._waiting[number] = answer
        self._process.stdin.write(json.dumps({"id": number, "do": do, **fields}).encode() + b"\n")
        return answer

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is not None:
            async for line in process.stdout:
                self._take(line)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(RigError(f"the far end has ended: {' '.join(self._command)}"))

    def _take(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            self.faults.append(f"the far end says what is no JSON: {line[:80]!r}")
            return
        match said:
            case {"id": int(number), "ok": dict(result)} if number in self._waiting:
                _settle(self._waiting.pop(number), result)
            case {"id": int(number), "error": str(text)} if number in self._waiting:
                _settle(self._waiting.pop(number), RigError(f"the far end: {text}"))
            case {"heard": str(wire), "hex": str(digits)}:
                for heard in self._wires.get(wire, []):
                    heard(bytes.fromhex(digits))
            case {"changed": int(pin), "level": bool(level)}:
                for changed in self._pins.get(pin, []):
                    changed(level)
            case _:
                self.faults.append(f"the far end says {line[:200]!r}")


def _settle(answer: asyncio.Future[dict[str, Any]], outcome: dict[str, Any] | RigError) -> None:
    if answer.done():  # whoever asked has gone
        return
    if isinstance(outcome, RigError):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)


class FarWire:
    """A serial line at the far end, as the simulated devices see one: nobody here knows what the gateway has read."""

    heard = True

    def __init__(self, far: FarEnd, name: str) -> None:
        self.written = 0
        self._far = far
        self._name = name

    def write(self, data: bytes) -> int:
        """Put bytes on the line, and return the offset behind them."""
        self.written += len(data)
        if data:
            self._far.tell("write", wire=self._name, hex=data.hex())
        return self.written

    def listen(self, heard: Callable[[bytes], None]) -> None:
        """Have `heard` called with whatever the gateway sends."""
        self._far.on_wire(self._name, heard)

    def unread(self) -> int:
        """Nobody knows."""
        return 0

    def unplug(self) -> None:
        """The far end lets go of its ports when it ends."""


class FarBoard(PinBoard):
    """Pins of the far end that are wired to pins of the gateway. `pins` are the far end's by those of the gateway."""

    def __init__(self, path: Path, far: FarEnd, pins: Mapping[int, int]) -> None:
        super().__init__(path)
        self._far = far
        self._wired = pins

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The far end lets go of its pins when it ends."""

    def edges(self, pin: int, edges: Iterable[Edge]) -> None:
        """Make a quick succession of edges; the far end keeps their times."""
        if pin not in self._unplugged:
            self._far.tell("edges", pin=self._at(pin), edges=[list(edge) for edge in edges])

    def watch(self, pin: int, changed: Callable[[bool, float], None]) -> None:
        """Have `changed(level, at)` called on each level of an output of the gateway."""
        super().watch(pin, changed)
        self._far.on_pin(self._at(pin), lambda level: self._output(pin, level))
        self._far.tell("watch", pin=self._at(pin))

    async def claims(self, *pins: int) -> None:
        """Return at once: at the other end of a wire nobody sees who listens."""

    async def left(self, within: float) -> None:
        """Return at once, for the same reason."""

    def _at(self, pin: int) -> int:
        if pin not in self._wired:
            raise RigError(f"bench.pins does not say to which pin of the far end GPIO {pin} of the gateway is wired")
        return self._wired[pin]
