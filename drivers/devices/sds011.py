"""Nova Fitness SDS011 particle sensor on a UART, and the SDS198 for coarse dust. They speak unasked, once a second.

Source: Nova Fitness, Laser Dust Sensor Control Protocol V1.3 (2015): AA, kind, data low byte first, sum of data, AB.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

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
from drivers.quantities import unit
from drivers.wiring import GND, OPEN, RXD, TXD, V5

REPORT, REPORT_SDS198, REPLY, COMMAND = b"\xaa\xc0", b"\xaa\xcf", b"\xaa\xc5", b"\xaa\xb4"
TAIL = 0xAB
SIZE = 10
COMMAND_SIZE = 19
EVERY_DEVICE = b"\xff\xff"  # an address
WORK = b"\x06\x01\x01"
WORKING_PERIOD = b"\x08\x01"
# 0.1 ug/m3. The counter stops there, as in a sensor with a dirty inlet (opendata-stuttgart/sensors-software, 899).
MOST_PM2_5, MOST_PM10 = 9999, 19999


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How long it rests."""

    period: Annotated[
        int | None,
        Interval(ge=0, le=30),
        Help(N_("Measure for 30 s in so many minutes, 0: always; the device keeps it. Needs the wire to RX"), "min"),
    ] = None


def quantities(_: Settings) -> Mapping[str, str]:
    """Return what the family measures: the SDS011 the first two, the SDS198 the last."""
    return {name: unit(name) for name in ("pm2_5", "pm10", "pm100")}


def intact(frame: bytes) -> bool:
    """Tell whether the tail is there and the sum of the data right."""
    return frame[-1] == TAIL and sum8(frame[2:-2]) == frame[-2]


def measured(name: str, value: int, most: int, per: int) -> Measurement:
    """Return one concentration; at its limit a sensor tells only that there is at least so much."""
    return Measurement(name, value / per) if value < most else Measurement(name, None, Reason.OUT_OF_RANGE)


def decode(frame: bytes) -> list[Measurement]:
    """Return what an SDS011 reports."""
    pm2_5, pm10 = frame[2] | frame[3] << 8, frame[4] | frame[5] << 8
    if not pm2_5 and not pm10:
        # Until the fan runs it sends zeros, and a device id of 0 too. No air at a road has neither.
        return [Measurement(name, None, Reason.WARMING_UP) for name in ("pm2_5", "pm10")]
    return [measured("pm2_5", pm2_5, MOST_PM2_5, 10), measured("pm10", pm10, MOST_PM10, 10)]


def decode_sds198(frame: bytes) -> list[Measurement]:
    """Return what an SDS198 reports; what its first word is, no document tells."""
    first, pm100 = frame[2] | frame[3] << 8, frame[4] | frame[5] << 8
    if not first and not pm100:
        return [Measurement("pm100", None, Reason.WARMING_UP)]
    return [Measurement("pm100", pm100)]


def framing(head: bytes, size: int, decoded: Callable[[bytes], list[Measurement]]) -> Framing:
    """Return how the frames with this head are recognised."""
    return Framing(head, len(head), lambda _: size, intact, decoded)


FRAMINGS = (
    framing(REPORT, SIZE, decode),
    framing(REPORT_SDS198, SIZE, decode_sds198),
    framing(REPLY, SIZE, lambda _: []),
    framing(COMMAND, COMMAND_SIZE, lambda _: []),  # of somebody else on the line, or an echo
)


def command(data: bytes) -> bytes:
    """Return the frame of a command to whatever device hears it."""
    body = data.ljust(COMMAND_SIZE - 6, b"\0") + EVERY_DEVICE
    return COMMAND + body + bytes((sum8(body), TAIL))


def prompt(settings: Settings) -> Prompt | None:
    """Return the commands that set the working period; nothing is sent unless one is given."""
    if settings.period is None:
        return None
    return Prompt(command(WORK) + command(WORKING_PERIOD + bytes((settings.period,))), pause=60.0 * settings.period)


DRIVER = ListeningDriver(
    name="sds011",
    title="Nova Fitness SDS011, SDS198",
    settings=Settings,
    quantities=quantities,
    line=SerialLine(9600),
    make=lambda _: FrameDecoder(*FRAMINGS),
    prompt=prompt,
    silent_after=30.0,
    warm_up=30.0,  # in its own working period its fan turns for 30 s before it reports
    reasons=(Reason.WARMING_UP, Reason.OUT_OF_RANGE),
    faults=(FaultKind.CHECKSUM, FaultKind.TRUNCATED, FaultKind.GARBAGE),
    wiring=(
        Wire(N_("3, 5V"), V5),
        Wire(N_("5, GND"), GND),
        Wire(N_("7, TXD"), RXD, N_("3.3 V, no divider needed")),
        Wire(N_("6, RXD"), TXD, N_("only if period is set")),
        Wire(N_("1, CTL; 2, 1um; 4, 25um"), OPEN),
    ),
    notes=(
        N_("The laser lasts 8000 hours, 11 months: with period = 5 it lasts nine years"),
        N_("In fog and above 70 %RH it takes droplets for dust"),
    ),
    source="Nova Fitness, Laser Dust Sensor Control Protocol V1.3; SDS198: recorded by PyPMS",
)
