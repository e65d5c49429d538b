"""A GNSS receiver that speaks NMEA 0183, as a u-blox M8 at a roadside does: RMC, GGA, GSA and GSV once a second.

Source: u-blox 8 / M8 protocol specification, section 31 (NMEA): $TTSSS,...*hh CR LF, hh the exclusive or of what stands
between $ and *; latitude as ddmm.mmmmm; unknown fields are empty; without a fix RMC says V and GGA says quality 0.
"""

from __future__ import annotations

import functools
import operator
import time
from typing import TYPE_CHECKING

from drivers.contract import Reason
from hil.devices.talker import Frame, Talker
from hil.emissions import Said
from hil.walk import Walk

if TYPE_CHECKING:
    import random

    from hil.wires.wire import Wire

KNOT = 1852 / 3600  # m/s
MINUTE = 1 / 60  # degrees
SPEED_STEP = 0.001  # m/s; the wire's thousandth of a knot is half of it, and nobody needs that


def sentence(body: str) -> bytes:
    """Return the sentence around a body such as `GNGGA,...`."""
    data = body.encode("ascii")
    return b"$%s*%02X\r\n" % (data, functools.reduce(operator.xor, data, 0))


def angle(degrees: float, digits: int, positive: str, negative: str) -> str:
    """Return an angle as two fields: degrees in so many digits glued to minutes, and the hemisphere."""
    whole, minutes = divmod(round(abs(degrees) * 60 * 100_000), 60 * 100_000)
    return f"{whole:0{digits}d}{minutes / 100_000:08.5f},{positive if degrees >= 0 else negative}"


class Nmea(Talker):
    """A receiver bolted to a pole: its position wanders by metres. `fix` can be taken away."""

    def __init__(
        self,
        name: str,
        wire: Wire,
        chance: random.Random,
        *,
        every: float = 1.0,
        latitude: float = 7.8464,
        longitude: float = 98.2947,
    ) -> None:
        super().__init__(name, wire, chance, every=every)
        self.fix = True
        self._latitude = Walk(chance, latitude - 3e-5, latitude + 3e-5, 2e-6)
        self._longitude = Walk(chance, longitude - 3e-5, longitude + 3e-5, 2e-6)
        self._altitude = Walk(chance, 8, 22, 0.2)
        self._knots = Walk(chance, 0, 0.2, 0.02)
        self._hdop = Walk(chance, 0.6, 1.6, 0.05)
        self._satellites = Walk(chance, 7, 14, 0.4)

    def spoil(self, data: bytes) -> bytes:
        """Return a sentence whose checksum is wrong: one bit of its last hexadecimal digit is turned over."""
        return data[:-3] + bytes([data[-3] ^ 0x01]) + data[-2:]

    def compose(self) -> list[Frame]:
        """Report the position, the speed and the satellites."""
        now = time.time()
        clock = time.strftime("%H%M%S", time.gmtime(now)) + f".{int(now * 100) % 100:02d}"
        date = time.strftime("%d%m%y", time.gmtime(now))
        return self._fixed(clock, date) if self.fix else self._searching(clock, date)

    def _fixed(self, clock: str, date: str) -> list[Frame]:
        latitude = round(self._latitude.step() * 60, 5) / 60
        longitude = round(self._longitude.step() * 60, 5) / 60
        altitude = round(self._altitude.step(), 1)
        knots = round(self._knots.step(), 3)
        hdop = round(self._hdop.step(), 2)
        satellites = round(self._satellites.step())
        place = f"{angle(latitude, 2, 'N', 'S')},{angle(longitude, 3, 'E', 'W')}"
        rmc = Frame(
            sentence(f"GNRMC,{clock},A,{place},{knots:.3f},,{date},,,A"), (Said("speed", knots * KNOT, SPEED_STEP),)
        )
        gga = Frame(
            sentence(f"GNGGA,{clock},{place},1,{satellites:02d},{hdop:.2f},{altitude:.1f},M,-25.4,M,,"),
            (
                Said("latitude", latitude, 1e-5 * MINUTE),
                Said("longitude", longitude, 1e-5 * MINUTE),
                Said("altitude", altitude, 0.1),
                Said("satellites", satellites, 1),
                Said("hdop", hdop, 0.01),
            ),
        )
        used = ",".join(f"{number:02d}" for number in range(1, 13)) if satellites >= 12 else "02,05,12,13,15,18,25,,,,,"
        gsa = Frame(sentence(f"GNGSA,A,3,{used},{hdop * 1.6:.2f},{hdop:.2f},{hdop * 1.2:.2f}"))
        gsv = Frame(sentence("GPGSV,1,1,04,02,45,120,38,05,61,013,42,12,22,301,29,13,70,222,44"))
        return [rmc, gga, gsa, gsv]

    def _searching(self, clock: str, date: str) -> list[Frame]:
        nothing = tuple(Said(quantity, None, reason=Reason.NO_FIX) for quantity in ("latitude", "longitude"))
        return [
            Frame(sentence(f"GNRMC,{clock},V,,,,,,,{date},,,N")),
            Frame(sentence(f"GNGGA,{clock},,,,,0,00,99.99,,,,,,"), nothing),
            Frame(sentence("GNGSA,A,1,,,,,,,,,,,,,99.99,99.99,99.99")),
            Frame(sentence("GPGSV,1,1,00")),
        ]
