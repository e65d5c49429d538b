"""DYP A02YYUW ultrasonic distance sensor, looking down at water; JSN-SR04T and AJ-SR04M, which may need a trigger.

Source: DFRobot SEN0311 / DYP-A02YYUW-V2.0 datasheet, "UART output": 9600 8N1, FF, high, low, low byte of their sum;
millimetres from 30 to 4500, one frame in 100 to 300 ms; without an echo it sends zero, correctly summed. JSN-SR04T,
"output mode" 3: the same frame after each 55. AJ-SR04M: the sum is of the two data bytes alone.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from drivers.contract import Reason
from hil.devices.talker import Frame, Talker
from hil.emissions import Said
from hil.walk import Walk

if TYPE_CHECKING:
    import random

    from hil.wires.wire import Wire

HEAD = 0xFF
TRIGGER = 0x55
MILLIMETRE = 0.001  # metres


def frame(millimetres: int, *, sum_all: bool = True) -> bytes:
    """Return the frame of a distance."""
    high, low = divmod(millimetres, 256)
    return bytes([HEAD, high, low, ((HEAD if sum_all else 0) + high + low) & 0xFF])


class A02yyuw(Talker):
    """A sensor over slowly changing water; `echo` can be taken away, and `near` water is nearer than it can measure.

    With `mount_height` (metres above the zero of the gauge), a correct reader that is told so reads a level.
    """

    def __init__(
        self,
        name: str,
        wire: Wire,
        chance: random.Random,
        *,
        every: float = 0.3,
        mount_height: float | None = None,
        sum_all: bool = True,
        triggered: bool = False,
    ) -> None:
        super().__init__(name, wire, chance, every=every)
        self.echo = True
        self.near = False
        self._mount_height = mount_height
        self._sum_all = sum_all
        self._triggered = triggered
        self._millimetres = Walk(chance, 2000, 4000, 6)
        if triggered:
            wire.listen(self._hear)

    async def run(self) -> None:
        """Speak until cancelled, or only when triggered."""
        if self._triggered:
            await asyncio.get_running_loop().create_future()
        await super().run()

    def _hear(self, data: bytes) -> None:
        for _ in range(data.count(TRIGGER)):
            self.speak()

    def compose(self) -> list[Frame]:
        """Report the distance, or that nothing came back."""
        quantity = "water_distance" if self._mount_height is None else "water_level"
        if not self.echo:
            return [Frame(frame(0, sum_all=self._sum_all), (Said(quantity, None, reason=Reason.NO_ECHO),))]
        if self.near:
            return [Frame(frame(20, sum_all=self._sum_all), (Said(quantity, None, reason=Reason.OUT_OF_RANGE),))]
        millimetres = round(self._millimetres.step())
        distance = millimetres * MILLIMETRE
        value = distance if self._mount_height is None else self._mount_height - distance
        said = (Said(quantity, round(value, 3), MILLIMETRE),)
        return [Frame(frame(millimetres, sum_all=self._sum_all), said)]
