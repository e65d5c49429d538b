"""Winsen modules on a UART: ZE (one gas) and ZH (dust). They speak unasked once a second, or are switched to questions.

What speaks unasked tells what it measures. Answers to questions do not: those of a ZE and of a ZH begin alike, FF 86.
Source: Winsen manuals of the ZE07-CO, ZE07-CH2O, ZE08-CH2O, ZE15-CO, ZH03B and ZH06; 9600 8N1.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Annotated, Literal

from drivers.checksums import sum8, sum16
from drivers.contract import (
    N_,
    Fault,
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
from drivers.wiring import GND, RXD, TXD, V5

SIZE = 9
QUESTION = bytes.fromhex("ff 01 86 00 00 00 00 00 79")
ANSWER = b"\xff\x86"
WORDS = Struct(">2x 3H x")  # of an answer: ug/m3, 0, ppb of a gas; or only the first, in steps; or dust
UNASKED = Struct(">2x 2B 2H x")  # unit, decimals, concentration, full scale
NO_VALUES = (b"\xff\x01", b"\xff\x78", b"\xff\xa7")  # questions; answers to the switching of the mode, and to sleep
DUST = Struct(">10x 3H 8x")  # PM1, PM2.5, PM10, in the frame of a Plantower PMS3003

GASES = {0x02: "nh3", 0x03: "h2s", 0x04: "co", 0x17: "hcho", 0x2A: "o3", 0x2B: "so2", 0x2C: "no2"}
OTHERS = (0x05, 0x06, 0x08, 0x2E, 0x2F, 0x31, 0x33, 0x34, 0x45, 0x46)  # oxygen, hydrogen, ethene, chlorine ...
PPB = {0x03: 1000, 0x04: 1}  # in one of the unit
IN_PPM, PPM_STEP = ("co", "h2s", "nh3"), 0.1  # answers of ZE07-CO and ZE15-CO
FAILED = 0x8000  # bit of a concentration: the sensor itself is out of order (ZE15-CO)
MOST_UG_PER_PPB = 1.5  # of formaldehyde: 30.03 g/mol in 22.4 to 24.5 l/mol; of the gases that are told so no other's
MASSES = ("pm1", "pm2_5", "pm10")
MOST_DUST = 1000  # ug/m3, the end of the range of a ZH
ANSWERED_MASSES = ("pm2_5", "pm10", "pm1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a module in question mode measures, since it does not say so."""

    measures: Annotated[
        Literal["auto", "dust", "hcho", "co", "no2", "o3", "so2", "h2s", "nh3"],
        Help(N_("What a module measures that is asked; auto knows only dust and formaldehyde")),
    ] = "auto"
    resolution: Annotated[
        float | None,
        Interval(gt=0, le=10),
        Help(N_("Step of a gas module that answers in ppm and not in ppb: unless set, CO, H2S and NH3 in 0.1"), "ppm"),
    ] = None
    ask_every: Annotated[
        float | None,
        Interval(ge=1, le=3600),
        Help(N_("How often to ask a module that was switched to question mode. Needs the wire to RXD"), unit="s"),
    ] = None


def quantities(_: Settings) -> Mapping[str, str]:
    """Return what the family can measure."""
    return {name: unit(name) for name in (*GASES.values(), *MASSES)}


def intact(frame: bytes) -> bool:
    """Tell whether all bytes but the first sum to zero."""
    return not sum8(frame[1:])


def malformed(detail: str) -> Fault:
    """Return that a whole frame makes no sense."""
    return Fault(FaultKind.MALFORMED, 0, detail)


def gas(name: str, steps: int, ppb_a_step: float, full_scale: int = 0) -> list[Measurement]:
    """Return a concentration; at its full scale a sensor tells only that there is at least so much."""
    if steps & FAILED:
        return [Measurement(name, None, Reason.INVALID)]
    if full_scale and steps >= full_scale:
        return [Measurement(name, None, Reason.OUT_OF_RANGE)]
    return [Measurement(name, round(steps * ppb_a_step, 3))]


def dust(names: Sequence[str], values: Sequence[int]) -> list[Measurement]:
    """Return concentrations; all are zero only until the fan runs."""
    if not any(values):
        return [Measurement(name, None, Reason.WARMING_UP) for name in names]
    return [
        Measurement(name, value) if value < MOST_DUST else Measurement(name, None, Reason.OUT_OF_RANGE)
        for name, value in zip(names, values, strict=True)
    ]


def decode_unasked(frame: bytes) -> Sequence[Measurement] | Fault:
    """Return what a gas module says by itself."""
    if frame[1] not in GASES:
        return malformed(f"gas {frame[1]:02x}")
    code, decimals, steps, full_scale = UNASKED.unpack(frame)
    if code not in PPB or decimals > 4:
        return malformed(f"unit {code:02x}, {decimals} decimals")
    return gas(GASES[frame[1]], steps, PPB[code] / 10**decimals, full_scale)


def recognise(first: int, second: int, third: int) -> str:
    """Tell what an answer with these words is about: "dust", "hcho", or "" if it can be neither.

    Of dust PM10 is the most and PM1 the least. Nothing but zeros is taken for a dust module that warms up, since a
    formaldehyde module that is said to be one is believed its zero, and a false zero is worse than none.
    """
    if third <= first <= second <= MOST_DUST:
        return "dust"
    return "hcho" if not second and third <= first <= third * MOST_UG_PER_PPB + 1 else ""


def decode_answer(frame: bytes, settings: Settings) -> Sequence[Measurement] | Fault:
    """Return what a module answers."""
    words = WORDS.unpack(frame)
    subject = recognise(*words) if settings.measures == "auto" else settings.measures
    if subject == "dust":
        return dust(ANSWERED_MASSES, words)
    if not subject:
        return malformed("neither dust nor formaldehyde: set measures")
    step = settings.resolution or (PPM_STEP if subject in IN_PPM else None)
    return gas(subject, words[2], 1.0) if step is None else gas(subject, words[0], step * 1000)


def decoder(settings: Settings) -> FrameDecoder:
    """Return a decoder for a module with these settings."""

    def nine(head: bytes, decode: Callable[[bytes], Sequence[Measurement] | Fault]) -> Framing:
        return Framing(head, len(head), lambda _: SIZE, intact, decode)

    return FrameDecoder(
        nine(ANSWER, lambda frame: decode_answer(frame, settings)),
        *(nine(bytes((0xFF, code)), decode_unasked) for code in (*GASES, *OTHERS)),
        *(nine(head, lambda _: ()) for head in NO_VALUES),
        Framing(
            b"\x42\x4d\x00\x14",
            4,
            lambda _: DUST.size,
            lambda frame: sum16(frame[:-2]) == frame[-2] << 8 | frame[-1],
            lambda frame: dust(MASSES, DUST.unpack(frame)),
        ),
    )


def prompt(settings: Settings) -> Prompt | None:
    """Return the question; none is asked unless it is set how often."""
    return None if settings.ask_every is None else Prompt(QUESTION, settings.ask_every)


DRIVER = ListeningDriver(
    name="winsen",
    title="Winsen ZE03, ZE07, ZE08, ZE12, ZE15, ZE25; ZH03, ZH06",
    settings=Settings,
    quantities=quantities,
    line=SerialLine(9600),
    make=decoder,
    prompt=prompt,
    silent_after=30.0,
    warm_up=180.0,  # ZE07-CO manual, "preheat time"; the others need less
    reasons=(Reason.WARMING_UP, Reason.INVALID, Reason.OUT_OF_RANGE),
    faults=(FaultKind.CHECKSUM, FaultKind.MALFORMED, FaultKind.WRONG_DEVICE, FaultKind.TRUNCATED, FaultKind.GARBAGE),
    wiring=(
        Wire(N_("VCC, Vin"), V5),
        Wire(N_("GND"), GND),
        Wire(N_("TXD"), RXD, N_("3.3 V, no divider needed")),
        Wire(N_("RXD"), TXD, N_("only if ask_every is set")),
    ),
    notes=(
        N_("After power-on a module speaks by itself, and says what it measures: nothing needs to be set"),
        N_("Pin numbers differ from module to module: see its manual"),
        N_("ppm are converted to ppb"),
    ),
    source="Winsen manuals of ZE07-CO, ZE07-CH2O, ZE08-CH2O, ZH03B, ZH06; ZE15-CO and gas codes: as others read them",
)
