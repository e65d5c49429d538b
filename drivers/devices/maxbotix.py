"""MaxBotix HRXL-MaxSonar ultrasonic sensors looking down on water: MB7389, MB736x and relatives. R, millimetres, CR.

They speak unasked, 5 to 7.5 times a second, and introduce themselves in a few lines of text when they get power.
Source: MaxBotix PD11500, HRXL-MaxSonar-WR datasheet, "serial data" and "about ultrasonic sensors".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from drivers import water
from drivers.contract import N_, FaultKind, Help, ListeningDriver, Measurement, Reason, SerialLine, Wire
from drivers.lines import FAULTS, LineDecoder
from drivers.water import MountHeight
from drivers.wiring import GND, OPEN, RXD, V3

READING = re.compile(r"R(\d{4})", re.ASCII)
PART = re.compile(r"R?\d{0,4}", re.ASCII)  # of a reading
BANNER = re.compile(r"[A-Za-z]{3}|PN:")  # in its lines: HRXL-MaxSonar-WRMT, PN:MB7389, Copyright ..., RoHS ..., TempI
LONGEST = 64  # bytes in a line of the banner
# Millimetres that also stand for everything nearer, and those that stand for nothing there, by model.
NEAREST = {"auto": (300, 500), "5 m": (300,), "10 m": (500,)}
NOTHING = {"auto": (5000, 9999), "5 m": (5000, 9999), "10 m": (9999,)}
HINT = "if there is nothing else: is the level inverted? MB736x need RS-232 levels, MB738x TTL"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the sensor hangs and which it is."""

    mount_height: MountHeight = None
    model: Annotated[
        Literal["auto", "5 m", "10 m"],
        Help(N_("How far the model sees; auto finds out as soon as it measures what the other kind cannot")),
    ] = "auto"


class Reader:
    """Reads lines, and learns from them which kind of sensor sends them.

    Until that is known the values that have a meaning of their own for either kind, 0500 and 5000, are taken for that:
    a sensor says them often when they mean something, and one time in thousands when they are a distance.
    """

    def __init__(self, settings: Settings) -> None:
        self._mount_height = settings.mount_height
        self._finds_out = settings.model == "auto"
        self._model: str = settings.model

    def read(self, line: str, whole: bool) -> list[Measurement] | FaultKind:  # noqa: ARG002 - a line tells by itself
        """Return what a line says."""
        if found := READING.fullmatch(line):
            return [water.measure(self._mount_height, self._distance(int(found[1])))]
        if not line or BANNER.search(line):
            return []
        return FaultKind.TRUNCATED if PART.fullmatch(line) else FaultKind.MALFORMED

    def _distance(self, millimetres: int) -> float | Reason:
        if self._finds_out:
            self._find_out(millimetres)
        nearest = NEAREST[self._model]
        if millimetres in nearest or millimetres < nearest[0]:
            return Reason.OUT_OF_RANGE
        return Reason.NO_ECHO if millimetres in NOTHING[self._model] else millimetres / 1000

    def _find_out(self, millimetres: int) -> None:
        """Tell the model by what the other kind never says; a damaged line misleads until the next that tells."""
        if millimetres > NOTHING["5 m"][0]:
            self._model = "10 m"
        elif millimetres < NEAREST["10 m"][0]:
            self._model = "5 m"


def quantities(settings: Settings) -> Mapping[str, str]:
    """Return the one quantity and its unit."""
    return water.quantities(settings.mount_height)


def decoder(settings: Settings) -> LineDecoder:
    """Return a decoder for a sensor with these settings."""
    return LineDecoder(Reader(settings).read, longest=LONGEST, end=b"\r", begin=r"R\d", hint=HINT)


DRIVER = ListeningDriver(
    name="maxbotix",
    title="MaxBotix HRXL-MaxSonar-WR: MB7389, MB738x, MB736x",
    settings=Settings,
    quantities=quantities,
    line=SerialLine(9600),
    make=decoder,
    silent_after=30.0,
    warm_up=1.5,  # the first readings after power-on can be short
    reasons=(Reason.NO_ECHO, Reason.OUT_OF_RANGE),
    faults=FAULTS,
    wiring=(
        Wire(N_("6, V+"), V3),
        Wire(N_("7, GND"), GND),
        Wire(N_("5, serial output"), RXD, N_("MB738x only, which has TTL levels")),
        Wire(N_("4, ranging start"), OPEN, N_("open it measures all the time and filters")),
    ),
    notes=(
        N_("MB736x have RS-232 polarity: through an RS-232 adapter, never to RXD"),
        N_("What is nearer than 0.3 m (10 m models: 0.5 m) is measured as that, and sent as out of range"),
    ),
    source="MaxBotix PD11500, HRXL-MaxSonar-WR datasheet: R5000 or R9999 without a target, R0300 or R0500 at the least",
)
