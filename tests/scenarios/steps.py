"""What the scenarios have in common. They know a gateway by its wires, pins and link, and by what it tells the city."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hil.rigs.base import Rig

AN_HOUR = 2.5  # seconds: `silent_after` is one second here in place of a minute
SENSORS = ("air-1", "level-1", "meter-1", "meter-2")


async def goes_on(rig: Rig, *devices: str, readings: int = 3) -> None:
    """Wait until so many new values of each device have arrived."""
    before = {one: len(rig.city.values(one)) for one in devices}
    await rig.until(lambda: all(len(rig.city.values(one)) >= before[one] + readings for one in devices))


async def is_told(rig: Rig, device: str, *states: str) -> None:
    """Wait until the city is told that a device is in one of these states."""
    await rig.until(lambda: rig.city.state(device) in states)


async def passes(rig: Rig, seconds: float) -> None:
    """Let time pass."""
    until = time.monotonic() + seconds
    await rig.until(lambda: time.monotonic() > until, seconds + rig.patience)


def raised(rig: Rig, device: str) -> list[bool]:
    """Return how a device's alarms came: raised (True) or cleared (False), one after the other."""
    return [one.raised for one in rig.city.alarms(device)]
