"""Wavetronix SmartSensor HD traffic radar through a Click 512: one line of text for each vehicle, on RS-232.

date,time,lane,speed,length,duration,range,class. The time in it is not used: it is that of a clock that nobody checks,
without a zone; the line comes when the vehicle has passed, which the agent's own clock dates better.
Source: Wavetronix, Click 500 series user guide, chapter 9 (Click 512).
"""

import re
from dataclasses import dataclass
from typing import Annotated, Literal

from drivers.contract import N_, FaultKind, Help, ListeningDriver, Measurement, SerialLine, Wire
from drivers.lines import FAULTS, LineDecoder
from drivers.quantities import always
from drivers.wiring import RS232

# Its fields have a fixed number of digits: a line that was cut does not pass.
VEHICLE = re.compile(
    r"\d{4}:\d\d:\d\d,\d\d:\d\d:\d\d\.\d{3},(?P<lane>\d\d),(?P<speed>-?\d{1,4}\.\d),(?P<length>\d{4}\.\d),"
    r"(?P<milliseconds>\d{8}),(?P<range>\d{4}\.\d),(?P<group>\d\d)",
    re.ASCII,
)
BEGIN = r"\d{4}:\d\d:\d\d,"
COMMAS = 7
LONGEST = 160  # bytes: a line that was cut, and a whole one glued to it
FACTORS = {"standard": (0.44704, 0.3048), "metric": (1 / 3.6, 1.0)}  # m/s of mph, m of ft; m/s of km/h, m
DIGITS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the sensor was set up."""

    units: Annotated[
        Literal["standard", "metric"],
        Help(N_("Units that the SmartSensor HD is set to: standard is mph and feet, metric km/h and metres")),
    ] = "standard"


class Reader:
    """Reads lines in the units of a sensor."""

    def __init__(self, settings: Settings) -> None:
        self._speed, self._length = FACTORS[settings.units]

    def read(self, line: str, whole: bool) -> list[Measurement] | FaultKind:  # noqa: ARG002 - a line tells by itself
        """Return what a line says of its vehicle."""
        found = VEHICLE.fullmatch(line)
        if found is None:
            cut = line.count(",") < COMMAS
            return [] if not line else FaultKind.TRUNCATED if cut else FaultKind.MALFORMED
        speed = float(found["speed"])
        return [
            Measurement("vehicle_lane", int(found["lane"])),
            Measurement("vehicle_speed", round(speed * self._speed, DIGITS)),
            Measurement("wrong_way", speed < 0),
            Measurement("vehicle_length", round(float(found["length"]) * self._length, DIGITS)),
            Measurement("vehicle_duration", int(found["milliseconds"]) / 1000),
            Measurement("vehicle_range", round(float(found["range"]) * self._length, DIGITS)),
            Measurement("vehicle_class", int(found["group"])),
        ]


DRIVER = ListeningDriver(
    name="wavetronix",
    title="Wavetronix SmartSensor HD with Click 512",
    settings=Settings,
    quantities=always(
        "vehicle_lane",
        "vehicle_speed",
        "wrong_way",
        "vehicle_length",
        "vehicle_duration",
        "vehicle_range",
        "vehicle_class",
    ),
    line=SerialLine(9600),
    make=lambda settings: LineDecoder(Reader(settings).read, longest=LONGEST, begin=BEGIN),
    silent_after=3600.0,  # an empty road is silent
    event=True,
    alarms=("wrong_way",),
    faults=FAULTS,
    wiring=(Wire(N_("RS-232 port of the Click 512"), RS232),),
    notes=(
        N_("Turn on the pushing of event data in SmartSensor Manager HD, and tell here which units it is set to"),
        N_("A quiet road is silent: set silent_after to more than the longest quiet of the night"),
        N_("Lane 0 is the one nearest to the sensor; wrong_way is against the direction that was set for the lane"),
    ),
    source="Wavetronix Click 500 series user guide, chapter 9; the baud rate is set in the Click 512",
)
