r"""Any device that sends one text line a reading: settings hold a regular expression, or paths into JSON.

    pattern = 'R(?P<water_distance>\d{4})'          # the whole line; a group is named after the quantity in it
    json = { wind_speed = "wind.speed" }            # or: quantity = path, keys and list positions joined by dots
    units = { wind_speed = "m/s" }                  # of quantities that are not in drivers/quantities.py

A line has no checksum: the more exactly the pattern describes it, the fewer damaged lines pass. To convert a unit use
the scale of the quantity's rules.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from typing import Annotated, Any

from drivers.contract import (
    N_,
    Fault,
    FaultKind,
    Help,
    Interval,
    Item,
    ListeningDriver,
    Measurement,
    Reason,
    SerialLine,
    Wire,
)
from drivers.quantities import QUANTITIES
from drivers.wiring import GND, RXD

NAME = re.compile(r"[a-z][a-z0-9_]*")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
SHOWN = 80  # characters of a line in a fault's detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a line looks like and what is in it; raises ValueError if that makes no sense."""

    pattern: Annotated[
        str | None,
        Help(N_("Regular expression of a whole line, its groups named after quantities: (?P<rain>[0-9.]+)")),
    ] = None
    json: Annotated[
        Mapping[str, str], Help(N_('For lines of JSON: quantity = "path", such as wind_speed = "wind.speed"'))
    ] = field(default_factory=dict)
    units: Annotated[
        Mapping[str, str], Help(N_('SenML unit of each quantity that Roadside does not know; "" for none'))
    ] = field(default_factory=dict)
    longest: Annotated[int, Interval(ge=8, le=4096), Help(N_("Length of the longest line"), unit="B")] = 256

    def __post_init__(self) -> None:
        if (self.pattern is None) == (not self.json):
            raise ValueError("give either pattern or json")
        if self.pattern is not None:
            _check_pattern(self.pattern)
        for name, unit in quantities(self).items():
            _check_quantity(name, unit, given=name in self.units)
        if unused := self.units.keys() - quantities(self).keys():
            raise ValueError(f"units: {', '.join(sorted(unused))} is not measured")


def quantities(settings: Settings) -> Mapping[str, str]:
    """Return the quantities in a line with their units."""
    names = settings.json if settings.pattern is None else re.compile(settings.pattern).groupindex
    return {name: settings.units.get(name, QUANTITIES[name].unit if name in QUANTITIES else "") for name in names}


def _check_pattern(pattern: str) -> None:
    try:
        groups = re.compile(pattern).groupindex
    except re.error as error:
        raise ValueError(f"pattern: not a regular expression: {error}") from error
    if not groups:
        raise ValueError("pattern: name a group after the quantity in it, such as (?P<rain>[0-9.]+)")


def _check_quantity(name: str, unit: str, *, given: bool) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot be a quantity: use small letters, digits and _")
    if name in QUANTITIES:
        if unit != QUANTITIES[name].unit:
            raise ValueError(f"units: {name} is always in {QUANTITIES[name].unit!r}; use the scale of its rules")
    elif not given:
        raise ValueError(f'units: the unit of {name} is missing, such as {name} = "m" ("" if it has none)')


class MalformedError(ValueError):
    """A line is not what the settings describe."""


def measure(quantity: str, unit: str, found: object) -> Measurement:
    """Return one measurement; a quantity with a unit is a number, one without may be a text or a state."""
    if found is None:
        return Measurement(quantity, None, Reason.INVALID)
    if isinstance(found, str) and NUMBER.fullmatch(found.strip()):
        found = float(found)
    if isinstance(found, float) and isfinite(found):
        return Measurement(quantity, found)
    if isinstance(found, (str, bool)) and not unit:
        return Measurement(quantity, found)
    raise MalformedError


def read_pattern(pattern: re.Pattern[str], units: Mapping[str, str], line: str) -> list[Measurement]:
    """Return what the groups of the pattern hold; a group that took no part says nothing."""
    found = pattern.fullmatch(line)
    if found is None:
        raise MalformedError
    groups = found.groupdict().items()
    return [measure(quantity, units[quantity], text) for quantity, text in groups if text is not None]


def read_json(paths: Mapping[str, str], units: Mapping[str, str], line: str) -> list[Measurement]:
    """Return what is at the paths; a path that is not there says nothing, but one must be."""
    try:
        document = json.loads(line, parse_int=float)
    except (ValueError, RecursionError) as error:
        raise MalformedError from error
    measurements = []
    for quantity, path in paths.items():
        try:
            found = _follow(document, path)
        except (LookupError, TypeError, ValueError):
            continue
        measurements.append(measure(quantity, units[quantity], found))
    if not measurements:
        raise MalformedError
    return measurements


def _follow(document: Any, path: str) -> object:  # noqa: ANN401 - JSON
    for key in path.split("."):
        document = document[int(key) if isinstance(document, list) else key]
    return document


class LineDecoder:
    """Splits a stream into lines and reads them; a `drivers.contract.Decoder`.

    The first line is not used: it may lack its beginning, and half a number is a number.
    """

    def __init__(self, settings: Settings) -> None:
        units = quantities(settings)
        self._read: Callable[[str], list[Measurement]] = (
            partial(read_json, settings.json, units)
            if settings.pattern is None
            else partial(read_pattern, re.compile(settings.pattern), units)
        )
        self._longest = settings.longest
        self._rest = b""  # of a line whose end has not come
        self._offset = 0  # of its first byte in the stream
        self._cut = True  # it lacks its beginning

    def feed(self, data: bytes) -> list[Item]:
        """Take the next bytes and return what they complete."""
        *lines, rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        items: list[Item] = []
        for whole in lines:
            line = whole if len(whole) <= self._longest else self._shorten(whole, items)
            if line:
                items += self._line(line)
            self._offset += len(line) + 1
            self._cut = False
        self._rest = self._shorten(rest, items)
        return items

    def end(self) -> list[Item]:
        """Take the end of a recording: a line without its end may lack more than that."""
        self._cut = True
        return [*self._line(self._rest)] if self._rest else []

    def _shorten(self, line: bytes, items: list[Item]) -> bytes:
        """Return what is left of a line, or of its beginning, when what is too long has been thrown away."""
        while len(line) > self._longest:
            items.append(Fault(FaultKind.OVERRUN, self._offset, f"no end of line in {self._longest} B"))
            line = line[self._longest :]
            self._offset += self._longest
            self._cut = True
        return line

    def _line(self, line: bytes) -> list[Measurement] | list[Fault]:
        if self._cut:
            return [self._fault(FaultKind.TRUNCATED, line)]
        try:
            return self._read(line.decode())
        except UnicodeDecodeError:
            return [self._fault(FaultKind.GARBAGE, line)]
        except MalformedError:
            return [self._fault(FaultKind.MALFORMED, line)]

    def _fault(self, kind: FaultKind, line: bytes) -> Fault:
        return Fault(kind, self._offset, repr(line[:SHOWN]))


DRIVER = ListeningDriver(
    name="line",
    title=N_("Any device that sends text lines"),
    settings=Settings,
    quantities=quantities,
    line=SerialLine(9600),
    make=LineDecoder,
    reasons=(Reason.INVALID,),
    faults=(FaultKind.MALFORMED, FaultKind.OVERRUN, FaultKind.TRUNCATED, FaultKind.GARBAGE),
    wiring=(
        Wire(N_("TX"), RXD, N_("3.3 V levels only; or a USB adapter")),
        Wire(N_("GND"), GND),
    ),
    notes=(N_("RS-232 levels need a converter"),),
)
