"""Davis Vantage Pro2, Vantage Vue and Vantage Pro: a console or Envoy with a serial or USB data logger, asked by us.

The console sleeps: a line feed wakes it. It then sends packets of 99 bytes, LOOP from the beginning and LOOP2 since
firmware 1.90; the byte behind the bar trend (in the oldest firmware a "P") tells which. Least significant byte first,
but for the CRC. All is in the units of the United States whatever the console shows; rain is in clicks of its bucket.
Source: Davis, Vantage Serial Communication Reference Manual 2.6.1, VI "wake", VIII.2 "LPS", IX.1 and IX.2. In one thing
consoles do otherwise: the ten-minute gust of LOOP2 is in whole mph, not tenths (seen by users on several).
"""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from struct import Struct, calcsize
from typing import Annotated, NamedTuple

from drivers.checksums import crc16_ccitt
from drivers.contract import (
    N_,
    Answer,
    Ask,
    Fault,
    FaultKind,
    Help,
    Interval,
    Item,
    Measurement,
    Poll,
    PollingDriver,
    Reason,
    SerialLine,
    Wire,
)
from drivers.framing import FrameDecoder, Framing
from drivers.quantities import always
from drivers.wiring import GND, RS232

HEAD = b"LOO"
TYPE_AT = 4
LOOP, LOOP2 = 0, 1
SIZE = 99
REQUESTS = {LOOP: b"LOOP 1\n", LOOP2: b"LPS 2 1\n"}
REFUSALS = b"\x21\x15\x18"  # what comes in place of ACK
WAKE, AWAKE = b"\n", b"\n\r"
WAKE_TRIES = 3
WAKE_WITHIN = 1.2  # seconds
PACKET_WITHIN = 4.0  # seconds; the console sends one each 2 to 2.5 s

INCH_OF_MERCURY = 33.86389  # hPa
MPH = 0.44704  # m/s
BATTERY = 300 / 512 / 100  # V


class Field(NamedTuple):
    """Where a quantity is in a packet, what is ours of one of it, and which values mean that there is none."""

    offset: int
    format: str  # of `struct`
    scale: float | None  # None: clicks of the rain bucket
    digits: int
    dashes: frozenset[int] = frozenset({0xFFFF})
    zero: int = 0  # where our unit begins to count


TENTH_FAHRENHEIT, FAHRENHEIT = 5 / 90, 5 / 9
NO_BYTE, NO_SIGNED, NO_DEW_POINT = frozenset({0xFF}), frozenset({0x7FFF}), frozenset({0xFF, 0x7FFF})
NO_WORD, NOR_ZERO = frozenset({0x7FFF, 0xFFFF}), frozenset({0, 0x7FFF, 0xFFFF})
IN_BOTH = {
    "pressure_sea_level": Field(7, "H", INCH_OF_MERCURY / 1000, 2, NOR_ZERO),
    "device_temperature": Field(9, "h", TENTH_FAHRENHEIT, 2, NO_SIGNED, zero=320),
    "temperature": Field(12, "h", TENTH_FAHRENHEIT, 2, NO_SIGNED, zero=320),
    "wind_speed": Field(14, "B", MPH, 3, NO_BYTE),
    "wind_direction": Field(16, "H", 1, 0, NOR_ZERO),  # north is 360
    "humidity": Field(33, "B", 1, 0, NO_BYTE),
    "rain_rate": Field(41, "H", None, 3),
    "uv_index": Field(43, "B", 0.1, 1, NO_BYTE),
    "solar_radiation": Field(44, "H", 1, 0, NO_SIGNED),
    "rain_storm": Field(46, "H", None, 3),
    "rain_today": Field(50, "H", None, 3),
}
FIELDS = {
    LOOP: {
        **IN_BOTH,
        "wind_speed_average": Field(15, "B", MPH, 3, NO_BYTE),
        "battery_voltage": Field(87, "H", BATTERY, 2),
    },
    LOOP2: {
        **IN_BOTH,
        "wind_speed_average": Field(18, "H", MPH / 10, 3, NO_WORD),
        "wind_gust": Field(22, "H", MPH, 3, NO_WORD | NO_BYTE),
        "dew_point": Field(30, "h", FAHRENHEIT, 2, NO_DEW_POINT, zero=32),
        "pressure": Field(67, "H", INCH_OF_MERCURY / 1000, 2, NOR_ZERO),
    },
}


def layout(fields: Iterable[Field]) -> Struct:
    """Return the layout of a packet; what is between these fields is of no interest."""
    parts = ["<"]
    end = 0
    for field in fields:
        parts.append(f"{field.offset - end}x{field.format}")
        end = field.offset + calcsize(field.format)
    return Struct("".join(parts) + f"{SIZE - end}x")


SORTED = {type_: sorted(fields.items(), key=lambda item: item[1].offset) for type_, fields in FIELDS.items()}
LAYOUTS = {type_: layout(field for _, field in fields) for type_, fields in SORTED.items()}


class Conversion(NamedTuple):
    """What becomes of the number in a field."""

    quantity: str
    dashes: frozenset[int]
    zero: int
    # In whole numbers, of the last digit that is told: rounding a float takes Python longer than all else in a packet.
    numerator: int
    denominator: int
    last_digits: int  # in one of our unit


Conversions = Mapping[int, Sequence[Conversion]]  # of the fields of each type of packets, in their order


def conversions(mm_per_click: float) -> Conversions:
    """Return what becomes of the numbers of a station with such a rain bucket."""
    return {
        type_: [
            Conversion(quantity, field.dashes, field.zero, *_ratio(field.scale or mm_per_click, field.digits))
            for quantity, field in fields
        ]
        for type_, fields in SORTED.items()
    }


def _ratio(scale: float, digits: int) -> tuple[int, int, int]:
    last_digits = 10**digits
    ratio = Fraction(scale).limit_denominator(10**8) * last_digits
    return ratio.numerator, ratio.denominator, last_digits


def intact(packet: bytes) -> bool:
    """Tell whether the CRC at the end is that of the packet."""
    return not crc16_ccitt(packet)


def decode(convert: Conversions, packet: bytes) -> list[Measurement]:
    """Return the measurements of an intact packet."""
    type_ = packet[TYPE_AT]
    return [
        Measurement(quantity, None, Reason.INVALID)
        if raw in dashes
        else Measurement(quantity, (2 * (raw - zero) * numerator + denominator) // (2 * denominator) / last_digits)
        for (quantity, dashes, zero, numerator, denominator, last_digits), raw in zip(
            convert[type_], LAYOUTS[type_].unpack(packet), strict=True
        )
    ]


def packet_size(header: bytes) -> int:
    """Return the size of a packet, 0 if it is none of those we know."""
    return SIZE if header[TYPE_AT] in FIELDS else 0


def nothing(_frame: bytes) -> Sequence[Measurement]:
    """Say that there is nothing in a request or an acknowledgement."""
    return ()


def text(head: bytes, size: int) -> Framing:
    """Return how a request is recognised, of at most so many bytes."""
    return Framing(head, size, lambda header: header.find(b"\n") + 1, lambda _: True, nothing)


def overhear(convert: Conversions) -> FrameDecoder:
    """Return what reads a recording of the line: packets, and between them requests and what answers them."""
    packets = Framing(HEAD, TYPE_AT + 1, packet_size, intact, partial(decode, convert))
    others = (Framing(byte, 1, lambda _: 1, lambda _: True, nothing) for byte in (b"\n", b"\r", b"\x06"))
    return FrameDecoder(text(b"LOOP ", 9), text(b"LPS ", 10), packets, *others)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the console cannot tell."""

    mm_per_click: Annotated[
        float,
        Interval(gt=0, le=1),
        Help(N_("Rain of one click of the bucket: 0.2, or 0.254 if it is one of 0.01 inch"), unit="mm"),
    ] = 0.2


class Vantage:
    """One console; a `drivers.contract.Poller`."""

    def __init__(self, settings: Settings) -> None:
        self._convert = conversions(settings.mm_per_click)
        self._types = [LOOP, LOOP2]  # what both have is told by the latter, whose mean of the wind is finer

    def poll(self) -> Poll:
        """Wake the console and ask for one packet of each type."""
        for _ in range(WAKE_TRIES):
            if (yield Ask(WAKE, lambda heard: Answer(b"") if AWAKE in heard else None, WAKE_WITHIN)):
                break
        else:
            return [Fault(FaultKind.NO_REPLY, 0, "the console does not wake")]
        faults: list[Item] = []
        said: dict[str, Item] = {}
        for type_ in tuple(self._types):
            packet = yield from self._ask(type_, faults)
            said |= {item.quantity: item for item in decode(self._convert, packet)} if packet else {}
        return [*faults, *said.values()]

    def _ask(self, type_: int, faults: list[Item]) -> Generator[Ask, Answer | None, bytes]:
        """Ask for a packet and return it; if it did not come, return nothing and add why to the faults."""
        heard = b""

        def find(all_heard: bytes) -> Answer | None:
            nonlocal heard
            heard = all_heard
            start = heard.find(HEAD)
            while start >= 0:
                packet = heard[start : start + SIZE]
                if len(packet) == SIZE and packet[TYPE_AT] == type_ and intact(packet):
                    return Answer(packet)
                start = heard.find(HEAD, start + 1)
            refused = heard[:1] and heard[:1] in REFUSALS
            return Answer(b"", refused=Fault(FaultKind.REFUSED, 0, heard.hex(" "))) if refused else None

        answer = yield Ask(REQUESTS[type_], find, PACKET_WITHIN)
        if answer is None:
            decoder = overhear(self._convert)
            found = [item for item in (*decoder.feed(heard), *decoder.end()) if isinstance(item, Fault)]
            faults += found or [Fault(FaultKind.NO_REPLY, len(heard), REQUESTS[type_].decode().strip())]
            return b""
        if answer.refused and type_ == LOOP2:
            self._types.remove(LOOP2)  # a console from before it came
        elif answer.refused:
            faults.append(answer.refused)
        return answer.payload


DRIVER = PollingDriver(
    name="vantage",
    title="Davis Vantage Pro2, Vantage Vue, Vantage Pro",
    settings=Settings,
    quantities=always(*dict.fromkeys((*FIELDS[LOOP], *FIELDS[LOOP2]))),
    line=SerialLine(19200),
    addressed=False,
    every=15.0,
    make=Vantage,
    overhear=lambda settings: overhear(conversions(settings.mm_per_click)),
    silent_after=120.0,
    reasons=(Reason.INVALID,),
    faults=(
        FaultKind.NO_REPLY,
        FaultKind.REFUSED,
        FaultKind.CHECKSUM,
        FaultKind.TRUNCATED,
        FaultKind.BAD_LENGTH,
        FaultKind.GARBAGE,
    ),
    wiring=(
        Wire(N_("data logger 6510USB"), N_("USB")),
        Wire(N_("or data logger 6510SER"), RS232),
        Wire(N_("ground of it"), GND),
    ),
    notes=(
        N_("Without a data logger (WeatherLink) in it the console has no serial port"),
        N_("pressure_sea_level is right when the elevation has been set in the console"),
        N_("Day and storm of the rain follow the clock of the console"),
        N_("Sensors that were never there have no values: uv_index and solar_radiation of most stations"),
    ),
    source="Davis Vantage Serial Communication Reference Manual 2.6.1",
)
