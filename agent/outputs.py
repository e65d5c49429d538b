"""Which outputs an agent drives, written down on tmpfs so that they can be made safe when it is dead.

Raspberry Pi's kernels let an output keep its level when the process that drove it ends, however it ends; and a relay
board on a serial line knows nothing of processes.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, NamedTuple, cast

from drivers.contract import BusOutputDriver, OutputDriver, SerialLine
from drivers.seams import PortError, PortFault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agent.config.model import Device
    from agent.seams import Disk
    from drivers.contract import OutputSettings
    from drivers.seams import GpioPorts, SerialPorts

NAME = "outputs.json"  # beside the young end of the journal
TRIES = 3  # switching off twice does no harm, and a lost answer is no reason to leave a siren on
ANSWER_WITHIN = 0.5  # seconds


class Pin(NamedTuple):
    """An output on a pin."""

    device: str
    pin: int  # BCM number
    active: str  # the level at which it is on: "low" or "high"


class Relay(NamedTuple):
    """An output on a serial line."""

    device: str
    path: str
    line: tuple[int, int, str, int]  # baud, bits, parity, stop
    off: str  # the request that switches it off, which the device repeats as its answer; hexadecimal


def note(disk: Disk, devices: Iterable[Device], port_of: Callable[[Device], tuple[str, SerialLine]]) -> None:
    """Write down the outputs among these devices; raises OSError. `port_of` tells path and line of a serial device."""
    rows: list[Pin | Relay] = []
    for device in devices:
        if isinstance(device.driver, OutputDriver):
            settings = cast("OutputSettings", device.settings)
            rows.append(Pin(device.id, settings.pin, settings.active))
        elif isinstance(device.driver, BusOutputDriver):
            path, line = port_of(device)
            off = device.driver.make(device.settings).off().hex()
            rows.append(Relay(device.id, path, (line.baud, line.bits, line.parity, line.stop), off))
    if rows:
        disk.replace(NAME, json.dumps(rows).encode())
    elif NAME in disk.names():
        disk.remove(NAME)


def noted(disk: Disk) -> list[Pin | Relay]:
    """Return what was written down, nothing if there never was an output; raises OSError or ValueError."""
    try:
        rows = json.loads(disk.read(NAME))
    except FileNotFoundError:
        return []
    if not isinstance(rows, list):
        raise ValueError(f"{NAME}: not a list of outputs")
    return [_output(row) for row in rows]


def _output(row: object) -> Pin | Relay:
    match row:
        case [str(device), int(pin), ("low" | "high") as active]:
            return Pin(device, pin, active)
        case [str(device), str(path), [int(baud), int(bits), str(parity), int(stop)], str(off)]:
            bytes.fromhex(off)  # may raise ValueError
            return Relay(device, path, (baud, bits, parity, stop), off)
    raise ValueError(f"{NAME}: not a list of outputs")


def make_safe(gpio: GpioPorts, pin: Pin) -> None:
    """Switch an output off and let go of it; raises PortError."""
    gpio.output(pin.pin, active=pin.active, initial=False).close()


async def make_relay_safe(ports: SerialPorts, relay: Relay) -> None:
    """Switch an output on a serial line off, and see that it answers; raises PortError."""
    port = await ports.open(relay.path, SerialLine(*relay.line))
    off = bytes.fromhex(relay.off)
    try:
        for _ in range(TRIES):
            port.flush()
            port.write(off)
            heard = b""
            try:
                async with asyncio.timeout(ANSWER_WITHIN):
                    while off not in heard:
                        heard += await port.read()
                    return
            except TimeoutError:
                continue
    finally:
        port.close()
    raise PortError(PortFault.FAILED, relay.path, f"{relay.device} does not answer: it may be on")
