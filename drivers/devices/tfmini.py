"""Benewake TFmini Plus lidar on a UART, and its relatives TFmini-S and TF-Luna: 59 59, distance, strength, temperature.

It speaks unasked, 100 times a second unless told otherwise. Answers to commands (5A ...) are passed over.
Source: Benewake SJ-PM-TFmini Plus-T-01 A04, 5.3 and 5.4, 6 (commands); TFmini-S product manual for distances below 0.
"""

from dataclasses import dataclass
from struct import Struct
from typing import Annotated, Literal

from drivers.checksums import sum8
from drivers.contract import (
    N_,
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
from drivers.pace import PacedDecoder
from drivers.quantities import always
from drivers.wiring import GND, RXD, TXD, V5

HEAD = b"\x59\x59"
FRAME = Struct("<2x HHH x")
ANSWER = b"\x5a"
SHORTEST_ANSWER, LONGEST_ANSWER = 4, 32  # bytes, all counted
WEAK = 100  # strengths below are not reliable: 5.4
OVEREXPOSED = 0xFFFF  # a strength
COLDEST = (256 - 60) * 8  # -60 Celsius; below that it is no temperature: firmware before 1.3.0 and the first TFmini
# Distances that are none; the TFmini-S manual calls them -1, -2 and -4. Zero: set when the strength is not reliable.
NOTHING = {0: Reason.NO_ECHO, 0xFFFF: Reason.NO_ECHO, 0xFFFE: Reason.INVALID, 0xFFFC: Reason.INVALID}
METRES = {"cm": 0.01, "mm": 0.001}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the lidar was set up, and how much of it goes up."""

    every: Annotated[
        float, Interval(ge=0, le=10), Help(N_("Shortest time between two readings that go up; 0 sends all"), unit="s")
    ] = 1.0
    unit: Annotated[Literal["cm", "mm"], Help(N_("Unit of the distance that the lidar was set to"))] = "cm"


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


def measure(quantity: str, value: float, *, known: bool) -> Measurement:
    """Return the measurement, or that there is none."""
    return Measurement(quantity, value) if known else Measurement(quantity, None, Reason.INVALID)


def decoder(settings: Settings) -> FrameDecoder:
    """Return a decoder for a lidar with these settings."""
    scale = METRES[settings.unit]

    def decode(frame: bytes) -> list[Measurement]:
        raw, strength, temperature = FRAME.unpack(frame)
        return [
            measure_distance(raw, strength, scale),
            measure("signal_strength", strength, known=strength != OVEREXPOSED),
            measure("device_temperature", temperature / 8 - 256, known=temperature >= COLDEST),
        ]

    frames = Framing(HEAD, len(HEAD), lambda _: FRAME.size, intact, decode)
    return FrameDecoder(frames, Framing(ANSWER, 2, size_of_answer, intact, lambda _: ()))


DRIVER = ListeningDriver(
    name="tfmini",
    title="Benewake TFmini Plus, TFmini-S, TF-Luna",
    settings=Settings,
    quantities=always("distance", "signal_strength", "device_temperature"),
    line=SerialLine(115200),
    make=decoder,
    timed=lambda settings: PacedDecoder(decoder(settings), settings.every),
    silent_after=30.0,
    reasons=(Reason.NO_ECHO, Reason.INVALID),
    faults=(FaultKind.CHECKSUM, FaultKind.BAD_LENGTH, FaultKind.TRUNCATED, FaultKind.GARBAGE),
    wiring=(
        Wire(N_("red, 5 V"), V5),
        Wire(N_("black, GND"), GND),
        Wire(N_("green or blue, TXD"), RXD, N_("3.3 V levels, no divider needed")),
        Wire(N_("white, RXD"), TXD, N_("only to set it up")),
    ),
    notes=(
        N_("Sees 0.1 to 12 m, in bright sun less; glass, still water and mirrors mislead it"),
        N_("Set to text for a Pixhawk it is read by the driver line, not by this one"),
    ),
    source="Benewake SJ-PM-TFmini Plus-T-01 A04, 5.3 and 5.4",
)
