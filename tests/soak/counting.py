"""Sensors that count: what they report does not come again for seconds, so no reading can be taken for another's.

The simulated sensors of hil change slowly, as real ones do. At hundreds of times their pace equal values stand closer
together than readings can be dated, and an account cannot tell which of them is missing.
"""

from __future__ import annotations

import time
from itertools import cycle
from typing import TYPE_CHECKING

from hil.devices import a02yyuw, nmea, plantower
from hil.devices.talker import Frame, Talker
from hil.emissions import Said

if TYPE_CHECKING:
    import random

    from hil.wires.wire import Wire

DISTANCES = range(30, 4500)  # millimetres: all that the sensor can say
CONCENTRATIONS = range(1, 5000)  # ug/m3; nothing but zeros is what a sensor says whose fan does not run yet
PLACES = range(10_000)


class Plantower(Talker):
    """Air that gets denser by 1 ug/m3 a report, and is nearly clean again at the end."""

    def __init__(self, name: str, wire: Wire, chance: random.Random, *, every: float) -> None:
        super().__init__(name, wire, chance, every=every)
        self._counts = cycle(CONCENTRATIONS)

    def compose(self) -> list[Frame]:
        """Report the same concentration of all sizes."""
        count = next(self._counts)
        said = tuple(Said(quantity, count, 1) for quantity in ("pm1", "pm2_5", "pm10"))
        return [Frame(plantower.packed([count] * 6 + [1] * 3), said)]  # as a PMS3003: without counts


class A02yyuw(Talker):
    """Water that falls by a millimetre a report, and stands as high as before at the end."""

    def __init__(self, name: str, wire: Wire, chance: random.Random, *, every: float, mount_height: float) -> None:
        super().__init__(name, wire, chance, every=every)
        self._counts = cycle(DISTANCES)
        self._mount_height = mount_height

    def compose(self) -> list[Frame]:
        """Report the distance."""
        millimetres = next(self._counts)
        level = round(self._mount_height - millimetres * a02yyuw.MILLIMETRE, 3)
        return [Frame(a02yyuw.frame(millimetres), (Said("water_level", level, a02yyuw.MILLIMETRE),))]


class Nmea(Talker):
    """A receiver that goes north-east and uphill, ever quicker, and begins anew."""

    LATITUDE, LONGITUDE = 7, 98  # degrees
    STEP = 1e-5 * nmea.MINUTE

    def __init__(self, name: str, wire: Wire, chance: random.Random, *, every: float) -> None:
        super().__init__(name, wire, chance, every=every)
        self._counts = cycle(PLACES)

    def spoil(self, data: bytes) -> bytes:
        """Return a sentence whose checksum is wrong."""
        return data[:-3] + bytes([data[-3] ^ 0x01]) + data[-2:]

    def compose(self) -> list[Frame]:
        """Report the speed, and the position with all that goes with it."""
        count = next(self._counts)
        now = time.time()
        clock = time.strftime("%H%M%S", time.gmtime(now)) + f".{int(now * 100) % 100:02d}"
        date = time.strftime("%d%m%y", time.gmtime(now))
        latitude, longitude = (degrees + count * self.STEP for degrees in (self.LATITUDE, self.LONGITUDE))
        altitude, hdop, knots = count / 10, count / 100, count / 250
        place = f"{nmea.angle(latitude, 2, 'N', 'S')},{nmea.angle(longitude, 3, 'E', 'W')}"
        rmc = nmea.sentence(f"GNRMC,{clock},A,{place},{knots:.3f},,{date},,,A")
        gga = nmea.sentence(f"GNGGA,{clock},{place},1,{count:02d},{hdop:.2f},{altitude:.1f},M,-25.4,M,,")
        return [
            Frame(rmc, (Said("speed", knots * nmea.KNOT, nmea.SPEED_STEP),)),
            Frame(
                gga,
                (
                    Said("latitude", latitude, self.STEP),
                    Said("longitude", longitude, self.STEP),
                    Said("altitude", altitude, 0.1),
                    Said("satellites", count, 1),
                    Said("hdop", hdop, 0.01),
                ),
            ),
        ]


MODELS = {"plantower": Plantower, "a02yyuw": A02yyuw, "nmea": Nmea}
