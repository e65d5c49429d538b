"""Plantower particle sensors on a UART: PMS1003 to PMS9003, PMSA003, and their kin with temperature or formaldehyde.

They speak unasked, about once a second. The length of a frame tells the PMS3003 (24 bytes) and the PMS5003ST (40) from
the others (32); among those the numbers do, as `recognise` says. The Winsen ZH03 sends the frame of the PMS3003.
Source: Plantower PMS5003 series data manual V2.3, appendix I; those of the PMS3003, PMS5003T, PMS5003S and PMS5003ST.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from struct import Struct
from typing import Annotated, Literal, NamedTuple

from drivers.checksums import sum16
from drivers.contract import N_, Help, ListeningDriver, Measurement, Reason, SerialLine, Wire
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


class Field(NamedTuple):
    """One value in a frame."""

    quantity: str
    word: int
    per: float = 1  # steps of the device in one of the unit
    signed: bool = False

    def measured(self, words: tuple[int, ...]) -> Measurement:
        """Return the value."""
        number = words[self.word]
        if self.signed and number & 0x8000:
            number -= 0x10000
        return Measurement(self.quantity, number if self.per == 1 else round(number / self.per, 2))


# ug/m3 "under atmospheric environment"; words 0 to 2 are "CF=1", for the factory
MASSES = (Field("pm1", 3), Field("pm2_5", 4), Field("pm10", 5))
# Particles beyond a size in 0.1 l
COUNTS = tuple(Field(name, word, 100) for word, name in enumerate(("n0_3", "n0_5", "n1", "n2_5", "n5", "n10"), 6))
CLIMATE = (Field("temperature", 10, 10, signed=True), Field("humidity", 11, 10))
CLIMATE_ST = (Field("temperature", 13, 10, signed=True), Field("humidity", 14, 10))
FORMALDEHYDE = Field("hcho", 12, 1.228)  # ug/m3; at 25 Cel and 1013 hPa 1 ppb is 30.03 g/mol / 24.45 l/mol of them
MOST_FORMALDEHYDE = 2000  # ug/m3

FIELDS: dict[Model, tuple[Field, ...]] = {
    "auto": (*MASSES, *COUNTS, *CLIMATE, FORMALDEHYDE),
    "pms3003": MASSES,
    "pms5003": (*MASSES, *COUNTS),
    "pms5003s": (*MASSES, *COUNTS, FORMALDEHYDE),
    "pms5003t": (*MASSES, *COUNTS[:4], *CLIMATE),
    "pms5003st": (*MASSES, *COUNTS, *CLIMATE_ST, FORMALDEHYDE),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Which of the family it is."""

    model: Annotated[
        Model, Help(N_("Only if it is recognised wrongly: PMS5003, PMS5003S and PMS5003T send frames of one length"))
    ] = "auto"


def quantities(settings: Settings) -> Mapping[str, str]:
    """Return what the model can measure."""
    return {field.quantity: unit(field.quantity) for field in FIELDS[settings.model]}


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


def measure(words: tuple[int, ...], model: Model) -> list[Measurement]:
    """Return what the words of a frame of this model say."""
    fields = FIELDS[model]
    particles = words if model == "pms3003" else words[: 10 if model == "pms5003t" else 12]
    if not any(particles):
        # After waking it sends zeros until its fan runs. Real air has particles beyond 0.3 um even when PM10 is 0. The
        # PMS3003 does not count them: its zeros are values, as recorded, unless its reserved words are 0 too.
        return [Measurement(field.quantity, None, Reason.WARMING_UP) for field in fields]
    if model in {"pms5003", "pms5003t"} and words[12] & 0xFF:
        # An error byte. The manual has no list of errors: nothing that the device says can be trusted.
        return [Measurement(field.quantity, None, Reason.INVALID) for field in fields]
    return [field.measured(words) for field in fields]


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
