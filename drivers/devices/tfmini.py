"""Benewake TFmini Plus lidar on a UART, and its relatives TFmini-S and TF-Luna: 59 59, distance, strength, temperature.

It speaks unasked, 100 times a second unless told otherwise. Answers to commands (5A ...) are passed over.
Source: Benewake SJ-PM-TFmini Plus-T-01 A04, 5.3 and 5.4, 6 (commands); TFmini-S product manual for distances below 0.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Annotated, Literal

from drivers.checksums import sum8
from drivers.contract import (
    N_,
    Decoder,
    FaultKind,
    Help,
    Interval,
    ListeningDriver,
    Measurement,
    Reason,
    SerialLine,
    Wire,
)
from drivers.framing import FrameDecoder, Framing
from drivers.lines import LineDecoder
from drivers.pace import PacedDecoder
from drivers.quantities import unit
from drivers.wiring import GND, RXD, TXD, V5

HEAD = b"\x59\x59"
FRAME = Struct("<2x HHH x")
ANSWER = b"\x5a"
SHORTEST_ANSWER, LONGEST_ANSWER = 4, 32  # bytes, all counted
WEAK = 100  # strengths below are not reliable: 5.4
OVEREXPOSED = 0xFFFF  # a strength
# Distances that are none; the TFmini-S manual calls them -1, -2 and -4. Zero: set when the strength is not reliable.
NOTHING = {0: Reason.NO_ECHO, 0xFFFF: Reason.NO_ECHO, 0xFFFE: Reason.INVALID, 0xFFFC: Reason.INVALID}
METRES = {"cm": 0.01, "mm": 0.001}
TEXT = re.compile(r"-?\d+\.\d\d", re.ASCII)
LONGEST_TEXT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the lidar was set up, and how much of it goes up."""

    every: Annotated[
        float, Interval(ge=0, le=3600), Help(N_("Shortest time between two readings that go up; 0 sends all"), unit="s")
    ] = 1.0
    unit: Annotated[Literal["cm", "mm"], Help(N_("Unit of the distance that the lidar was set to"))] = "cm"
    format: Annotated[
        Literal["frames", "text"], Help(N_("What the lidar was set to send: frames, or lines of text for a Pixhawk"))
    ] = "frames"


def quantities(settings: Settings) -> Mapping[str, str]:
    """Return what the format carries."""
    names = ("distance", "signal_strength", "device_temperature") if settings.format == "frames" else ("distance",)
    return {name: unit(name) for name in names}


def size_of_answer(header: bytes) -> int:
    """Return the size of an answer to a command, 0 if it is none."""
    return header[1] if SHORTEST_ANSWER <= header[1] <= LONGEST_ANSWER else 0


def intact(frame: bytes) -> bool:
    """Tell whether the last byte is the sum of all before it."""
    return sum8(frame[:-1]) == frame[-1]


def measure_distance(raw: int, strength: int, scale: float) -> Measurement:
    """Return the distance, or why it is none."""
    if strength == OVEREXPOSED:
        return Measurement("distance", None, Reason.INVALID)
    if reason := NOTHING.get(raw):
        return Measurement("distance", None, reason)
    if strength < WEAK:
        return Measurement("distance", None, Reason.NO_ECHO)
    return Measurement("distance", round(raw * scale, 3))


def read_text(line: str, whole: bool) -> list[Measurement] | FaultKind:
    """Return the distance in a line, in metres; it is not above 0 if it is none."""
    if not whole or not TEXT.fullmatch(line):
        return FaultKind.MALFORMED if line else []
    distance = float(line)
    return [Measurement("distance", distance) if distance > 0 else Measurement("distance", None, Reason.NO_ECHO)]


def decoder(settings: Settings) -> Decoder:
    """Return a decoder for a lidar with these settings."""
    if settings.format == "text":
        return LineDecoder(read_text, longest=LONGEST_TEXT)
    scale = METRES[settings.unit]

    def decode(frame: bytes) -> list[Measurement]:
        raw, strength, temperature = FRAME.unpack(frame)
        seen, warm = strength != OVEREXPOSED, temperature != 0  # firmware before 1.3.0 knows no temperature
        return [
            measure_distance(raw, strength, scale),
            Measurement("signal_strength", strength if seen else None, None if seen else Reason.INVALID),
            Measurement(
                "device_temperature", temperature / 8 - 256 if warm else None, None if warm else Reason.INVALID
            ),
        ]

    frames = Framing(HEAD, len(HEAD), lambda _: FRAME.size, intact, decode)
    return FrameDecoder(frames, Framing(ANSWER, 2, size_of_answer, intact, lambda _: ()))


DRIVER = ListeningDriver(
    name="tfmini",
    title="Benewake TFmini Plus, TFmini-S, TF-Luna",
    settings=Settings,
    quantities=quantities,
    line=SerialLine(115200),
    make=decoder,
    timed=lambda settings: PacedDecoder(decoder(settings), settings.every),
    silent_after=30.0,
    wiring=(
        Wire(N_("red, 5 V"), V5),
        Wire(N_("black, GND"), GND),
        Wire(N_("green, TXD"), RXD, N_("3.3 V levels, no divider needed")),
        Wire(N_("white, RXD"), TXD, N_("only to set it up")),
    ),
    notes=(
        N_("Sees 0.1 to 12 m, in bright sun less; glass, still water and mirrors mislead it"),
        N_("The first TFmini (no Plus) sends a mode where others send the temperature"),
    ),
    source="Benewake SJ-PM-TFmini Plus-T-01 A04, 5.3 and 5.4",
)
