"""DYP A02YYUW ultrasonic distance sensor, looking down at water.

Source: DFRobot SEN0311 / DYP-A02YYUW-V2.0 datasheet, "UART output": 9600 8N1, FF, high, low, low byte of their sum;
millimetres from 30 to 4500, one frame in 100 to 300 ms; without an echo it sends zero, correctly summed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from drivers.contract import Reason
from hil.devices.talker import Frame, Talker
from hil.emissions import Said
from hil.walk import Walk

if TYPE_CHECKING:
    import random

    from hil.wires.wire import Wire

HEAD = 0xFF
MILLIMETRE = 0.001  # metres


def frame(millimetres: int) -> bytes:
    """Return the frame of a distance."""
    high, low = divmod(millimetres, 256)
    return bytes([HEAD, high, low, (HEAD + high + low) & 0xFF])


class A02yyuw(Talker):
    """A sensor over slowly changing water; `echo` can be taken away.

    With `mount_height` (metres above the zero of the gauge), a correct reader that is told so reads a level.
    """

    def __init__(
        self, name: str, wire: Wire, chance: random.Random, *, every: float = 0.3, mount_height: float | None = None
    ) -> None:
        super().__init__(name, wire, chance, every=every)
        self.echo = True
        self._mount_height = mount_height
        self._millimetres = Walk(chance, 2000, 4000, 6)

    def compose(self) -> list[Frame]:
        """Report the distance, or that nothing came back."""
        quantity = "water_distance" if self._mount_height is None else "water_level"
        if not self.echo:
            return [Frame(frame(0), (Said(quantity, None, reason=Reason.NO_ECHO),))]
        millimetres = round(self._millimetres.step())
        distance = millimetres * MILLIMETRE
        value = distance if self._mount_height is None else self._mount_height - distance
        return [Frame(frame(millimetres), (Said(quantity, round(value, 3), MILLIMETRE),))]
