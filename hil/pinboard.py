"""The rig's side of the GPIO header: it drives the inputs of an agent, and watches its outputs and what it claims.

Lines of text go over a unix socket. From the rig: `17 0 250.5` puts pin 17 low at 250.5 seconds of CLOCK_MONOTONIC, on
which a kernel stamps edges; the levels that are there at connect have no instant, and `ready` follows them. From the
agent: `in 17 up` a claim with its pull, `edges 17 1` edges are listened to, `out 22 1` an output's level, `free 17` a
pin given back.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

Edge = tuple[bool, float]  # level, seconds after the edge before


class PinBoard:
    """A header of pins at a unix socket. Use it as an asynchronous context manager. One agent at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.pulls: dict[int, str] = {}  # of the inputs that are claimed now
        self.persistent = False  # outputs keep their level when nobody drives them, as with Raspberry Pi's kernels
        self._levels: dict[int, bool] = {}
        self._outputs: dict[int, bool] = {}
        self._unplugged: set[int] = set()
        self._watchers: dict[int, list[Callable[[bool, float], None]]] = {}
        self._heard_since: dict[int, float] = {}
        self._deaf: dict[int, list[tuple[float, float]]] = {}
        self._deaf_since: dict[int, float] = {}
        self._changed = asyncio.Condition()
        self._writer: asyncio.StreamWriter | None = None
        self._agent: asyncio.Task[None] | None = None
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._serve, self.path)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        if self._writer is not None:
            self._writer.close()
        if self._agent is not None:
            await self._agent
        if self._server is not None:
            await self._server.wait_closed()
        self.path.unlink(missing_ok=True)

    @property
    def connected(self) -> bool:
        """Tell whether an agent is there."""
        return self._writer is not None

    def set(self, pin: int, level: bool) -> None:
        """Put an input at a level, now and for agents to come."""
        self.edges(pin, [(level, 0.0)])

    def edges(self, pin: int, edges: Iterable[Edge]) -> None:
        """Make a quick succession of edges; the agent's end keeps their times, where no event loop disturbs them."""
        if pin in self._unplugged:
            return
        lines = []
        at = time.monotonic()
        for level, after in edges:
            self._levels[pin] = level
            at += after
            lines.append(f"{pin} {level:d} {at:.6f}\n")
        if self._writer is not None:
            self._writer.write("".join(lines).encode("ascii"))

    async def pulse(self, pin: int, level: bool, seconds: float) -> None:
        """Put an input at a level for a while, and back."""
        self.set(pin, level)
        await asyncio.sleep(seconds)
        self.set(pin, not level)

    def unplug(self, pin: int, rest: bool) -> None:
        """Let what hangs on an input move it no more; the pull brings it to a level of rest."""
        self.set(pin, rest)
        self._unplugged.add(pin)

    def plug(self, pin: int) -> None:
        """Let what hangs on an input move it again."""
        self._unplugged.discard(pin)

    def reads(self, pin: int) -> bool | None:
        """Return the level of an output, or None while no agent drives it."""
        return self._outputs.get(pin)

    def watch(self, pin: int, changed: Callable[[bool, float], None]) -> None:
        """Have `changed(level, at)` called on each level an agent gives an output, and with False when it lets go."""
        self._watchers.setdefault(pin, []).append(changed)

    def claimed(self, pin: int) -> bool:
        """Tell whether an agent listens to the edges of a pin, or drives it."""
        return pin in self._heard_since

    async def claims(self, *pins: int) -> None:
        """Wait until an agent listens to, or drives, all these pins."""
        async with self._changed:
            await self._changed.wait_for(lambda: all(map(self.claimed, pins)))

    async def left(self, within: float) -> None:
        """Wait until no agent is connected; raises TimeoutError."""
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(lambda: not self.connected)

    def stretches(self, pin: int) -> list[tuple[float, float]]:
        """Return the stretches of time (CLOCK_REALTIME seconds) during which no agent listened to, or drove, a pin."""
        past = self._deaf.get(pin, [])
        return past if self.claimed(pin) else [*past, (self._deaf_since.get(pin, -math.inf), math.inf)]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._agent is not None:
            await self._agent  # the one before is dead; all it said comes first
        self._agent = asyncio.current_task()
        self._writer = writer
        levels = "".join(f"{pin} {level:d}\n" for pin, level in self._levels.items())
        writer.write((levels + "ready\n").encode("ascii"))
        try:
            with contextlib.suppress(ConnectionError):
                async for line in reader:
                    await self._take(line.decode("ascii").split())
        finally:
            self._writer = self._agent = None
            writer.close()
            for pin in list(self._heard_since):
                self._release(pin)
            async with self._changed:
                self._changed.notify_all()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _take(self, words: list[str]) -> None:
        what, pin = words[0], int(words[1])
        match what, words[2:]:
            case "in", [pull]:
                self.pulls[pin] = pull
            case "edges", ["1"]:
                self._hear(pin)
            case "out", [level]:
                self._hear(pin)
                self._output(pin, level == "1")
            case _:
                self._release(pin)
        async with self._changed:
            self._changed.notify_all()

    def _hear(self, pin: int) -> None:
        if pin not in self._heard_since:
            now = time.time()
            self._heard_since[pin] = now
            self._deaf.setdefault(pin, []).append((self._deaf_since.get(pin, -math.inf), now))

    def _release(self, pin: int) -> None:
        self.pulls.pop(pin, None)
        if self._heard_since.pop(pin, None) is not None:
            self._deaf_since[pin] = time.time()
        if pin in self._outputs and not self.persistent:
            self._output(pin, level=False)  # the hardware pull takes over
            del self._outputs[pin]

    def _output(self, pin: int, level: bool) -> None:
        self._outputs[pin] = level
        for changed in self._watchers.get(pin, []):
            changed(level, time.time())
