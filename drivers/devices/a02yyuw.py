"""DYP A02YYUW ultrasonic sensor looking down on water, and its relatives: FF, millimetres high, low, sum.

A02YYUW, A01NYUB and ME007YS speak unasked, every 100 to 300 ms; JSN-SR04T and AJ-SR04M do so or wait for a trigger,
depending on a resistor on their board.
Source: DFRobot, product pages of the SEN0311 (A02YYUW) and SEN0312 (ME007YS), "UART output"; JSN-SR04T, "output mode".
The sum without FF: recorded from an AJ-SR04M (ptvoinfo/zigbee-configurable-firmware, 274).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from drivers import water
from drivers.checksums import sum8
from drivers.contract import (
    N_,
    FaultKind,
    Help,
    Interval,
    ListeningDriver,
    Measurement,
    Prompt,
    Reason,
    SerialLine,
    Wire,
)
from drivers.framing import FrameDecoder, Framing
from drivers.water import MountHeight
from drivers.wiring import GND, OPEN, RXD, V3

HEAD = b"\xff"
SIZE = 4
TRIGGER = b"\x55"
# At a steady 511 mm the stream is FF 01 FF FF FF 01 FF FF ..., in which FF FF 01 FF is a good frame too, one byte too
# early: 65281 mm; without FF in the sum it is 255 mm. No other distance can be read out of step for ever.
OUT_OF_STEP = {"all": b"\xff\xff\x01\xff", "data": b"\xff\xff\x00\xff"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the sensor hangs, how far it sees and how it speaks."""

    mount_height: MountHeight = None
    nearest: Annotated[
        float, Interval(ge=0, le=10), Help(N_("Shortest distance that the sensor can measure"), unit="m")
    ] = 0.03
    # That of the A01NYUB: no frame tells which of the family it is, and a far bed of a canal is no lost echo.
    farthest: Annotated[
        float, Interval(gt=0, le=10), Help(N_("Longest distance that the sensor can measure"), unit="m")
    ] = 7.5
    sum: Annotated[
        Literal["all", "data"], Help(N_("What the sum is of: all bytes before it, or without FF as in the AJ-SR04M"))
    ] = "all"
    trigger: Annotated[
        float | None,
        Interval(ge=0.1, le=10),  # well within `silent_after`
        Help(N_("How often a JSN-SR04T or AJ-SR04M that waits for it is sent its trigger, 55"), unit="s"),
    ] = None

    def __post_init__(self) -> None:
        if self.nearest >= self.farthest:
            message = f"nearest ({self.nearest:g} m) must be less than farthest ({self.farthest:g} m)"
            raise ValueError(message)


def quantities(settings: Settings) -> Mapping[str, str]:
    """Return the one quantity and its unit."""
    return water.quantities(settings.mount_height)


def decoder(settings: Settings) -> FrameDecoder:
    """Return a decoder for a sensor with these settings."""
    first_summed = 0 if settings.sum == "all" else 1
    out_of_step = OUT_OF_STEP[settings.sum]

    def intact(frame: bytes) -> bool:
        return sum8(frame[first_summed:3]) == frame[3] and frame != out_of_step

    def decode(frame: bytes) -> list[Measurement]:
        distance = (frame[1] << 8 | frame[2]) / 1000
        if not distance or distance > settings.farthest:
            return [water.measure(settings.mount_height, Reason.NO_ECHO)]
        if distance < settings.nearest:
            return [water.measure(settings.mount_height, Reason.OUT_OF_RANGE)]
        return [water.measure(settings.mount_height, distance)]

    echo_of_trigger = Framing(TRIGGER, len(TRIGGER), lambda _: len(TRIGGER), lambda _: True, lambda _: ())
    return FrameDecoder(Framing(HEAD, len(HEAD), lambda _: SIZE, intact, decode), echo_of_trigger)


def prompt(settings: Settings) -> Prompt | None:
    """Return the trigger, if the sensor waits for one."""
    return None if settings.trigger is None else Prompt(TRIGGER, settings.trigger)


DRIVER = ListeningDriver(
    name="a02yyuw",
    title="DYP A02YYUW, A01NYUB, ME007YS; JSN-SR04T, AJ-SR04M",
    settings=Settings,
    quantities=quantities,
    line=SerialLine(9600),
    make=decoder,
    prompt=prompt,
    silent_after=30.0,
    reasons=(Reason.NO_ECHO, Reason.OUT_OF_RANGE),
    faults=(FaultKind.CHECKSUM, FaultKind.TRUNCATED, FaultKind.GARBAGE),
    wiring=(
        Wire(N_("red"), V3),
        Wire(N_("black"), GND),
        Wire(N_("white, TX"), RXD),
        Wire(N_("yellow, RX"), OPEN, N_("open it sends filtered values; with a trigger: to GPIO14, TXD (pin 8)")),
    ),
    notes=(
        N_("Fed with 5 V its TX is at 5 V: feed it with 3.3 V, or put a divider in front of RXD"),
        N_("JSN-SR04T: 47 kilohms at R27 make it speak unasked, 120 kilohms when triggered"),
        N_("Set nearest and farthest to what the sensor can do: what is beyond is then no echo"),
    ),
    source="DFRobot SEN0311, SEN0312; A02YYUW 0.03 to 4.5 m, A01NYUB 0.28 to 7.5 m, ME007YS 0.28 to 4.5 m, "
    "JSN-SR04T 0.2 to 6 m, AJ-SR04M 0.2 to 8 m",
)
