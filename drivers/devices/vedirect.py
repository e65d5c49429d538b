"""Victron solar chargers, battery monitors and inverters at their VE.Direct port. They speak unasked, once a second.

A block is lines of label, tab and value, in no fixed order; the last, "Checksum", has one byte that makes the sum of
all bytes of the block 0. A battery monitor sends two kinds of blocks in turn. A device on whose port somebody uses
the HEX protocol puts HEX lines anywhere in between, which are no part of the sum.
Source: Victron, VE.Direct Protocol 3.33 ("text mode"); VE.Direct HEX protocol, "frame format".
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from drivers.checksums import sum8
from drivers.contract import N_, Fault, FaultKind, Item, ListeningDriver, Measurement, Reason, SerialLine, Value, Wire
from drivers.quantities import always
from drivers.wiring import GND, OPEN, RXD

LAST = re.compile(rb"Checksum\t(.)", re.DOTALL)  # whatever the byte is: a line end or a colon, too
FIELD = re.compile(rb"([A-Za-z0-9_#]{1,9})\t([ -~]{0,33})")  # longest label and value: "frame format"
BEGUN = re.compile(rb"[A-Za-z0-9_#]{1,9}\t")
HEX = re.compile(rb":[0-9A-Fa-f]*\n")
BEFORE = re.compile(rb"(:[0-9A-Fa-f]*\n|[\r\n])*")  # what may stand in front of the first label and is no noise
LIMIT = 2048  # bytes without the end of a block; one has at most 22 lines, of at most 45 bytes
DIGITS = 6  # behind the point, of a value whose smallest step is a thousandth
UNKNOWN = b"---"
FIRST = {b"PID", b"H1"}  # labels that blocks begin with; only there is one found that stands behind noise

CHARGER_STATES = {
    0: "off",
    1: "low_power",
    2: "fault",
    3: "bulk",
    4: "absorption",
    5: "float",
    6: "storage",
    7: "equalize",
    9: "inverting",
    11: "power_supply",
    245: "starting_up",
    246: "repeated_absorption",
    247: "auto_equalize",
    248: "battery_safe",
    252: "external_control",
}
TRACKER_STATES = {0: "off", 1: "limited", 2: "tracking"}


def scaled(scale: float, text: str) -> Value:
    """Return a whole number of some unit in ours."""
    return round(int(text) * scale, DIGITS) + 0.0  # no -0.0


def named(names: Mapping[int, str], text: str) -> Value:
    """Return the word for a number; newer devices may have states of which we know the number alone."""
    return names.get(int(text), text)


def switched(text: str) -> Value:
    """Return whether something is on."""
    return {"ON": True, "OFF": False}[text]


def plain(text: str) -> Value:
    """Return a number of the device's own, be it decimal or, as in "0x00000001", hexadecimal."""
    return int(text, 0) if text.startswith("0x") else int(text)


milli, centi, deci = partial(scaled, 1e-3), partial(scaled, 1e-2), partial(scaled, 1e-1)
LABELS: dict[bytes, tuple[str, Callable[[str], Value]]] = {
    b"V": ("battery_voltage", milli),
    b"I": ("battery_current", milli),
    b"P": ("battery_power", plain),
    b"T": ("battery_temperature", plain),
    b"SOC": ("state_of_charge", deci),
    b"TTG": ("time_to_go", plain),
    b"CE": ("consumed_charge", partial(scaled, -1e-3)),  # the device counts what was taken below zero
    b"VS": ("starter_voltage", milli),
    b"VPV": ("pv_voltage", milli),
    b"PPV": ("pv_power", plain),
    b"IL": ("load_current", milli),
    b"LOAD": ("load_on", switched),
    b"H19": ("yield_total", centi),
    b"H20": ("yield_today", centi),
    b"H21": ("power_max_today", plain),
    b"H22": ("yield_yesterday", centi),
    b"CS": ("charger_state", partial(named, CHARGER_STATES)),
    b"MPPT": ("tracker_state", partial(named, TRACKER_STATES)),
    b"ERR": ("charger_error", plain),
    b"OR": ("off_reason", plain),
    b"Alarm": ("alarm", switched),
    b"AC_OUT_V": ("voltage", centi),
    b"AC_OUT_I": ("current", deci),
    b"AC_OUT_S": ("apparent_power", plain),
}
ENDLESS = (b"TTG", b"-1")  # the battery is not being emptied


def measure(label: bytes, value: bytes) -> Measurement | None:
    """Return what a line says; nothing if it is of no interest. Raises ValueError if its value makes no sense."""
    if label not in LABELS:
        return None
    quantity, convert = LABELS[label]
    if value == UNKNOWN:
        return Measurement(quantity, None, Reason.INVALID)
    if (label, value) == ENDLESS:
        return Measurement(quantity, None, Reason.OUT_OF_RANGE)
    try:
        return Measurement(quantity, convert(value.decode("ascii")))
    except KeyError as error:
        raise ValueError(value) from error


def fields(text: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return the lines of the last block in a text, and what stands in front of it: noise, or a block that was cut.

    No device says the same label twice in a block.
    """
    lines = text.split(b"\r\n")
    block: list[tuple[bytes, bytes]] = []
    labels: set[bytes] = set()
    while len(lines) > 1 and (line := FIELD.fullmatch(lines[-1])) and line[1] not in labels:
        labels.add(line[1])
        block.append((line[1], line[2]))
        lines.pop()
    return block[::-1], b"\r\n".join(lines)


def lead(data: bytes | bytearray) -> int:
    """Return how many bytes in front of a block are no noise."""
    return next(BEFORE.finditer(data)).end()


class Decoder:
    """Splits a stream into blocks and decodes them; a `drivers.contract.Decoder`."""

    def __init__(self) -> None:
        self._buffer = bytearray()  # begins behind the last block
        self._offset = 0  # of the first byte of the buffer in the stream

    def feed(self, data: bytes) -> list[Item]:
        """Take the next bytes and return what they complete."""
        self._buffer += data
        items: list[Item] = []
        while True:
            while line := HEX.match(self._buffer):
                self._drop(line.end())
            last = LAST.search(self._buffer, 0, LIMIT)
            if last is not None:
                items += self._block(bytes(self._buffer[: last.start(1)]), last[1])
                self._drop(last.end())
            elif len(self._buffer) >= LIMIT:
                items.append(Fault(FaultKind.GARBAGE, self._offset, f"{LIMIT} B without the end of a block"))
                self._drop(LIMIT)
            else:
                return items

    def end(self) -> list[Item]:
        """Take the end of a recording: a block that lacks its end is none."""
        start = lead(self._buffer)
        rest = bytes(self._buffer[start:])
        kind = FaultKind.TRUNCATED if BEGUN.search(rest) else FaultKind.GARBAGE
        items: list[Item] = [Fault(kind, self._offset + start, f"{len(rest)} B")] if rest else []
        self._drop(len(self._buffer))
        return items

    def _block(self, raw: bytes, checksum: bytes) -> list[Item]:
        """Return what the bytes since the last block say, which end with "Checksum" and its tab."""
        start = self._offset + lead(raw)
        block, before = fields(HEX.sub(b"", raw))
        clean = not before.strip(b"\r\n")
        intact = not sum8(b"".join(b"\r\n%b\t%b" % line for line in block) + checksum)
        if not intact or not (clean or (block and block[0][0] in FIRST)):
            return [Fault(FaultKind.CHECKSUM, start, f"{len(raw) + 1} B")]
        items: list[Item] = []
        if not clean:
            kind = FaultKind.TRUNCATED if BEGUN.search(before) else FaultKind.GARBAGE
            items.append(Fault(kind, start, f"{len(before)} B in front of a block"))
        for label, value in block:
            try:
                measurement = measure(label, value)
            except ValueError:
                at = self._offset + raw.rfind(label + b"\t")
                items.append(Fault(FaultKind.MALFORMED, at, f"{label.decode()} is {value.decode()!r}"))
                continue
            if measurement is not None:
                items.append(measurement)
        return items

    def _drop(self, size: int) -> None:
        del self._buffer[:size]
        self._offset += size


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Nothing to be set."""


DRIVER = ListeningDriver(
    name="vedirect",
    title=N_("Victron VE.Direct: solar chargers (MPPT), battery monitors (BMV, SmartShunt), inverters"),
    settings=Settings,
    quantities=always(*(quantity for quantity, _ in LABELS.values())),
    line=SerialLine(19200),
    make=lambda _: Decoder(),
    silent_after=30.0,
    alarms=("alarm",),
    reasons=(Reason.INVALID, Reason.OUT_OF_RANGE),
    faults=(FaultKind.CHECKSUM, FaultKind.TRUNCATED, FaultKind.GARBAGE, FaultKind.MALFORMED),
    wiring=(
        Wire(N_("1, GND"), GND),
        Wire(N_("2, RX"), OPEN),
        Wire(N_("3, TX"), RXD, N_("3.3 V from MPPT and SmartShunt; 5 V, so with a divider, from old inverters")),
        Wire(N_("4, power"), OPEN, N_("up to 5 V: never to a pin of the Pi")),
    ),
    notes=(
        N_("The negative of the battery becomes the ground of the Pi: use Victron's VE.Direct to USB cable, isolated"),
        N_("A SmartShunt that is set up as an energy meter says the values of its circuit as those of a battery"),
    ),
    source="Victron VE.Direct Protocol 3.33",
)
