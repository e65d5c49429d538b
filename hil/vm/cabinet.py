"""A cabinet around a virtual machine: its wires are USB-serial adapters, its pins the lines of a kernel."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, cast

from hil.cabinet import Cabinet
from hil.vm.board import SimulatedChip

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from hil.vm.usb import UsbSerial
    from hil.wires.pty import Pty


class Adapter:
    """An adapter, as a cabinet handles a line: plugs are moved one after the other, and nobody waits for it."""

    def __init__(self, usb: UsbSerial) -> None:
        self._usb = usb
        self._moving: asyncio.Task[None] | None = None

    def write(self, data: bytes) -> int:
        """Put bytes on the line."""
        return self._usb.write(data)

    def listen(self, heard: Callable[[bytes], None]) -> None:
        """Have `heard` called with whatever the agent sends."""
        self._usb.listen(heard)

    def plug(self) -> None:
        """Put the adapter in."""
        self._moving = asyncio.create_task(self._after(self._moving, self._usb.plug))

    def unplug(self) -> None:
        """Pull the adapter out."""
        self._moving = asyncio.create_task(self._after(self._moving, self._usb.unplug))

    async def _after(self, before: asyncio.Task[None] | None, move: Callable[[], Awaitable[None]]) -> None:
        if before is not None:
            await before
        await move()

    def unread(self) -> int:
        """Return 0: what the kernel there holds cannot be seen from here."""
        return 0

    def reader_gone(self) -> None:
        """Do nothing: the machine is asked who has the adapter open."""

    def stretches(self) -> list[tuple[float, float]]:
        """Return every stretch of bytes that nobody can have read."""
        return self._usb.deaf if self._usb.open else [*self._usb.deaf, (self._usb.written, math.inf)]


class VmCabinet(Cabinet):
    """A cabinet whose lines are these adapters, by their port in the plan."""

    def __init__(self, root: Path, plan: Path, adapters: Mapping[str, UsbSerial]) -> None:
        super().__init__(root, plan)
        self.board: SimulatedChip = SimulatedChip(root / "pins.sock")
        self._adapters = adapters

    def _wire(self, path: str) -> Pty:
        if path not in self.wires:
            self.wires[path] = cast("Pty", Adapter(self._adapters[path]))  # with the verbs that a cabinet needs
        return self.wires[path]
