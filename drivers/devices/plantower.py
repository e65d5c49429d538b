"""Plantower PMS5003, PMS7003 and PMSA003 particle sensors on a UART. They speak unasked, about once a second.

Source: Plantower PMS5003 series data manual, appendix I; the PMS7003 and PMSA003 have the same frame.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from struct import Struct

from drivers.checksums import sum16
from drivers.contract import N_, ListeningDriver, Measurement, Reason, SerialLine, Wire
from drivers.framing import FrameDecoder, Framing
from drivers.quantities import always
from drivers.wiring import GND, OPEN, RXD, V5

HEAD = b"\x42\x4d"
LENGTH_OF_DATA = 28  # the length field counts what follows it: 13 words and the sum
LENGTH_OF_ACKNOWLEDGEMENT = 4  # reply to a command: command, its data, sum
BEFORE_DATA = 4  # head and length field
FRAME = Struct(">4x 13H 2x")  # see `decode`
ATMOSPHERIC = slice(3, 6)  # PM1, PM2.5, PM10 in ug/m3 "under atmospheric environment"; words 0 to 2 are for the factory
MEASURED = slice(0, 12)  # all but the version and error bytes
QUANTITIES = ("pm1", "pm2_5", "pm10")


def size(header: bytes) -> int:
    """Return the size of a frame with this header, 0 if there is none.

    Looking at the sum alone would not do: it can be right in a frame whose length is not.
    """
    length = header[2] << 8 | header[3]
    return BEFORE_DATA + length if length in {LENGTH_OF_DATA, LENGTH_OF_ACKNOWLEDGEMENT} else 0


def intact(frame: bytes) -> bool:
    """Tell whether the last word is the sum of all bytes before it."""
    return sum16(frame[:-2]) == frame[-2] << 8 | frame[-1]


def decode(frame: bytes) -> Sequence[Measurement]:
    """Return the measurements of an intact frame."""
    if len(frame) != FRAME.size:
        return ()
    words = FRAME.unpack(frame)
    if not any(words[MEASURED]):
        # After waking the sensor sends zeros until its fan runs. Real air has particles even when PM10 is 0.
        return [Measurement(quantity, None, Reason.WARMING_UP) for quantity in QUANTITIES]
    return [Measurement(quantity, value) for quantity, value in zip(QUANTITIES, words[ATMOSPHERIC], strict=True)]


FRAMING = Framing(HEAD, BEFORE_DATA, size, intact, decode)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Nothing to be set."""


DRIVER = ListeningDriver(
    name="plantower",
    title="Plantower PMS5003, PMS7003, PMSA003",
    settings=Settings,
    quantities=always(*QUANTITIES),
    line=SerialLine(9600),
    make=lambda _: FrameDecoder(FRAMING),
    silent_after=30.0,
    warm_up=30.0,  # manual, circuit attentions: stable data comes 30 s after the fan was started
    wiring=(
        Wire(N_("1, VCC"), V5, N_("the fan needs 5 V")),
        Wire(N_("2, GND"), GND),
        Wire(N_("5, TXD"), RXD, N_("3.3 V, no divider needed")),
        Wire(N_("3, SET; 6, RESET"), OPEN),
    ),
    notes=(N_("The pin numbers are those of the PMS5003"),),
    source="Plantower PMS5003 series data manual, appendix I",
)
