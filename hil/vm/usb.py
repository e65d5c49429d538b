"""A USB-serial adapter of the machine: an FTDI with a serial number of its own, that can be pulled out and put back.

The host's end is a unix socket. QEMU's adapter has no UART that overflows: what the host writes while nobody has the
device open would wait in the socket and be read as new much later. So nothing is written until somebody is seen to
have it open, and what does not fit is lost, as on a line.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from hil.vm.qmp import QmpError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hil.vm.qmp import Qmp

BUS = "usb.0"
ROOM = 512  # bytes that may wait on the host's side: about half a second at 9600 baud


class UsbSerial:
    """One adapter; a `Wire` for the devices of hil.devices."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.path = f"/dev/serial/by-id/usb-QEMU_QEMU_USB_SERIAL_{name}-if00-port0"
        self.written = 0
        self.open = False  # in the machine
        self.plugged = False
        self.deaf: list[tuple[float, float]] = []  # stretches of bytes that nobody can have read
        self._socket = folder / f"usb-{name}"
        self._listeners: list[Callable[[bytes], None]] = []
        self._qmp: Qmp | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def arguments(self) -> list[str]:
        """What QEMU's command line says of it."""
        return ["-chardev", f"socket,id=usb-{self.name},path={self._socket},server=on,wait=off"]

    async def attach(self, qmp: Qmp) -> None:
        """Connect to a QEMU that has just been started, and plug it in."""
        self._qmp = qmp
        reader, self._writer = await asyncio.open_unix_connection(self._socket)
        self._writer.transport.set_write_buffer_limits(ROOM)
        self._reading = asyncio.create_task(self._read(reader), name=f"adapter {self.name}")
        await self.plug()

    async def detach(self) -> None:
        """Take note that QEMU is gone."""
        self.plugged = self.open = False
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
            await asyncio.wait({reading})
        if self._writer is not None:
            self._writer.close()
        self._writer = self._qmp = None

    async def plug(self) -> None:
        """Put it into its socket. Harmless if it is there."""
        if self._qmp is not None and not self.plugged:
            device = f"device-{self.name}"
            await self._qmp.execute(
                "device_add", driver="usb-serial", id=device, bus=BUS, chardev=f"usb-{self.name}", serial=self.name
            )
            self.plugged = True

    async def unplug(self) -> None:
        """Pull it out. Harmless if it is out."""
        if self._qmp is None or not self.plugged:
            return
        self.plugged = self.open = False
        await self._qmp.execute("device_del", id=f"device-{self.name}")
        await self._gone()

    async def _gone(self) -> None:
        """Wait until QEMU has taken it out: until then its name cannot be used again."""
        with contextlib.suppress(QmpError):
            while self._qmp is not None:
                await self._qmp.execute("qom-get", path=f"/machine/peripheral/device-{self.name}", property="type")
                await asyncio.sleep(0.02)

    def listen(self, heard: Callable[[bytes], None]) -> None:
        """Have `heard` called with whatever the machine sends."""
        self._listeners.append(heard)

    def write(self, data: bytes) -> int:
        """Put bytes on the line, if somebody listens, and return the running offset behind them."""
        start = self.written
        self.written += len(data)
        if self.heard and self._writer is not None:
            self._writer.write(data)
        else:
            self.deaf.append((start, self.written))
        return self.written

    @property
    def heard(self) -> bool:
        """Tell whether what is written now can be read."""
        return (
            self.open
            and self._writer is not None
            and not self._writer.is_closing()
            and self._writer.transport.get_write_buffer_size() < ROOM
        )

    async def _read(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(4096):
            for heard in self._listeners:
                heard(data)
