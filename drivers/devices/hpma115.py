"""Honeywell HPM particle sensors on a UART: HPMA115S0 (standard) and HPMA115C0 (compact). They answer when asked.

They also send by themselves, once a second, until they are told not to; what they send so is understood as well.
Source: Honeywell, HPM Series datasheet 32322550, tables 4 to 7; each byte sum over a whole frame is zero.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import Struct

from drivers.asking import ask, refused
from drivers.checksums import sum8, sum16
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
from drivers.framing import FrameDecoder, Framing
from drivers.quantities import unit
from drivers.wiring import GND, OPEN, RXD, TXD, V5

READ, START = bytes.fromhex("68 01 04 93"), bytes.fromhex("68 01 01 96")
ACKNOWLEDGED, REFUSED = b"\xa5\xa5", b"\x96\x96"
WITHIN = 1.2  # seconds; the answer takes 17 ms on the line, but if RX is open, what comes unasked comes once a second
STANDARD, COMPACT = ("pm2_5", "pm10"), ("pm1", "pm2_5", "pm4", "pm10")
STANDARD_ANSWER, COMPACT_ANSWER = Struct(">3x 2H x"), Struct(">3x 4H 5x")
UNASKED = Struct(">4x 4H 20x")  # ug/m3: as `COMPACT`, or nothing, PM2.5, PM10, nothing
LIMIT = 1000  # ug/m3, the end of its range


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Nothing to be set."""


def quantities(_: Settings) -> Mapping[str, str]:
    """Return what the compact version measures; the standard one has no PM1 and no PM4."""
    return {name: unit(name) for name in COMPACT}


def measured(names: tuple[str, ...], values: tuple[int, ...]) -> list[Measurement]:
    """Return the concentrations; at its limit a sensor tells only that there is at least so much."""
    if not any(values):
        return [Measurement(name, None, Reason.WARMING_UP) for name in names]  # its fan stands still
    return [
        Measurement(name, value) if value < LIMIT else Measurement(name, None, Reason.OUT_OF_RANGE)
        for name, value in zip(names, values, strict=True)
    ]


def decode_unasked(frame: bytes) -> list[Measurement]:
    """Return what it says by itself. PM10 is never less than PM4, so that a fourth word of 0 is that of no compact."""
    words = UNASKED.unpack(frame)
    return measured(COMPACT, words) if words[3] else measured(STANDARD, words[1:3])


def answer(head: str, size: int, decode: Callable[[bytes], list[Measurement]] = lambda _: []) -> Framing:
    """Return how a request or answer with this head is recognised."""
    start = bytes.fromhex(head)
    return Framing(start, len(start), lambda _: size, lambda frame: not sum8(frame), decode)


def word(head: bytes, says: tuple[()] | Fault) -> Framing:
    """Return how an acknowledgement, which has no checksum, is recognised."""
    return Framing(head, len(head), lambda _: len(head), lambda _: True, lambda _: says)


FRAMINGS = (
    answer("40 05 04", 8, lambda frame: measured(STANDARD, STANDARD_ANSWER.unpack(frame))),
    answer("40 0d 04", 16, lambda frame: measured(COMPACT, COMPACT_ANSWER.unpack(frame))),
    answer("40 02 10", 5),  # the factor that adjusts it
    answer("68 01", 4),  # requests, of which some adapters send an echo
    answer("68 02", 5),
    Framing(
        b"\x42\x4d\x00\x1c",
        4,
        lambda _: 32,
        lambda frame: sum16(frame[:-2]) == frame[-2] << 8 | frame[-1],
        decode_unasked,
    ),
    word(ACKNOWLEDGED, ()),
    word(REFUSED, Fault(FaultKind.REFUSED, 0, REFUSED.hex(" "))),
)


def decoder(_: Settings) -> FrameDecoder:
    """Return a decoder of all that passes on the line."""
    return FrameDecoder(*FRAMINGS)


@dataclass(frozen=True, slots=True)
class Hpma115:
    """A sensor that is asked; a `drivers.contract.Poller`."""

    settings: Settings

    def poll(self) -> Poll:
        """Read the concentrations; if it refuses, it was told to stop measuring, and is told to start."""
        items = yield from ask(READ, lambda: decoder(self.settings), within=WITHIN)
        if refused(items):
            yield Ask(START, lambda heard: Answer(heard) if ACKNOWLEDGED in heard or REFUSED in heard else None, WITHIN)
        return items


DRIVER = PollingDriver(
    name="hpma115",
    title="Honeywell HPMA115S0, HPMA115C0",
    settings=Settings,
    quantities=quantities,
    line=SerialLine(9600),
    addressed=False,
    every=10.0,
    make=Hpma115,
    overhear=decoder,
    warm_up=6.0,  # datasheet, response time
    reasons=(Reason.WARMING_UP, Reason.OUT_OF_RANGE),
    faults=(FaultKind.CHECKSUM, FaultKind.TRUNCATED, FaultKind.GARBAGE, FaultKind.REFUSED, FaultKind.NO_REPLY),
    wiring=(
        Wire(N_("VCC: 2"), V5),
        Wire(N_("GND: 8 of an S0, 3 or 4 of a C0"), GND),
        Wire(N_("TX: 6 of an S0, 9 of a C0"), RXD, N_("3.3 V, no divider needed")),
        Wire(N_("RX: 7"), TXD, N_("5 V here destroys the sensor")),
        Wire(N_("VOUT, SET, RES"), OPEN),
    ),
    notes=(N_("Sending by itself every second, which it does after power-on, it need not be asked: RX may stay open"),),
    source="Honeywell HPM Series datasheet 32322550, tables 4 to 7",
)
