"""Plantower particle sensors on a UART: PMS1003 to PMS9003, PMSA003, and their kin with temperature or formaldehyde.

They speak unasked, about once a second. The length of a frame tells the PMS3003 (24 bytes) and the PMS5003ST (40) from
the others (32); among those the numbers do, as `recognise` says. The Winsen ZH03 sends the frame of the PMS3003.
Source: Plantower PMS5003 series data manual V2.3, appendix I; those of the PMS3003, PMS5003T, PMS5003S and PMS5003ST.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Annotated, Literal

from drivers.checksums import sum16
from drivers.contract import N_, FaultKind, Help, ListeningDriver, Measurement, Reason, SerialLine, Wire
from drivers.framing import FrameDecoder, Framing
from drivers.quantities import unit
from drivers.wiring import GND, OPEN, RXD, V5

HEAD = b"\x42\x4d"
BEFORE_DATA = 4  # head and length field; the length counts what follows it: words and the sum
LENGTH_OF_MANY = 28  # PMS5003, PMS5003S, PMS5003T
WORDS = {length: Struct(f">4x {length // 2 - 1}H 2x") for length in (20, LENGTH_OF_MANY, 36)}
LENGTH_OF_ACKNOWLEDGEMENT = 4  # reply to a command: command, its data, sum
COMMANDS = (b"\xe1\x00", b"\xe2\x00", b"\xe4\x00")  # from the host: passive or active, read, sleep or wake
COMMAND_SIZE = 7

Model = Literal["auto", "pms3003", "pms5003", "pms5003s", "pms5003t", "pms5003st"]
MANY = ("pms5003", "pms5003s", "pms5003t")


MASSES = ("pm1", "pm2_5", "pm10")  # ug/m3 "under atmospheric environment": words 3 to 5; 0 to 2 are for the factory
COUNTS = ("n0_3", "n0_5", "n1", "n2_5", "n5", "n10")  # particles beyond a size in 0.1 l of air: words 6 to 11
CLIMATE = ("temperature", "humidity")  # 0.1 Cel, signed, and 0.1 %RH: words 10 and 11, of a PMS5003ST 13 and 14
FORMALDEHYDE = ("hcho",)  # ug/m3: word 12
PER_CM3 = 100  # 0.1 l
UG_PER_PPB = 30.03 / 24.45  # of formaldehyde: g/mol and, at 25 Cel and 1013 hPa, l/mol
MOST_FORMALDEHYDE = 2000  # ug/m3

QUANTITIES: dict[Model, tuple[str, ...]] = {
    "auto": (*MASSES, *COUNTS, *CLIMATE, *FORMALDEHYDE),
    "pms3003": MASSES,
    "pms5003": (*MASSES, *COUNTS),
    "pms5003s": (*MASSES, *COUNTS, *FORMALDEHYDE),
    "pms5003t": (*MASSES, *COUNTS[:4], *CLIMATE),
    "pms5003st": (*MASSES, *COUNTS, *CLIMATE, *FORMALDEHYDE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which of the family it is."""

    model: Annotated[
        Model, Help(N_("Only if it is recognised wrongly: PMS5003, PMS5003S and PMS5003T send frames of one length"))
    ] = "auto"


def quantities(settings: Settings) -> Mapping[str, str]:
    """Return what the model can measure."""
    return {name: unit(name) for name in QUANTITIES[settings.model]}


def size(header: bytes) -> int:
    """Return the size of a frame with this header, 0 if there is none.

    Looking at the sum alone would not do: it can be right in a frame whose length is not.
    """
    length = header[2] << 8 | header[3]
    if length in WORDS or length == LENGTH_OF_ACKNOWLEDGEMENT:
        return BEFORE_DATA + length
    return COMMAND_SIZE if header[2:4] in COMMANDS else 0


def intact(frame: bytes) -> bool:
    """Tell whether the last word is the sum of all bytes before it."""
    return sum16(frame[:-2]) == frame[-2] << 8 | frame[-1]


def recognise(words: tuple[int, ...]) -> Model:
    """Tell which of three models a frame of 32 bytes is from.

    Counts of particles *beyond* a size can only fall from one to the next. Where a PMS5003 has the two last of them, a
    PMS5003T has temperature and humidity, which hardly ever fall in line: in its recorded frames n2_5 is 12 to 30, and
    21.2 Cel is 212. The PMS5003S has formaldehyde where the others have a version, which is never 0, and an error.
    """
    if words[9] >= words[10] >= words[11]:
        return "pms5003s" if 0 < words[12] <= MOST_FORMALDEHYDE else "pms5003"
    return "pms5003t"


def climate(temperature: int, humidity: int) -> tuple[float, float]:
    """Return temperature and humidity of their words."""
    return (temperature - 0x10000 if temperature & 0x8000 else temperature) / 10, humidity / 10


def values(words: tuple[int, ...], model: Model) -> list[float]:
    """Return what the words of a frame of this model say, in the order of `QUANTITIES`."""
    if model == "pms3003":
        return [*words[3:6]]
    if model == "pms5003t":
        return [*words[3:6], *[count / PER_CM3 for count in words[6:10]], *climate(words[10], words[11])]
    measured = [*words[3:6], *[count / PER_CM3 for count in words[6:12]]]
    if model == "pms5003st":
        measured += climate(words[13], words[14])
    if model != "pms5003":
        measured.append(round(words[12] / UG_PER_PPB, 1))
    return measured


def measure(words: tuple[int, ...], model: Model) -> list[Measurement]:
    """Return the measurements of a frame of this model."""
    particles = words if model == "pms3003" else words[: 10 if model == "pms5003t" else 12]
    if not any(particles):
        # After waking it sends zeros until its fan runs. Real air has particles beyond 0.3 um even when PM10 is 0. The
        # PMS3003 does not count them: its zeros are values, as recorded, unless its reserved words are 0 too.
        return [Measurement(name, None, Reason.WARMING_UP) for name in QUANTITIES[model]]
    if model in {"pms5003", "pms5003t"} and words[12] & 0xFF:
        # An error byte. The manual has no list of errors: nothing that the device says can be trusted.
        return [Measurement(name, None, Reason.INVALID) for name in QUANTITIES[model]]
    return list(map(Measurement, QUANTITIES[model], values(words, model)))


def decoder(settings: Settings) -> FrameDecoder:
    """Return a decoder for a sensor with these settings."""

    def decode(frame: bytes) -> list[Measurement]:
        length = len(frame) - BEFORE_DATA
        if length not in WORDS:
            return []
        words = WORDS[length].unpack(frame)
        if length != LENGTH_OF_MANY:
            return measure(words, "pms3003" if length < LENGTH_OF_MANY else "pms5003st")
        return measure(words, settings.model if settings.model in MANY else recognise(words))

    return FrameDecoder(Framing(HEAD, BEFORE_DATA, size, intact, decode))


DRIVER = ListeningDriver(
    name="plantower",
    title="Plantower PMS5003, PMS7003, PMSA003, PMS3003, PMS5003T, PMS5003S, PMS5003ST",
    settings=Settings,
    quantities=quantities,
    line=SerialLine(9600),
    make=decoder,
    silent_after=30.0,
    warm_up=30.0,  # manual, circuit attentions: stable data comes 30 s after the fan was started
    reasons=(Reason.WARMING_UP, Reason.INVALID),
    faults=(FaultKind.CHECKSUM, FaultKind.BAD_LENGTH, FaultKind.TRUNCATED, FaultKind.GARBAGE),
    wiring=(
        Wire(N_("1, VCC"), V5, N_("the fan needs 5 V")),
        Wire(N_("2, GND"), GND),
        Wire(N_("5, TXD"), RXD, N_("3.3 V, no divider needed")),
        Wire(N_("3, SET; 6, RESET"), OPEN),
    ),
    notes=(
        N_("The pin numbers are those of the PMS5003"),
        N_("Each count is of the particles larger than that size"),
        N_("A PMS5003T in dense and very dry dust can look like a PMS5003: set model"),
        N_("Formaldehyde is converted from ug/m3 at 25 Cel and 1013 hPa"),
    ),
    source="Plantower PMS5003 series data manual V2.3, appendix I; of the PMS5003T, S and ST: as PyPMS reads them",
)
