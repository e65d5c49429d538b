"""Winsen MH-Z19B carbon dioxide sensor on a UART, which answers when asked. The MH-Z19 and MH-Z19C answer alike.

Source: Winsen, MH-Z19B user's manual V1.6: 9 bytes, the last of which makes bytes 1 to 8 sum to zero.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from drivers.asking import ask
from drivers.checksums import sum8
from drivers.contract import N_, FaultKind, Help, Interval, Measurement, Poll, PollingDriver, Reason, SerialLine, Wire
from drivers.framing import FrameDecoder, Framing
from drivers.quantities import unit
from drivers.wiring import GND, OPEN, RXD, TXD, V5

SIZE = 9
READ = bytes.fromhex("ff 01 86 00 00 00 00 00 79")
READING = b"\xff\x86"
# Requests, of which some adapters send an echo, and what it answers to the calibrations and the setting of its range.
NO_READINGS = (b"\xff\x01", b"\xff\x79", b"\xff\x87", b"\xff\x88", b"\xff\x99")
WITHIN = 1.0  # seconds; the answer takes 10 ms on the line
# Bytes 4 to 7 are in no manual. Byte 4 is the temperature plus 40, 0 if unknown; 6 and 7 are 15000 while it boots and
# says 400 or 410 ppm (esphome/esphome, pull request 588). At other times they are anything.
ZERO_CELSIUS = 40
BOOTING = 15000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What it was ordered for."""

    limit: Annotated[
        int, Interval(ge=1000, le=10000), Help(N_("Measuring range of the sensor: 2000, 5000 or 10000"), unit="ppm")
    ] = 5000


def quantities(_: Settings) -> Mapping[str, str]:
    """Return what it measures."""
    return {name: unit(name) for name in ("co2", "device_temperature")}


def intact(frame: bytes) -> bool:
    """Tell whether all bytes but the first sum to zero."""
    return not sum8(frame[1:])


def carbon_dioxide(frame: bytes, limit: int) -> Measurement:
    """Return the carbon dioxide; at its limit a sensor tells only that there is at least so much."""
    value = frame[2] << 8 | frame[3]
    if not value or frame[6] << 8 | frame[7] == BOOTING:
        return Measurement("co2", None, Reason.WARMING_UP)
    return Measurement("co2", value) if value < limit else Measurement("co2", None, Reason.OUT_OF_RANGE)


def framing(head: bytes, decode: Callable[[bytes], list[Measurement]]) -> Framing:
    """Return how the frames with this head are recognised."""
    return Framing(head, len(head), lambda _: SIZE, intact, decode)


def decoder(settings: Settings) -> FrameDecoder:
    """Return a decoder of all that passes on the line."""

    def decode(frame: bytes) -> list[Measurement]:
        measured = [carbon_dioxide(frame, settings.limit)]
        if frame[4]:
            measured.append(Measurement("device_temperature", frame[4] - ZERO_CELSIUS))
        return measured

    return FrameDecoder(framing(READING, decode), *(framing(head, lambda _: []) for head in NO_READINGS))


@dataclass(frozen=True, slots=True)
class Mhz19:
    """A sensor that is asked; a `drivers.contract.Poller`."""

    settings: Settings

    def poll(self) -> Poll:
        """Read the carbon dioxide."""
        return (yield from ask(READ, lambda: decoder(self.settings), within=WITHIN))


DRIVER = PollingDriver(
    name="mhz19",
    title="Winsen MH-Z19B, MH-Z19C",
    settings=Settings,
    quantities=quantities,
    line=SerialLine(9600),
    addressed=False,
    every=10.0,
    make=Mhz19,
    overhear=decoder,
    warm_up=180.0,  # manual, "preheat time"; it says 400 or 410 ppm meanwhile
    reasons=(Reason.WARMING_UP, Reason.OUT_OF_RANGE),
    faults=(FaultKind.CHECKSUM, FaultKind.TRUNCATED, FaultKind.GARBAGE, FaultKind.NO_REPLY),
    wiring=(
        Wire(N_("Vin"), V5),
        Wire(N_("GND"), GND),
        Wire(N_("Tx"), RXD, N_("3.3 V, no divider needed")),
        Wire(N_("Rx"), TXD),
        Wire(N_("PWM, HD, Vo"), OPEN, N_("7 s of 0 V at HD would calibrate it")),
    ),
    notes=(
        N_("Every 24 hours it takes the least it saw for 400 ppm: right outdoors, wrong where the air is never fresh"),
        N_("The temperature is in no manual, in whole degrees, and that of the sensor itself"),
    ),
    source="Winsen MH-Z19B user's manual V1.6; bytes 4 to 7: observed by others",
)
