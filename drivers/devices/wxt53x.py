"""Vaisala WXT530 and WXT520 weather transmitters, and others that speak as they do, in their ASCII protocols.

A line is address, "R" and the number of the message, and fields of key, number and a letter for its unit. With a small
"r" a CRC of three characters follows. The device speaks unasked ("automatic") or when asked ("polled"); what it says is
the same, and an automatic one may be asked as well.
Source: WXT530 User Guide M211840EN, chapters 7, "Retrieving data messages", and 8, "Sensor and data message settings".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple

from drivers.checksums import crc16_sdi12
from drivers.contract import (
    N_,
    Fault,
    FaultKind,
    Help,
    Interval,
    Item,
    ListeningDriver,
    Measurement,
    Prompt,
    Reason,
    SerialLine,
    Wire,
)
from drivers.quantities import always
from drivers.totals import WithTotal
from drivers.wiring import SUPPLY, A, B

LIMIT = 512  # bytes without the end of a line; the longest message has some 250
HEAD = re.compile(rb"[0-9A-Za-z][Rr][0-5],")
CRC_SIZE = 3
# Lines that are no messages and no faults: texts such as "0TX,Start-up", settings, requests, an address.
OTHERS = re.compile(rb"[0-9A-Za-z]([Tt]X,.*|[XWTRSI][A-Z]{1,3}!?(,.*)?|[Rr][0-5]?([@-\x7f]{3})?!?|!?)|\?!?", re.DOTALL)
ANY = re.compile(rb"[A-Z][a-z]=(-?\d+(\.\d+)?[A-Za-z#]|[!-+\--~]*)")
INVALID = re.compile(rb"-?\d+(\.\d+)?#")  # a number is shown, and it means nothing
DIGITS = 4


class Kind(NamedTuple):
    """How the numbers of some fields look; in a line without CRC this is all there is to tell a damaged one by."""

    number: str
    units: Mapping[str, tuple[float, float]]  # letter -> what is ours of one of them, and where they begin to count
    low: float  # in our unit
    high: float


DIRECTION = Kind(r"\d{3}", {"D": (1, 0)}, 0, 360)
SPEED = Kind(r"\d{1,3}\.\d", {"M": (1, 0), "K": (1 / 3.6, 0), "S": (0.44704, 0), "N": (1852 / 3600, 0)}, 0, 80)
TEMPERATURE = Kind(r"-?\d{1,3}\.\d", {"C": (1, 0), "F": (5 / 9, 32)}, -60, 80)
HUMIDITY = Kind(r"\d{1,3}\.\d", {"P": (1, 0)}, 0, 100)
PRESSURE = Kind(
    r"\d+(?:\.\d+)?", {"H": (1, 0), "P": (0.01, 0), "B": (1000, 0), "M": (1.333224, 0), "I": (33.86389, 0)}, 500, 1150
)
AMOUNT = Kind(r"\d+\.\d{1,3}", {"M": (1, 0), "I": (25.4, 0)}, 0, 1700)  # the counter holds 65535 of 0.01 mm or 0.001 in
RATE = Kind(r"\d+\.\d{1,2}", {"M": (1, 0), "I": (25.4, 0)}, 0, 1000)
HITS = Kind(r"\d+(?:\.\d)?", {"M": (1, 0), "I": (1 / 6.4516, 0), "H": (1 / 60, 0)}, 0, 6554)  # the cap has 60 cm2
DURATION = Kind(r"\d+", {"s": (1, 0), "S": (1, 0)}, 0, 1e9)
VOLTAGE = Kind(r"\d{1,2}\.\d{1,3}", {"V": (1, 0)}, 0, 50)
HEATING = VOLTAGE._replace(units=dict.fromkeys("NVWF", (1.0, 0.0)))  # the letter says how much it heats now

FIELDS = {
    "Dn": ("wind_direction_min", DIRECTION),
    "Dm": ("wind_direction", DIRECTION),
    "Dx": ("wind_direction_max", DIRECTION),
    "Sn": ("wind_lull", SPEED),
    "Sm": ("wind_speed", SPEED),
    "Sx": ("wind_gust", SPEED),
    "Ta": ("temperature", TEMPERATURE),
    "Tp": ("device_temperature", TEMPERATURE),
    "Ua": ("humidity", HUMIDITY),
    "Pa": ("pressure", PRESSURE),
    "Rc": ("rain", AMOUNT),
    "Rd": ("rain_duration", DURATION),
    "Ri": ("rain_rate", RATE),
    "Rp": ("rain_rate_max", RATE),
    "Hc": ("hail", HITS),
    "Hd": ("hail_duration", DURATION),
    "Hi": ("hail_rate", HITS),
    "Hp": ("hail_rate_max", HITS),
    "Th": ("heater_temperature", TEMPERATURE),
    "Vh": ("heater_voltage", HEATING),
    "Vs": ("device_voltage", VOLTAGE),
    "Vr": ("reference_voltage", VOLTAGE),
}
PATTERNS = {
    key.encode(): re.compile(rf"({kind.number})([{''.join(kind.units)}])".encode()) for key, (_, kind) in FIELDS.items()
}


def measure(field: bytes) -> Measurement | None:
    """Return what a field says; nothing if it is of no interest. Raises ValueError if it is no field."""
    key, _, text = field.partition(b"=")
    if key not in PATTERNS:
        if ANY.fullmatch(field):
            return None
        raise ValueError(field)
    quantity, kind = FIELDS[key.decode()]
    if INVALID.fullmatch(text):
        return Measurement(quantity, None, Reason.INVALID)
    found = PATTERNS[key].fullmatch(text)
    if found is None:
        raise ValueError(field)
    scale, zero = kind.units[found[2].decode()]
    value = round((float(found[1]) - zero) * scale, DIGITS)
    if not kind.low <= value <= kind.high:
        raise ValueError(field)
    return Measurement(quantity, value)


def decode(message: bytes, offset: int) -> list[Item]:
    """Return what a message says. A field that is none is left out, as two that ran together; the others count."""
    if message[1:2] == b"r":
        body, crc = message[:-CRC_SIZE], message[-CRC_SIZE:]
        if crc16_sdi12(body) != crc:
            return [Fault(FaultKind.CHECKSUM, offset, repr(message))]
        message = body
    items: list[Item] = []
    bad = []
    for field in message.split(b",")[1:]:
        try:
            measurement = measure(field)
        except ValueError:
            bad.append(field)
            continue
        if measurement is not None:
            items.append(measurement)
    return [Fault(FaultKind.MALFORMED, offset, repr(b",".join(bad))), *items] if bad else items


class Decoder:
    """Splits a stream into lines and decodes them; a `drivers.contract.Decoder`."""

    def __init__(self) -> None:
        self._buffer = bytearray()  # begins with a line
        self._offset = 0  # of the first byte of the buffer in the stream

    def feed(self, data: bytes) -> list[Item]:
        """Take the next bytes and return what they complete."""
        self._buffer += data
        items: list[Item] = []
        while True:
            end = self._buffer.find(b"\n", 0, LIMIT)
            if end >= 0:
                items += self._line(bytes(self._buffer[:end]))
                self._drop(end + 1)
            elif len(self._buffer) >= LIMIT:
                items.append(Fault(FaultKind.GARBAGE, self._offset, f"{LIMIT} B without the end of a line"))
                self._drop(LIMIT)
            else:
                return items

    def end(self) -> list[Item]:
        """Take the end of a recording: a line may lack its end. A field that has its unit is whole."""
        items = self._line(bytes(self._buffer))
        self._drop(len(self._buffer))
        return [item._replace(kind=FaultKind.TRUNCATED) if isinstance(item, Fault) else item for item in items]

    def _line(self, line: bytes) -> list[Item]:
        line = line.rstrip(b"\r")
        starts = [found.start() for found in HEAD.finditer(line)] or [len(line)]
        items: list[Item] = []
        before = line[: starts[0]].lstrip(b"\r\0")
        if before and not OTHERS.fullmatch(before):
            kind = FaultKind.MALFORMED if before.isascii() else FaultKind.GARBAGE
            items.append(Fault(kind, self._offset, repr(before)))
        for start, stop in pairwise(starts):
            items.append(Fault(FaultKind.TRUNCATED, self._offset + start, repr(line[start:stop])))
        message = line[starts[-1] :]
        return items + decode(message, self._offset + starts[-1]) if message else items

    def _drop(self, size: int) -> None:
        del self._buffer[:size]
        self._offset += size


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Whether it has to be asked, and how; raises ValueError if that makes no sense."""

    ask: Annotated[
        Literal["all", "composite", "nothing"],
        Help(N_("What to ask the device for: all its messages, its composite message, or nothing if it is automatic")),
    ] = "all"
    ask_every: Annotated[float, Interval(ge=1, le=60), Help(N_("How often to ask"), unit="s")] = 10.0
    address: Annotated[str, Help(N_("Address that is set in the device, to ask it; 0 unless it was changed"))] = "0"

    def __post_init__(self) -> None:
        if not re.fullmatch("[0-9A-Za-z]", self.address):
            raise ValueError("address: one digit or letter")


REQUESTS = {"all": "r", "composite": "r0"}


def prompt(settings: Settings) -> Prompt | None:
    """Return the request, one with CRC, so that the answers have one; they are ended by CR LF, not "!" as in SDI-12."""
    if settings.ask == "nothing":
        return None
    request = (settings.address + REQUESTS[settings.ask]).encode()
    return Prompt(request + crc16_sdi12(request) + b"\r\n", settings.ask_every)


DRIVER = ListeningDriver(
    name="wxt53x",
    title="Vaisala WXT531 - WXT536, WXT520",
    settings=Settings,
    quantities=always(*(quantity for quantity, _ in FIELDS.values())),
    line=SerialLine(19200),
    make=lambda _: Decoder(),
    timed=lambda _: WithTotal(Decoder(), "rain", DIGITS),
    prompt=prompt,
    silent_after=180.0,
    reasons=(Reason.INVALID, Reason.WARMING_UP),
    faults=(FaultKind.CHECKSUM, FaultKind.MALFORMED, FaultKind.TRUNCATED, FaultKind.GARBAGE),
    wiring=(
        Wire(N_("5 (grey), Data+"), A, N_("numbers and colours of the M12 connector with RS-485")),
        Wire(N_("7 (blue), Data-"), B),
        Wire(N_("2 (brown), Vin+"), SUPPLY, N_("12 or 24 V")),
        Wire(N_("8 (red), Vin-"), SUPPLY, N_("also to GND of the RS-485 adapter")),
    ),
    notes=(
        N_("Set it to ASCII, automatic or polled, by 0XU; messages with and without CRC are understood"),
        N_("Let its rain counter be reset by hand (0RU,Z=M) or when it is full (Z=L), never after each message (Z=A)"),
        N_("The total of the rain is one message behind: a damaged number must not be added for ever"),
        N_("Hail counts, durations and peaks are those since the device was last reset"),
    ),
    source="Vaisala WXT530 Series User Guide M211840EN, 7 and 8",
)
