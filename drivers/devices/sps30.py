"""Sensirion SPS30 particle sensor on a UART, which answers when asked, once it was told to measure.

Source: Sensirion SPS30 datasheet, version 1.0 (March 2020), section 5.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from struct import Struct

from drivers.asking import ask, refused
from drivers.contract import (
    N_,
    Answer,
    Ask,
    Fault,
    FaultKind,
    Measurement,
    Poll,
    PollingDriver,
    Reason,
    SerialLine,
    Wire,
)
from drivers.quantities import unit
from drivers.shdlc import FLAG, ShdlcDecoder, framed
from drivers.wiring import GND, OPEN, RXD, TXD, V5

START_COMMAND, READ_COMMAND = 0x00, 0x03
START = framed(bytes.fromhex("00 00 02 01 03"))  # big-endian floats
READ = framed(bytes.fromhex("00 03 00"))
WAKE = b"\xff" + framed(bytes.fromhex("00 11 00"))  # asleep it needs a pulse first
NO_NEW_DATA = framed(bytes.fromhex("00 03 00 00"))
# Lengths of the data of the requests that have any: start, cleaning interval, device information, status. That of a
# request stands where an answer has its state: only the lengths tell them apart.
REQUESTS = {0x00: (2,), 0x80: (1, 5), 0xD0: (1,), 0xD2: (1,)}
WITHIN = 0.3  # seconds; it answers within 20 ms, the answer takes 8 ms on the line, and an adapter may hold it back

NAMES = ("pm1", "pm2_5", "pm4", "pm10", "n0_5", "n1", "n2_5", "n4", "n10", "particle_size")
FLOATS = Struct(">10f")  # ug/m3, 1/cm3, um
INTEGERS = Struct(">10H")  # the same, if started so by somebody else, but the size is in nm
DIGITS = (4,) * len(NAMES)
DEVICE_FAULT = 0x80  # bit of the state: fan or laser out of order
NOT_NOW = 0x43  # "command not allowed in current state": asked for values before the start, or started twice
ERRORS = {1: "wrong data length", 2: "unknown command", 3: "no access right", 4: "illegal parameter", 0x28: "internal"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Nothing to be set."""


def quantities(_: Settings) -> Mapping[str, str]:
    """Return what it measures."""
    return {name: unit(name) for name in NAMES}


def decode(body: bytes) -> Sequence[Measurement] | Fault:
    """Return what a request, which says nothing, or an answer says."""
    if len(body) == 3 + body[2] and body[2] in REQUESTS.get(body[1], (0,)):
        return ()
    if len(body) < 4 or len(body) < 4 + body[3]:
        return Fault(FaultKind.TRUNCATED, 0, body.hex(" "))
    command, state, data = body[1], body[2], body[4:]
    if len(data) > body[3] or (command == READ_COMMAND and len(data) not in {0, INTEGERS.size, FLOATS.size}):
        return Fault(FaultKind.BAD_LENGTH, 0, body.hex(" "))
    if (error := state & ~DEVICE_FAULT) and (command, error) != (START_COMMAND, NOT_NOW):
        text = "not allowed now" if error == NOT_NOW else ERRORS.get(error, "unknown error")
        return Fault(FaultKind.REFUSED, 0, f"command {command:02x}: {error:02x}, {text}")
    return measured(data, faulty=bool(state & DEVICE_FAULT)) if command == READ_COMMAND and data else ()


def measured(data: bytes, *, faulty: bool) -> list[Measurement]:
    """Return ten values, rounded to what single precision has left at the end of the range."""
    if len(data) == FLOATS.size:
        values = FLOATS.unpack(data)
    else:
        *numbers, nanometres = INTEGERS.unpack(data)
        values = (*numbers, nanometres / 1000)
    if faulty or not isfinite(sum(values)):
        return [Measurement(name, None, Reason.INVALID) for name in NAMES]
    if not any(values):
        return [Measurement(name, None, Reason.WARMING_UP) for name in NAMES]
    return list(map(Measurement, NAMES, map(round, values, DIGITS)))


def decoder(_: Settings) -> ShdlcDecoder:
    """Return a decoder of all that passes on the line."""
    return ShdlcDecoder(decode)


@dataclass(frozen=True, slots=True)
class Sps30:
    """A sensor that is asked; a `drivers.contract.Poller`."""

    settings: Settings

    def poll(self) -> Poll:
        """Read the values; if it refuses or says nothing, it does not measure, and is woken and told to."""
        items = yield from ask(READ, lambda: decoder(self.settings), within=WITHIN, empty=NO_NEW_DATA)
        silent = bool(items) and isinstance(items[-1], Fault) and items[-1].kind is FaultKind.NO_REPLY
        if silent:
            yield Ask(WAKE, answered, WITHIN)
        if silent or refused(items):
            yield Ask(START, answered, WITHIN)
        return items


def answered(heard: bytes) -> Answer | None:
    """Find any frame."""
    return Answer(heard) if heard.count(FLAG) >= 2 else None


DRIVER = PollingDriver(
    name="sps30",
    title="Sensirion SPS30",
    settings=Settings,
    quantities=quantities,
    line=SerialLine(115_200),
    addressed=False,
    every=10.0,
    make=Sps30,
    overhear=decoder,
    warm_up=30.0,  # table 1, start-up time: 8 to 30 s, the longer the cleaner the air
    reasons=(Reason.WARMING_UP, Reason.INVALID),
    faults=(
        FaultKind.CHECKSUM,
        FaultKind.BAD_LENGTH,
        FaultKind.TRUNCATED,
        FaultKind.GARBAGE,
        FaultKind.REFUSED,
        FaultKind.NO_REPLY,
    ),
    wiring=(
        Wire(N_("1, VDD"), V5),
        Wire(N_("2, RX"), TXD),
        Wire(N_("3, TX"), RXD, N_("3.3 V, no divider needed")),
        Wire(N_("4, SEL"), OPEN, N_("to GND it would speak I2C")),
        Wire(N_("5, GND"), GND),
    ),
    notes=(
        N_("Each count is of the particles from 0.3 um up to that size"),
        N_("No value because it is invalid: its fan or its laser is out of order"),
        N_("Once a week it blows its fan clean for ten seconds"),
    ),
    source="Sensirion SPS30 datasheet, version 1.0, March 2020, section 5",
)
