"""Wavetronix SmartSensor HD whose events a Click 512 turns into lines of text.

Source: Wavetronix, Click 500 series user guide, chapter 9: date,time,lane,speed,length,duration,range,class and CR LF
for each vehicle; lanes are counted from 0; a minus in front of the speed is the wrong way; mph and feet ("standard"),
or km/h and metres.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from hil.devices.talker import Frame, Talker
from hil.emissions import Said

if TYPE_CHECKING:
    import random

    from hil.wires.wire import Wire

UNITS = {"standard": (0.44704, 0.3048), "metric": (1 / 3.6, 1.0)}  # m/s, m
ITS_CLOCK = datetime(2014, 1, 14, 20, 53, 22, tzinfo=UTC)  # nobody ever set it


def line(at: datetime, lane: int, speed: float, length: float, milliseconds: int, distance: float, group: int) -> bytes:
    """Return the line of one vehicle."""
    moment = f"{at:%Y:%m:%d,%H:%M:%S}.{at.microsecond // 1000:03d}"
    fast = f"{speed:06.1f}" if speed >= 0 else f"{speed:.1f}"
    return f"{moment},{lane:02d},{fast},{length:06.1f},{milliseconds:08d},{distance:06.1f},{group:02d}\r\n".encode()


class Wavetronix(Talker):
    """A sensor over a road of four lanes; `wrong_way` makes the next vehicles come against the traffic."""

    def __init__(
        self, name: str, wire: Wire, chance: random.Random, *, every: float = 3.0, units: str = "standard"
    ) -> None:
        super().__init__(name, wire, chance, every=every)
        self.wrong_way = False
        self._speed, self._length = UNITS[units]
        self._at = ITS_CLOCK

    def spoil(self, data: bytes) -> bytes:
        """Return a line with a letter in a number; there is no checksum."""
        return data[:30] + b"?" + data[31:]

    def compose(self) -> list[Frame]:
        """Report one vehicle."""
        self._at += timedelta(seconds=self._every)
        lane, group = self._chance.randrange(4), self._chance.randrange(1, 4)
        speed = round(self._chance.uniform(20, 80) * (-1 if self.wrong_way else 1), 1)
        length, distance = round(self._chance.uniform(10, 75), 1), round(20 + 12 * lane + self._chance.random(), 1)
        milliseconds = self._chance.randrange(100, 900)
        said = (
            Said("vehicle_lane", lane),
            Said("vehicle_speed", speed * self._speed, 0.001),
            Said("wrong_way", speed < 0),
            Said("vehicle_length", length * self._length, 0.001),
            Said("vehicle_duration", milliseconds / 1000, 0.001),
            Said("vehicle_range", distance * self._length, 0.001),
            Said("vehicle_class", group),
        )
        return [Frame(line(self._at, lane, speed, length, milliseconds, distance, group), said)]
