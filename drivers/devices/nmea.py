"""GNSS receivers and weather instruments that speak NMEA 0183.

Position comes from GGA, speed, course and UTC from RMC, never without a fix; wind from MWV, air from MDA. Other
sentences are passed over: VTG, GLL, ZDA and MWD say the same again, GSV counts satellites of one system at a time.
Source: NMEA 0183 4.11, GGA, RMC and MWV; MDA: Airmar WeatherStation user manual, "Meteorological composite".
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from functools import partial
from math import inf
from typing import Annotated, Literal

from pynmeagps import VALNONE, NMEAMessage, NMEAReader
from pynmeagps.exceptions import NMEAMessageError, NMEAParseError, NMEATypeError

from drivers.checksums import xor8
from drivers.contract import (
    N_,
    FaultKind,
    Help,
    Item,
    ListeningDriver,
    Measurement,
    Reason,
    SerialLine,
    TimeFix,
    Wire,
)
from drivers.quantities import unit
from drivers.sentences import SentenceDecoder
from drivers.wiring import GND, RXD, V3

CHECKED = re.compile(rb"\$(?P<text>..(?P<kind>...)[^*]*)\*(?P<sum>[0-9A-Fa-f]{2})\r?\n")
ANYTHING, NOT_NEGATIVE, CIRCLE = (-inf, inf), (0, inf), (0, 360)
LIMITS = {  # of what a sentence can mean; a receiver that gets confused makes good checksums, too
    "latitude": (-90, 90), "longitude": (-180, 180), "hdop": NOT_NEGATIVE, "satellites": NOT_NEGATIVE,
    "speed": NOT_NEGATIVE, "course": CIRCLE, "wind_speed": NOT_NEGATIVE, "wind_direction": CIRCLE,
}  # fmt: skip
NUMBER = re.compile(r"-?\d+(\.\d+)?")

FIXED = frozenset({1, 2, 3, 4, 5})  # GGA quality; 6 is dead reckoning, 7 typed in, 8 simulated
NOT_FIXED = frozenset("NEMS")  # RMC mode: none, dead reckoning, typed in, simulated
DIGITS = 7  # of degrees: a centimetre
KNOT = 1852 / 3600  # m/s
DELAY = 0.5  # seconds from a sentence's time to its end: computing takes 50 to 500 ms, a burst at 9600 Bd as long again
DELAY_UNCERTAINTY = 1.0  # seconds; of receivers at other speeds, and of a machine that is busy
GGA_FIELDS = {"latitude": "lat", "longitude": "lon", "altitude": "alt", "hdop": "HDOP", "satellites": "numSV"}
MDA_FIELDS = {"temperature": 5, "humidity": 9, "dew_point": 11}  # the first is 1
MDA_PRESSURE = 3  # bar
HECTOPASCAL = 1e-3  # bar
SPEEDS = {"N": KNOT, "K": 1 / 3.6, "M": 1.0, "S": 0.44704}  # m/s


Sentences = Mapping[bytes, Callable[[NMEAMessage], list[Item]]]  # by the letters of their kind


def measure(quantity: str, field: object) -> Measurement:
    """Return the measurement in a field; what is not a number, such as nothing, is unknown to the receiver."""
    low, high = LIMITS.get(quantity, ANYTHING)
    if isinstance(field, int | float) and low <= field <= high and abs(field) < inf:
        return Measurement(quantity, round(field, DIGITS))
    return Measurement(quantity, None, Reason.INVALID)


def scaled(field: object, scale: float) -> object:
    """Return a number in our unit, and what is none as it is."""
    return round(field * scale, 3) if isinstance(field, int | float) else field


def decode_gga(sentence: NMEAMessage) -> list[Item]:
    """Return the position and how good it is."""
    if getattr(sentence, "quality", 0) not in FIXED:
        return [Measurement(quantity, None, Reason.NO_FIX) for quantity in GGA_FIELDS]
    return [measure(quantity, getattr(sentence, field, "")) for quantity, field in GGA_FIELDS.items()]


def decode_rmc(sentence: NMEAMessage) -> list[Item]:
    """Return speed and course and, if it says one, the time of day."""
    if getattr(sentence, "status", "V") != "A" or getattr(sentence, "posMode", "A") in NOT_FIXED:
        return [Measurement(quantity, None, Reason.NO_FIX) for quantity in ("speed", "course")]
    items: list[Item] = [
        measure("speed", scaled(getattr(sentence, "spd", ""), KNOT)),
        measure("course", getattr(sentence, "cog", "")),  # receivers that stand still leave it empty
    ]
    day, hour = getattr(sentence, "date", ""), getattr(sentence, "time", "")
    if isinstance(day, date) and isinstance(hour, time):  # texts, if they are no date and no time
        utc = datetime.combine(day, hour, UTC).timestamp()
        items.append(TimeFix(utc, DELAY_UNCERTAINTY, DELAY))
    return items


def decode_mwv(sentence: NMEAMessage) -> list[Item]:
    """Return the wind; its direction is that from the instrument's mark, which is to point north."""
    scale = SPEEDS.get(getattr(sentence, "speedu", ""))
    if getattr(sentence, "status", "V") != "A" or scale is None:
        return [Measurement(quantity, None, Reason.INVALID) for quantity in ("wind_direction", "wind_speed")]
    return [
        measure("wind_direction", getattr(sentence, "angle", "")),
        measure("wind_speed", scaled(getattr(sentence, "speed", ""), scale)),
    ]


def decode_mda(sentence: NMEAMessage) -> list[Item]:
    """Return pressure, temperature, humidity and dew point, each as far as the instrument has it."""
    fields = [""] + [float(field) if NUMBER.fullmatch(field) else "" for field in sentence.payload]
    fields += [""] * max(MDA_FIELDS.values())
    found = {"pressure": scaled(fields[MDA_PRESSURE], 1 / HECTOPASCAL)}
    found |= {quantity: fields[number] for quantity, number in MDA_FIELDS.items()}
    return [measure(quantity, field) for quantity, field in found.items() if field != ""]


POSITION: Sentences = {b"GGA": decode_gga, b"RMC": decode_rmc}
WEATHER: Sentences = {b"MWV": decode_mwv, b"MDA": decode_mda}
SENTENCES = {"all": {**POSITION, **WEATHER}, "position": POSITION, "weather": WEATHER}


def decode(sentences: Sentences, line: bytes) -> list[Item] | FaultKind:
    """Return what a line says, nothing if it is a sentence of no interest, or what is wrong with it."""
    checked = CHECKED.fullmatch(line)
    if checked is None:
        return FaultKind.MALFORMED
    if xor8(checked["text"]) != int(checked["sum"], 16):
        return FaultKind.CHECKSUM
    read = sentences.get(checked["kind"])
    if read is None:
        return []
    try:
        sentence = NMEAReader.parse(line, validate=VALNONE)
    except (NMEAMessageError, NMEAParseError, NMEATypeError):
        return FaultKind.MALFORMED
    return read(sentence) if sentence is not None else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What it is for."""

    measures: Annotated[
        Literal["all", "position", "weather"],
        Help(N_("What goes up: position and speed of a receiver, wind and air of a weather instrument, or all")),
    ] = "all"


QUANTITIES = {
    "position": (*GGA_FIELDS, "speed", "course"),
    "weather": ("wind_direction", "wind_speed", "pressure", *MDA_FIELDS),
}


def quantities(settings: Settings) -> Mapping[str, str]:
    """Return what goes up."""
    kinds = QUANTITIES if settings.measures == "all" else (settings.measures,)
    return {name: unit(name) for kind in kinds for name in QUANTITIES[kind]}


def decoder(settings: Settings) -> SentenceDecoder:
    """Return a decoder for a device with these settings."""
    return SentenceDecoder(partial(decode, SENTENCES[settings.measures]))


DRIVER = ListeningDriver(
    name="nmea",
    title=N_("GNSS receiver with NMEA 0183 (u-blox, Quectel, MediaTek ...), or weather instrument"),
    settings=Settings,
    quantities=quantities,
    line=SerialLine(9600),
    make=decoder,
    silent_after=30.0,
    reasons=(Reason.NO_FIX, Reason.INVALID),
    faults=(FaultKind.CHECKSUM, FaultKind.MALFORMED, FaultKind.TRUNCATED, FaultKind.GARBAGE),
    wiring=(
        Wire(N_("VCC"), V3),
        Wire(N_("GND"), GND),
        Wire(N_("TX"), RXD, N_("or a USB receiver")),
    ),
    notes=(
        N_("u-blox M9 and M10 start with 38400 Bd"),
        N_("Wind comes as from the mark of the instrument: let it point north"),
    ),
    source="NMEA 0183 4.11",
)
