"""DYP A02YYUW ultrasonic sensor looking down on water, and its relatives A01NYUB and ME007YS: FF, mm high, mm low, sum.

It speaks unasked, every 100 to 300 ms. The AJ-SR04M, which leaves FF out of the sum, is another device and is refused.
Source: DFRobot, product page of the SEN0311 (A02YYUW), "UART output".
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from drivers.checksums import sum8
from drivers.contract import N_, Help, Interval, ListeningDriver, Measurement, Reason, SerialLine, Wire
from drivers.framing import FrameDecoder, Framing
from drivers.quantities import unit
from drivers.wiring import GND, OPEN, RXD, V3

HEAD = b"\xff"
SIZE = 4
# At a steady 511 mm the stream is FF 01 FF FF FF 01 FF FF ..., in which this is a good frame too, one byte too early:
# 65281 mm. No other distance can be read out of step for ever.
OUT_OF_STEP = b"\xff\xff\x01\xff"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the sensor hangs and how far it sees."""

    mount_height: Annotated[
        float | None,
        Interval(ge=-100, le=100),
        Help(N_("Height of the sensor above the zero of the gauge: sends water_level, not water_distance"), unit="m"),
    ] = None
    nearest: Annotated[
        float, Interval(ge=0, le=10), Help(N_("Shortest distance that the sensor can measure"), unit="m")
    ] = 0.03
    farthest: Annotated[
        float, Interval(gt=0, le=10), Help(N_("Longest distance that the sensor can measure"), unit="m")
    ] = 4.5

    def __post_init__(self) -> None:
        if self.nearest >= self.farthest:
            message = f"nearest ({self.nearest:g} m) must be less than farthest ({self.farthest:g} m)"
            raise ValueError(message)


def quantity(settings: Settings) -> str:
    """Return what is measured: the level if the height of the sensor is known, else the distance."""
    return "water_distance" if settings.mount_height is None else "water_level"


def quantities(settings: Settings) -> Mapping[str, str]:
    """Return the one quantity and its unit."""
    return {quantity(settings): unit(quantity(settings))}


def intact(frame: bytes) -> bool:
    """Tell whether the last byte is the sum of the others."""
    return sum8(frame[:3]) == frame[3] and frame != OUT_OF_STEP


def decoder(settings: Settings) -> FrameDecoder:
    """Return a decoder for a sensor with these settings."""
    name = quantity(settings)

    def decode(frame: bytes) -> list[Measurement]:
        distance = (frame[1] << 8 | frame[2]) / 1000
        if not distance or distance > settings.farthest:
            return [Measurement(name, None, Reason.NO_ECHO)]
        if distance < settings.nearest:
            return [Measurement(name, None, Reason.OUT_OF_RANGE)]
        value = distance if settings.mount_height is None else settings.mount_height - distance
        return [Measurement(name, round(value, 3))]

    return FrameDecoder(Framing(HEAD, len(HEAD), lambda _: SIZE, intact, decode))


DRIVER = ListeningDriver(
    name="a02yyuw",
    title="DYP A02YYUW, A01NYUB, ME007YS",
    settings=Settings,
    quantities=quantities,
    line=SerialLine(9600),
    make=decoder,
    silent_after=30.0,
    wiring=(
        Wire(N_("red"), V3),
        Wire(N_("black"), GND),
        Wire(N_("white, TX"), RXD),
        Wire(N_("yellow, RX"), OPEN, N_("open it sends filtered values")),
    ),
    notes=(N_("Fed with 5 V its TX is at 5 V: feed it with 3.3 V, or put a divider in front of RXD"),),
    source="DFRobot SEN0311; ranges: A02YYUW 0.03 to 4.5 m, A01NYUB 0.28 to 7.5 m, ME007YS 0.28 to 4.5 m",
)
