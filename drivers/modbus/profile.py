"""What the registers of a device mean: a profile, as it stands in a TOML file.

A profile is one of three: a meter has `values`, a module of 4-20 mA inputs has `channels`, a board of relays or lamps
has `outputs`. Registers and coils are counted from 0, as they are on the wire.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from drivers.contract import N_, Help, Interval, SerialLine
from drivers.quantities import QUANTITIES

Type = Literal["u16", "s16", "u32", "s32", "f32", "bit"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One quantity, and the registers it is in."""

    register: Annotated[int, Interval(ge=0, le=0xFFFF), Help(N_("First register of the value, or its bit"))]
    type: Annotated[Type, Help(N_("What is in the registers: 16 or 32 bits, unsigned, signed or floating"))] = "u16"
    scale: Annotated[float, Help(N_("The number is multiplied by this"))] = 1.0
    offset: Annotated[float, Help(N_("Added to the number, after 'scale'"))] = 0.0
    true: Annotated[int | None, Help(N_("The number that means true; 0 means false"))] = None
    invalid: Annotated[tuple[int, ...], Help(N_("Numbers by which the device says that it has no value"))] = ()
    rails: Annotated[
        tuple[float, float] | None,
        Help(N_("Ends of the device's range: a value at or beyond one only says that it is out of range")),
    ] = None
    unit: Annotated[str | None, Help(N_('Unit of a quantity of your own; "" if it has none'))] = None

    @property
    def registers(self) -> range:
        """The registers, or the bit, that it is in."""
        return range(self.register, self.register + (2 if self.type.endswith("32") else 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Registers that are read with one request."""

    first: Annotated[int, Interval(ge=0, le=0xFFFF), Help(N_("First register"))]
    count: Annotated[int, Interval(ge=1, le=2000), Help(N_("How many"))]

    @property
    def registers(self) -> range:
        """The registers."""
        return range(self.first, self.first + self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A register by which the device says whether its values can be trusted."""

    register: Annotated[int, Interval(ge=0, le=0xFFFF), Help(N_("The register"))]
    bad: Annotated[tuple[int, ...], Help(N_("Numbers in it that mean that they cannot"))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Channels:
    """The inputs of a module of 4-20 mA inputs, one register each."""

    count: Annotated[int, Interval(ge=1, le=64), Help(N_("How many inputs there are"))]
    first: Annotated[int, Interval(ge=0, le=0xFFFF), Help(N_("Register of the first input"))] = 0
    type: Annotated[Literal["u16", "s16"], Help(N_("What is in the register"))] = "u16"
    scale: Annotated[float, Help(N_("The number times this is milliamperes"))] = 0.001
    offset: Annotated[float, Help(N_("Added to the milliamperes"))] = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Flash:
    """How a board is told to switch an output on for a time that it counts itself."""

    first: Annotated[int, Interval(ge=0, le=0xFFFF), Help(N_("Coil that is written for the first output"))]
    unit: Annotated[float, Interval(gt=0, le=60), Help(N_("Seconds that a value of 1 lasts"))]
    most: Annotated[int, Interval(ge=1, le=0xFFFF), Help(N_("The highest value"))] = 0x7FFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """The outputs of a board: coils that are written by function 05 and read back by function 01."""

    count: Annotated[int, Interval(ge=1, le=64), Help(N_("How many outputs there are"))]
    first: Annotated[int, Interval(ge=0, le=0xFFFF), Help(N_("Coil of the first output"))] = 0
    on: Annotated[int, Interval(ge=1, le=0xFFFF), Help(N_("What is written to switch it on"))] = 0xFF00
    flash: Annotated[Flash | None, Help(N_("How the board itself limits the time, if it can"))] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """One wire of the device."""

    pin: Annotated[str, Help(N_("What the maker calls it"))]
    to: Annotated[Literal["A", "B", "3.3 V", "5 V", "GND", "TXD", "RXD", "supply", "open"], Help(N_("Where it goes"))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A whole profile."""

    title: Annotated[str, Help(N_("Maker and model"))]
    source: Annotated[str, Help(N_("Where the numbers come from: the manual and its page"))] = ""
    tested_on: Annotated[str, Help(N_("What it was tried on; only its manual was read unless given"))] = ""
    line: Annotated[SerialLine, Help(N_("Line settings that the device leaves the factory with"))] = field(
        default_factory=SerialLine
    )
    function: Annotated[int, Interval(ge=1, le=4), Help(N_("Function that reads: 3 holding, 4 input registers"))] = 3
    words: Annotated[Literal["high first", "low first"], Help(N_("Which register of a 32-bit number comes first"))] = (
        "high first"
    )
    every: Annotated[float, Interval(ge=0.1, le=86_400), Help(N_("Seconds between polls unless configured"))] = 10.0
    within: Annotated[float, Interval(ge=0.02, le=10), Help(N_("Seconds in which the whole reply comes"))] = 0.5
    values: Annotated[Mapping[str, Value], Help(N_("What a meter measures, by quantity"))] = field(default_factory=dict)
    alarms: Annotated[tuple[str, ...], Help(N_("Which of them, if they are true, are alarms in themselves"))] = ()
    groups: Annotated[
        tuple[Group, ...], Help(N_("What is read at once; each run of adjacent registers unless given"))
    ] = ()
    health: Annotated[Health | None, Help(N_("A register that says whether the values are good"))] = None
    channels: Annotated[Channels | None, Help(N_("The inputs of a 4-20 mA module"))] = None
    outputs: Annotated[Outputs | None, Help(N_("The outputs of a relay board or a tower lamp"))] = None
    wiring: Annotated[tuple[Connection, ...], Help(N_("Its wires; A and B of RS-485 unless given"))] = ()
    notes: Annotated[tuple[str, ...], Help(N_("What a technician must know"))] = ()

    def polls(self) -> tuple[Group, ...]:
        """Return what is read: the groups, or each run of adjacent registers."""
        return self.groups or adjacent([each.registers for each in self.values.values()], self.health)

    def units(self) -> dict[str, str]:
        """Return the unit of each quantity of a meter."""
        return {name: unit_of(name, value) for name, value in self.values.items()}


def unit_of(quantity: str, value: Value) -> str:
    """Return the SenML unit of a quantity, of the table or of a profile's own."""
    return QUANTITIES[quantity].unit if quantity in QUANTITIES else value.unit or ""


def adjacent(spans: list[range], health: Health | None) -> tuple[Group, ...]:
    """Return as few groups as hold these registers and none between them."""
    if health is not None:
        spans = [*spans, range(health.register, health.register + 1)]
    groups: list[Group] = []
    for span in sorted(spans, key=lambda span: span.start):
        last = groups[-1] if groups else None
        if last is not None and span.start <= last.registers.stop:
            stop = max(last.registers.stop, span.stop)
            groups[-1] = Group(first=last.first, count=stop - last.first)
        else:
            groups.append(Group(first=span.start, count=len(span)))
    return tuple(groups)
