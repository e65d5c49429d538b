"""MaxBotix HRXL-MaxSonar-WR ultrasonic sensor (MB7389 and relatives), looking down at water.

Source: MaxBotix PD11500, HRXL-MaxSonar-WR datasheet: 9600 8N1, R, four digits of millimetres, CR, 6 to 7.5 times a
second; 5000 (models of 10 m: 9999) when nothing comes back, 300 (500) for all that is nearer. At power-up some lines of
text come first. Models MB736x have the levels of RS-232, which a TTL input reads upside down.
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

BANNER = b"HRXL-MaxSonar-WRMT\rPN:MB7389\rCopyright 2011-2013\rMaxBotix Inc.\rRoHS 1.8b090  0713\rTempI\r"
# What a TTL input makes of RS-232 levels: recorded from an MB7066 (arduino.stackexchange, question 7976).
UPSIDE_DOWN = bytes((43, 192, 6, 6, 179, 89, 30, 0))
MILLIMETRE = 0.001  # metres


def frame(millimetres: int) -> bytes:
    """Return the line of a distance."""
    return b"R%04d\r" % millimetres


class Maxbotix(Talker):
    """A sensor over slowly changing water, just switched on.

    `echo` can be taken away, `near` water is nearer than it can measure, `inverted` is the wrong model for the input.
    """

    def __init__(
        self,
        name: str,
        wire: Wire,
        chance: random.Random,
        *,
        every: float = 0.15,
        reach: int = 5,
        mount_height: float | None = None,
    ) -> None:
        super().__init__(name, wire, chance, every=every)
        self.echo = True
        self.near = False
        self.inverted = False
        self._nothing, self._nearest = (5000, 300) if reach == 5 else (9999, 500)
        self._mount_height = mount_height
        self._millimetres = Walk(chance, 1000, 4000 if reach == 5 else 8000, 6)
        self._new = True

    def compose(self) -> list[Frame]:
        """Introduce the sensor, once, and report the distance."""
        if self.inverted:
            return [Frame(UPSIDE_DOWN)]
        banner = [Frame(BANNER)] if self._new else []
        self._new = False
        quantity = "water_distance" if self._mount_height is None else "water_level"
        if not self.echo:
            return [*banner, Frame(frame(self._nothing), (Said(quantity, None, reason=Reason.NO_ECHO),))]
        if self.near:
            return [*banner, Frame(frame(self._nearest), (Said(quantity, None, reason=Reason.OUT_OF_RANGE),))]
        millimetres = round(self._millimetres.step())
        distance = millimetres * MILLIMETRE
        value = distance if self._mount_height is None else self._mount_height - distance
        return [*banner, Frame(frame(millimetres), (Said(quantity, round(value, 3), MILLIMETRE),))]
