"""OmniPreSense OPS243-A radar for vehicles on USB or a UART: lines of numbers, or of JSON; positive speeds come nearer.

Answers to its commands are JSON, too, and say nothing of vehicles; of them only the unit of speed is taken up.
Source: OmniPreSense UM-003, OPS243-A user manual, and AN-010, API interface: "speed output units", "data output" (OJ,
OM, OT, OU, O2 to O9), "blank data reporting" (BZ, BL, BS, BC).
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Annotated, Literal, NoReturn

from drivers import tracks
from drivers.contract import N_, FaultKind, Help, ListeningDriver, Measurement, Reason, SerialLine, Wire
from drivers.lines import FAULTS, LineDecoder
from drivers.quantities import unit
from drivers.tracks import Clear, Echoes, Send, Totals, TrackingDecoder
from drivers.wiring import GND, RXD, TXD, V5

LONGEST = 512  # bytes of a line with nine reports
NUMBER = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII)
BLANK = ("", ",")  # what BL, BS and BC report when nothing moves
SPEEDS = ("speed", "DetectedObjectVelocity")  # in JSON: of each report, or of an object that was seen twice (ON)
MOST_FIELDS = 3  # time, magnitude, speed; the last two or the last alone
ECHO = ("vehicle_toward", "vehicle_snr")
FACTORS = {"m/s": 1.0, "cm/s": 0.01, "ft/s": 0.3048, "km/h": 1 / 3.6, "mph": 0.44704}  # m/s
UNITS = {  # what the sensor calls them, in answers to U? and in reports (OU)
    "m-per-sec": "m/s", "mps": "m/s",
    "cm-per-sec": "cm/s", "cmps": "cm/s",
    "ft-per-sec": "ft/s", "fps": "ft/s",
    "km-per-hr": "km/h", "kmph": "km/h", "kph": "km/h",
    "mph": "mph",
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the sensor was set to send, and what of it goes up."""

    units: Annotated[
        Literal["m/s", "cm/s", "ft/s", "km/h", "mph"],
        Help(N_("Unit of speed that the sensor is set to, unless it says so itself; a new one sends m/s")),
    ] = "m/s"
    send: Send = "vehicles"
    clear: Clear = 1.5
    echoes: Echoes = 2
    totals: Totals = 60.0


def quantities(settings: Settings) -> Mapping[str, str]:
    """Return what goes up."""
    names = tracks.QUANTITIES if settings.send == "vehicles" else (*tracks.QUANTITIES, *ECHO)
    return {name: unit(name) for name in names}


class MalformedError(ValueError):
    """A line is not what the sensor sends."""


class Reader:
    """Reads lines, and learns from them in which unit the speeds are."""

    def __init__(self, settings: Settings) -> None:
        self._factor = FACTORS[settings.units]

    def read(self, line: str, whole: bool) -> list[Measurement] | FaultKind:
        """Return what a line says."""
        if not line.startswith("{") and not whole:
            return FaultKind.TRUNCATED  # half a number is a number, too
        try:
            return list(self._read_json(line) if line.startswith("{") else self._read_plain(line))
        except MalformedError:
            return FaultKind.MALFORMED

    def _read_plain(self, line: str) -> Iterator[Measurement]:
        fields = [field.strip(' "') for field in line.split(",")]
        if fields[0] in UNITS:
            self._factor = FACTORS[UNITS[fields.pop(0)]]
        if line in BLANK:
            yield Measurement("vehicle_speed", None, Reason.NO_TARGET)
            return
        numbers = [number(field) for field in fields]
        if not 1 <= len(numbers) <= MOST_FIELDS:
            raise MalformedError
        yield from self._reports(numbers[-1:], numbers[1:2] if len(numbers) == MOST_FIELDS else [], [])

    def _read_json(self, line: str) -> Iterator[Measurement]:
        try:
            document = json.loads(line, parse_int=float, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise MalformedError from error
        said = document.get("Units", document.get("unit"))
        if isinstance(said, str) and said in UNITS:
            self._factor = FACTORS[UNITS[said]]
        key = next((key for key in SPEEDS if key in document), None)
        if key is not None:
            speeds = [number(one) for one in listed(document[key])]
            magnitudes = [number(one) for one in listed(document.get("magnitude", []))]
            yield from self._reports(speeds, magnitudes, listed(document.get("direction", [])))

    def _reports(self, speeds: list[float], magnitudes: list[float], directions: list[object]) -> Iterator[Measurement]:
        """Yield each report; of more than one those without speed are left out."""
        moving = [index for index, speed in enumerate(speeds) if speed]
        if not moving:
            yield Measurement("vehicle_speed", None, Reason.NO_TARGET)
        for index in moving:
            speed = speeds[index]
            if index < len(directions):
                speed = -abs(speed) if directions[index] == "outbound" else abs(speed)
            yield Measurement("vehicle_speed", round(speed * self._factor, tracks.DIGITS))
            yield Measurement("vehicle_toward", speed > 0)
            if index < len(magnitudes):
                yield Measurement("vehicle_snr", magnitudes[index])


def listed(value: object) -> list[object]:
    """Return one value or several as a list."""
    return value if isinstance(value, list) else [value]


def number(value: object) -> float:
    """Return a finite number, which may be a text; raises MalformedError."""
    if isinstance(value, str) and NUMBER.fullmatch(value.strip()):
        value = float(value)
    if isinstance(value, float) and isfinite(value):
        return value
    raise MalformedError


def _refuse(constant: str) -> NoReturn:
    raise MalformedError(constant)  # NaN and Infinity are no JSON


def decoder(settings: Settings, *, joined: bool = False) -> LineDecoder:
    """Return a decoder of all lines; `joined` says that the first may lack its beginning."""
    return LineDecoder(Reader(settings).read, longest=LONGEST, begin=r"\{", joined=joined)


def tracker(settings: Settings) -> TrackingDecoder:
    """Return a decoder that follows the vehicles."""
    return TrackingDecoder(
        decoder(settings, joined=True),
        send=settings.send,
        clear=settings.clear,
        echoes=settings.echoes,
        totals=settings.totals,
    )


DRIVER = ListeningDriver(
    name="ops243",
    title="OmniPreSense OPS243-A",
    settings=Settings,
    quantities=quantities,
    line=SerialLine(19200),
    make=decoder,
    timed=tracker,
    silent_after=3600.0,  # with nothing moving it says nothing, unless told to (BZ)
    event=True,
    reasons=(Reason.NO_TARGET,),
    faults=FAULTS,
    wiring=(
        Wire(N_("USB"), N_("a USB socket of the Pi; or the wires below")),
        Wire(N_("5 V"), V5),
        Wire(N_("GND"), GND),
        Wire(N_("TxD"), RXD, N_("3.3 V levels, no divider needed")),
        Wire(N_("RxD"), TXD, N_("only to set it up")),
    ),
    notes=(
        N_("Set the unit here as in the sensor (US is mph, UK km/h, UM m/s; A! keeps it), or let it tell with OU"),
        N_("BZ lets it report zeros while nothing moves: then its silence is noticed within silent_after"),
        N_("More than one report at a time (O2 to O9) only with JSON (OJ); never BT, which reports times like speeds"),
        N_("With ON it reports objects, not echoes: set echoes to 1"),
        N_("It measures no distance: vehicles in the beam together, the same way and as fast, count as one"),
    ),
    source="OmniPreSense UM-003 and AN-010: m/s, 19200 8N1 when new",
)
