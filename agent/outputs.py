"""Which outputs an agent drives, written down on tmpfs so that they can be made safe when it is dead.

Raspberry Pi's kernels let an output keep its level when the process that drove it ends, however it ends.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple, cast

from drivers.contract import OutputDriver

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.config.model import Device
    from agent.seams import Disk
    from drivers.contract import GpioPorts, OutputSettings

NAME = "outputs.json"  # beside the young end of the journal


class Pin(NamedTuple):
    """One output."""

    device: str
    pin: int  # BCM number
    active: str  # the level at which it is on: "low" or "high"


def note(disk: Disk, devices: Iterable[Device]) -> None:
    """Write down the outputs among these devices; raises OSError."""
    pins = []
    for device in devices:
        if isinstance(device.driver, OutputDriver):
            settings = cast("OutputSettings", device.settings)
            pins.append(Pin(device.id, settings.pin, settings.active))
    if pins:
        disk.replace(NAME, json.dumps(pins).encode())
    elif NAME in disk.names():
        disk.remove(NAME)


def noted(disk: Disk) -> list[Pin]:
    """Return what was written down, nothing if there never was an output; raises OSError or ValueError."""
    try:
        rows = json.loads(disk.read(NAME))
    except FileNotFoundError:
        return []
    match rows:
        case [*rows] if all(_is_pin(row) for row in rows):
            return [Pin(*row) for row in rows]
    raise ValueError(f"{NAME}: not a list of outputs")


def _is_pin(row: object) -> bool:
    match row:
        case [str(), int(), "low" | "high"]:
            return True
    return False


def make_safe(gpio: GpioPorts, pin: Pin) -> None:
    """Switch an output off and let go of it; raises PortError."""
    gpio.output(pin.pin, active=pin.active, initial=False).close()
