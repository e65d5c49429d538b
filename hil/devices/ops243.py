"""OmniPreSense OPS243-A radar beside a road.

Source: OmniPreSense UM-003 and AN-010: lines that end with CR LF; a number (in front of it magnitude with OM, time with
OT), or JSON with OJ, which holds lists with O2 to O9; positive is inbound. Units UM m/s, UC cm/s, UF ft/s, UK km/h,
US mph, told in JSON when they are set or asked for (U?). Nothing is said while nothing moves, or with BZ zero, with BL
a blank line.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from drivers.contract import Reason
from hil.devices.talker import Frame, Talker
from hil.emissions import Said

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from hil.wires.wire import Wire

UNITS = {  # command -> what the sensor calls it, m/s
    "UM": ("m-per-sec", 1.0),
    "UC": ("cm-per-sec", 0.01),
    "UF": ("ft-per-sec", 0.3048),
    "UK": ("km-per-hr", 1 / 3.6),
    "US": ("mph", 0.44704),
}
BLANK = {"BZ": "0.0", "BL": ""}
NO_TARGET = (Said("vehicle_speed", None, reason=Reason.NO_TARGET),)


def plain(speed: float, *before: float) -> bytes:
    """Return a line of numbers: time and magnitude, if any, then the speed."""
    return ", ".join(f"{number:g}" for number in (*before, speed)).encode() + b"\r\n"


def as_json(speeds: Sequence[float], magnitudes: Sequence[float]) -> bytes:
    """Return a line of JSON: numbers, or lists if there are more."""
    said = {"speed": list(speeds), "magnitude": list(magnitudes)}
    return json.dumps({key: one if len(one) > 1 else one[0] for key, one in said.items()}).encode() + b"\r\n"


class Ops243(Talker):
    """A radar that sees one vehicle now and then. `vehicle` is its speed in m/s, None on an empty road."""

    def __init__(
        self,
        name: str,
        wire: Wire,
        chance: random.Random,
        *,
        every: float = 0.1,
        json: bool = False,
        reports: int = 1,
        blank: str | None = None,
    ) -> None:
        super().__init__(name, wire, chance, every=every)
        self.vehicle: float | None = chance.uniform(5, 25)
        self.unit = "UM"
        self._json = json
        self._reports = reports
        self._blank = blank
        wire.listen(self._hear)

    def spoil(self, data: bytes) -> bytes:
        """Return a line with a byte in it that is no text; there is no checksum."""
        middle = len(data) // 2 - 1
        return data[:middle] + b"\x80" + data[middle + 1 :]

    def compose(self) -> list[Frame]:
        """Report the vehicle, and with more than one report slower parts of it; or the empty road."""
        factor = UNITS[self.unit][1]
        if self.vehicle is None:
            return [] if self._blank is None else [Frame(BLANK[self._blank].encode() + b"\r\n", NO_TARGET)]
        speeds = [
            round((self.vehicle + self._chance.gauss(0, 0.2)) / factor * 0.9**part, 2) for part in range(self._reports)
        ]
        magnitudes = [round(self._chance.uniform(50, 500), 1) for _ in speeds]
        line = as_json(speeds, magnitudes) if self._json else plain(speeds[0])
        said: list[Said] = []
        for speed, magnitude in zip(speeds, magnitudes, strict=True):
            said += (Said("vehicle_speed", speed * factor, 0.001), Said("vehicle_toward", speed > 0))
            if self._json:
                said.append(Said("vehicle_snr", magnitude, 0.1))
            else:
                break
        return [Frame(line, tuple(said))]

    def _hear(self, data: bytes) -> None:
        """Take a command; say the unit if it is one about units."""
        text = data.decode("ascii", "replace").strip()
        self.unit = text if text in UNITS else self.unit
        if text == "U?" or text in UNITS:
            self._wire.write(b'{"Units":"%s"}\r\n' % UNITS[self.unit][0].encode())
        if text in {"OJ", "Oj"}:
            self._json = text == "OJ"
        if text in BLANK:
            self._blank = text
