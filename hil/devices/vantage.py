"""The console of a Davis Vantage Pro2 with a data logger.

Source: Davis, Vantage Serial Communication Reference Manual 2.6.1: it sleeps until a line feed wakes it (answer LF CR);
"LOOP n" and "LPS 2 n" are acknowledged by 06 and answered by packets of 99 bytes, least significant byte first, closed
by LF CR and a CRC (CCITT, start 0), most significant byte first; what it does not know is answered by 21.
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, NamedTuple

from drivers.contract import Reason
from hil.devices.ear import Asked
from hil.devices.talker import Frame
from hil.emissions import Said
from hil.walk import Walk

if TYPE_CHECKING:
    import random

    from hil.wires.wire import Wire

AWAKE, ACKNOWLEDGED, NOT_KNOWN = b"\n\r", b"\x06", b"\x21"
STEADY = 0
NO_TEMPERATURE, NO_HUMIDITY, NO_UV, NO_SOLAR, NO_STORM = 32767, 255, 255, 32767, 0xFFFF
MM_PER_CLICK = 0.2
MPH, INCH_OF_MERCURY = 0.44704, 33.86389


class Weather(NamedTuple):
    """What the console knows, in the steps of its packets."""

    barometer: int  # 0.001 inHg
    inside_temperature: int  # 0.1 F
    inside_humidity: int
    temperature: int  # 0.1 F
    wind: int  # mph
    wind_average: int  # mph
    direction: int  # degrees; 360 is north, 0 is nothing
    humidity: int
    rain_rate: int = 0  # clicks an hour
    uv: int = NO_UV  # 0.1
    solar: int = NO_SOLAR  # W/m2
    storm: int = 0  # clicks
    today: int = 0  # clicks
    dew_point: int = 72  # F
    gust: int = 12  # mph
    battery: int = 807  # of 512 at 3 V


def sealed(packet: bytes) -> bytes:
    """Return a packet of 95 bytes with its end and its CRC."""
    data = packet + b"\n\r"
    register = 0
    for byte in data:
        register ^= byte << 8
        for _ in range(8):
            register = (register << 1 ^ 0x1021 if register & 0x8000 else register << 1) & 0xFFFF
    return data + register.to_bytes(2, "big")


def loop(
    now: Weather, *, trend: int = STEADY, next_record: int = 0, tail: tuple[int, int, int, int] = (6, 75, 550, 1854)
) -> bytes:
    """Return a LOOP packet of a station without extra sensors; `tail` is forecast icon and rule, sunrise and sunset."""
    head = struct.pack("<3sbBH", b"LOO", trend, 0, next_record)
    inside = struct.pack("<HhB", now.barometer, now.inside_temperature, now.inside_humidity)
    outside = struct.pack("<hBBH", now.temperature, now.wind, now.wind_average, now.direction)
    rain = struct.pack("<HBHHH", now.rain_rate, now.uv, now.solar, now.storm, NO_STORM)
    totals = struct.pack("<6H", now.today, 0, 0, 0, 0, 0)
    soil_and_leaves = b"\xff" * 4 + b"\xff" * 3 + b"\x00"
    packet = head + inside + outside + b"\xff" * 15 + bytes([now.humidity]) + b"\xff" * 7 + rain + totals
    packet += soil_and_leaves + bytes(16) + b"\x00" + struct.pack("<HBBHH", now.battery, *tail)
    return sealed(packet)


def loop2(now: Weather, *, trend: int = STEADY) -> bytes:
    """Return a LOOP2 packet."""
    packet = bytearray(b"\xff" * 95)
    struct.pack_into("<3sbBHHhB", packet, 0, b"LOO", trend, 1, 0x7FFF, now.barometer, now.inside_temperature, 45)
    struct.pack_into("<hBBH", packet, 12, now.temperature, now.wind, 0xFF, now.direction)
    struct.pack_into("<HHHH", packet, 18, now.wind_average * 10, now.wind_average * 10, now.gust, now.direction)
    struct.pack_into("<HHhBB", packet, 26, 0x7FFF, 0x7FFF, now.dew_point, 0xFF, now.humidity)
    struct.pack_into("<hhh", packet, 35, now.temperature // 10, now.temperature // 10, now.temperature // 10)
    struct.pack_into("<HBHHHH", packet, 41, now.rain_rate, now.uv, now.solar, now.storm, NO_STORM, now.today)
    struct.pack_into(
        "<4HBhh3H", packet, 52, 0, 0, 0, 0, 2, 0, 0, now.barometer - 400, now.barometer - 390, now.barometer
    )
    return sealed(bytes(packet))


class Vantage(Asked):
    """A console; `old` ones have no LOOP2, and a station whose radio is out of reach is `lost`."""

    settles = 5.0

    def __init__(self, name: str, wire: Wire, chance: random.Random) -> None:
        super().__init__(name, wire, chance, every=0.0)
        self.old = False
        self.lost = False
        self._heard = b""
        self._barometer = Walk(chance, 29_600, 30_100, 4)
        self._temperature = Walk(chance, 750, 950, 2)
        self._humidity = Walk(chance, 50, 98, 1)
        self._wind = Walk(chance, 0, 25, 2)
        self._direction = Walk(chance, 1, 360, 10)
        wire.listen(self._hear)

    def compose(self) -> list[Frame]:
        """Say one LOOP packet, as when asked for it."""
        return [self._packet(0)]

    def _hear(self, data: bytes) -> None:
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            if not line:
                self._wire.write(AWAKE)
            elif re.fullmatch(rb"LOOP \d+", line):
                self.utter([self._packet(0)])
            elif re.fullmatch(rb"LPS 2 \d+", line) and not self.old:
                self.utter([self._packet(1)])
            else:
                self._wire.write(NOT_KNOWN)

    def _now(self) -> Weather:
        now = Weather(
            round(self._barometer.step()),
            731,
            45,
            round(self._temperature.step()),
            round(self._wind.step()),
            round(self._wind.value),
            round(self._direction.step()),
            round(self._humidity.step()),
        )
        return now._replace(temperature=NO_TEMPERATURE, humidity=NO_HUMIDITY, direction=0) if self.lost else now

    def _packet(self, kind: int) -> Frame:
        now = self._now()
        gone = Reason.INVALID if self.lost else None
        said = [
            Said("pressure_sea_level", now.barometer / 1000 * INCH_OF_MERCURY, 0.01),
            Said("temperature", None if gone else (now.temperature / 10 - 32) / 1.8, 0.01, gone),
            Said("humidity", None if gone else now.humidity, 1, gone),
            Said("wind_direction", None if gone else now.direction, 1, gone),
            Said("wind_speed", now.wind * MPH, 0.001),
            Said("rain_today", now.today * MM_PER_CLICK, 0.001),
            Said("uv_index", None, 0, Reason.INVALID),
        ]
        if kind:
            said.append(Said("wind_gust", now.gust * MPH, 0.001))
        else:
            said.append(Said("battery_voltage", now.battery * 300 / 512 / 100, 0.01))
        return Frame(ACKNOWLEDGED + (loop2(now) if kind else loop(now)), tuple(said))
