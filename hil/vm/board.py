"""The GPIO header of a virtual machine, for the devices of hil.devices: the lines of gpio-sim, through the rig's hand.

The kernel there makes the edges. A contact does not bounce: of a quick succession of levels the last one is set.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from hil.pinboard import Edge, PinBoard
from hil.vm.helper import HelperError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from hil.vm.helper import Helper

LOOKED_AT_EVERY = 0.2  # seconds


class SimulatedChip(PinBoard):
    """A header whose pins are lines of a kernel. `meet` hands it the hand of each boot."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._helper: Helper | None = None
        self._waiting: asyncio.Queue[tuple[int, bool]] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.part()

    def meet(self, helper: Helper) -> None:
        """Take over the lines of a machine that has just booted."""
        self._helper = helper
        self._waiting = asyncio.Queue()
        for pin, level in self._levels.items():
            self._waiting.put_nowait((pin, level))
        self._tasks = [asyncio.create_task(self._move(helper)), asyncio.create_task(self._look(helper))]

    async def part(self) -> None:
        """Let go of a machine that is off: nobody listens to a pin, and nobody drives one."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        self._helper = None
        for pin in list(self._heard_since):
            self._release(pin)

    @property
    def connected(self) -> bool:
        """Tell whether there is a machine."""
        return self._helper is not None

    async def left(self, within: float) -> None:
        """Return at once: a kernel has nothing to hang up."""

    def edges(self, pin: int, edges: Iterable[Edge]) -> None:
        """Put an input at the last of these levels."""
        *_, (level, _) = edges
        if pin not in self._unplugged:
            self._levels[pin] = level
            self._waiting.put_nowait((pin, level))

    async def _move(self, helper: Helper) -> None:
        """Set levels in the order in which they came."""
        with contextlib.suppress(HelperError):  # the machine is gone
            while True:
                pin, level = await self._waiting.get()
                await helper.pull(pin, up=level)

    async def _look(self, helper: Helper) -> None:
        """See which lines are claimed, and the levels of those that are driven."""
        with contextlib.suppress(HelperError):
            while True:
                claimed = await helper.claims()
                for pin in self._heard_since.keys() - claimed.keys():
                    self._release(pin)
                for pin, way in claimed.items():
                    if pin in self._levels and not self.claimed(pin):  # a claim with a pull has moved it
                        self._waiting.put_nowait((pin, self._levels[pin]))
                    self._hear(pin)
                    if way == "out" and (level := await helper.value(pin)) != self._outputs.get(pin):
                        self._output(pin, level)
                async with self._changed:
                    self._changed.notify_all()
                await asyncio.sleep(LOOKED_AT_EVERY)
