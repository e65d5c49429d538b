"""What every driver keeps to: the values it yields, the shapes it comes in, and what it says of itself.

A driver is a pure protocol: it is fed bytes or edges and yields measurements or named faults. It has no clock, port,
log or await. Whoever feeds it (the sampler, `roadside decode`, a test) knows the time and adds it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from datetime import date

    from drivers.seams import GatewayView

Value = float | int | bool | str


def N_(text: str) -> str:  # noqa: N802 - gettext's own name for "to be translated where it is shown"
    """Mark a text for the catalogue of translations; it is translated where a person reads it."""
    return text


class Reason(StrEnum):
    """Why a measurement has no value. A legal answer of a healthy device, not a fault."""

    NO_ECHO = "no_echo"
    NO_FIX = "no_fix"
    NO_TARGET = "no_target"
    WARMING_UP = "warming_up"
    INVALID = "invalid"  # the device itself marks the value as not valid
    OUT_OF_RANGE = "out_of_range"
    BROKEN_WIRE = "broken_wire"  # a 4-20 mA loop carries too little for any sensor
    OVER_RANGE = "over_range"  # a 4-20 mA loop carries more than any sensor asks for: a short circuit, or its fault
    NO_REPLY = "no_reply"
    SILENT = "silent"
    STUCK = "stuck"


class FaultKind(StrEnum):
    """What was wrong with what came in. Counted, never a reading."""

    GARBAGE = "garbage"  # bytes that belong to no frame
    CHECKSUM = "checksum"
    BAD_LENGTH = "bad_length"
    TRUNCATED = "truncated"  # a frame that ended before its length
    MALFORMED = "malformed"  # a whole frame whose content makes no sense
    WRONG_DEVICE = "wrong_device"
    NO_REPLY = "no_reply"
    REFUSED = "refused"  # the device answered with an exception code
    OVERRUN = "overrun"  # more came in than could be kept
    STUCK = "stuck"  # a contact that no longer moves


class Measurement(NamedTuple):
    """One quantity as a driver saw it: a value, or the reason why there is none."""

    quantity: str  # a key of drivers.quantities.QUANTITIES, or a name of the device's own settings
    value: Value | None
    reason: Reason | None = None
    age: float = 0.0  # seconds between the event and the moment the driver could tell


class Fault(NamedTuple):
    """One thing that was wrong with the bytes or edges that came in."""

    kind: FaultKind
    offset: int  # of the first byte concerned, counted from the first byte ever fed; 0 for edges
    detail: str = ""


class TimeFix(NamedTuple):
    """The time of day, from a device that knows it. No reading: it goes to whoever keeps the time."""

    utc: float  # seconds since 1970
    uncertainty: float  # seconds, to either side
    age: float = 0.0  # seconds between that time and the moment the driver could tell


Item = Measurement | Fault | TimeFix


# --- the shapes of a driver ------------------------------------------------------------------------------------------


class Decoder(Protocol):
    """A serial device that speaks unasked."""

    def feed(self, data: bytes) -> list[Item]:
        """Take the next bytes, however they were cut, and return what they complete."""
        ...

    def end(self) -> list[Item]:
        """Take the end of a recording: what is still open is whole after all, or a fault. Nothing is fed after it."""
        ...


class TimedDecoder(Protocol):
    """What the agent feeds in place of a `Decoder` where single frames are too much, or silence says something.

    Times are seconds on any clock that never steps. `feed` lets the time pass before it looks at the bytes.
    """

    def feed(self, data: bytes, at: float) -> list[Item]:
        """Take the next bytes, which came at that time, and return what they complete."""
        ...

    def due(self) -> float | None:
        """Return when `tick` wants to be called although nothing came, or None."""
        ...

    def tick(self, at: float) -> list[Item]:
        """Let time pass."""
        ...

    def memory(self) -> Mapping[str, float]:
        """Return what must survive a restart; empty if nothing."""
        ...

    def recall(self, memory: Mapping[str, float]) -> None:
        """Take up what an earlier run left behind; called once, before anything else."""
        ...


class Ask(NamedTuple):
    """One request on the wire, and how to find its answer in what comes back."""

    request: bytes
    find: Callable[[bytes], Answer | None]  # all bytes since the request; None means "not yet"
    within: float  # seconds


class Answer(NamedTuple):
    """What `Ask.find` found: the payload, or the fault that stands in its place."""

    payload: bytes
    faults: tuple[Fault, ...] = ()
    refused: Fault | None = None


# A poll yields requests and is sent each answer; `None` is sent when nothing usable came within the time.
# It returns the measurements and faults of the whole poll.
Poll = Generator[Ask, "Answer | None", list[Item]]


class Poller(Protocol):
    """A serial device that answers when asked."""

    def poll(self) -> Poll:
        """Ask for one set of measurements."""
        ...


class EdgeDecoder(Protocol):
    """A device on a GPIO input. Times are seconds on any clock that never steps; `active` is the logical level."""

    def start(self, at: float, active: bool) -> list[Item]:
        """Take the level at start."""
        ...

    def edge(self, at: float, active: bool) -> list[Item]:
        """Take one edge."""
        ...

    def due(self) -> float | None:
        """Return when `tick` wants to be called although nothing came, or None."""
        ...

    def tick(self, at: float) -> list[Item]:
        """Let time pass: settle a debounce, report the state or total that is due."""
        ...

    def memory(self) -> Mapping[str, float]:
        """Return what must survive a restart; empty if nothing."""
        ...

    def recall(self, memory: Mapping[str, float]) -> None:
        """Take up what an earlier run left behind; called once, before `start`."""
        ...


class Ranger(Protocol):
    """A device that answers a short pulse on one GPIO pin with one on another, as long as its sound was on the way."""

    def take(self, echo: float | Reason) -> list[Item]:
        """Take how long the pulse lasted, in seconds, or why there was none."""
        ...


class Gauge(Protocol):
    """What looks at the gateway itself. Times as in `EdgeDecoder`."""

    def due(self) -> float:
        """Return when `look` wants to be called again."""
        ...

    def look(self, at: float, gateway: GatewayView) -> list[Item]:
        """Look, and return what is to be told by now."""
        ...

    def memory(self) -> Mapping[str, float]:
        """Return what must survive a restart; empty if nothing."""
        ...

    def recall(self, memory: Mapping[str, float]) -> None:
        """Take up what an earlier run left behind; called once, before anything else."""
        ...


class Output(Protocol):
    """A device on a GPIO output. Times as in `EdgeDecoder`."""

    def set(self, at: float, on: bool, lasting: float | None = None) -> list[Item]:
        """Ask for a state; returns what to report.

        `lasting` seconds, at most the longest time, is how long it then stays on, even if it was on already.
        """
        ...

    def level(self) -> bool:
        """Return the logical level the pin must have now."""
        ...

    def due(self) -> float | None:
        """Return when `tick` wants to be called, or None."""
        ...

    def tick(self, at: float) -> list[Item]:
        """Let time pass: the longest on-time may end."""
        ...


class BusOutput(Protocol):
    """An output on a serial line. What it is, is what it answered; what it shall be, others know."""

    def look(self) -> Poll:
        """Ask what it is: a measurement of `on`, or faults alone."""
        ...

    def switch(self, on: bool, lasting: float) -> Poll:
        """Make it so unless it is, and ask what it is then; on for so many seconds where the device counts them itself.

        It asks first what the output is: a request whose answer was lost may have been obeyed.
        """
        ...

    def off(self) -> bytes:
        """Return the request that switches it off, whatever it is."""
        ...


# --- what a driver says of itself ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SerialLine:
    """Settings of a serial line."""

    baud: int = 9600
    bits: int = 8
    parity: str = "N"  # N, E or O
    stop: int = 1

    def __str__(self) -> str:
        """Return the usual short form, such as `9600 8N1`."""
        return f"{self.baud} {self.bits}{self.parity}{self.stop}"


class Interval(NamedTuple):
    """The limits of a number: `ge` and `le` are legal themselves, `gt` and `lt` are not."""

    ge: float | None = None
    gt: float | None = None
    le: float | None = None
    lt: float | None = None


class Help(NamedTuple):
    """What a setting is for, in words a technician reads: `Annotated[int, Interval(ge=1, le=247), Help(N_("..."))]`."""

    text: str
    unit: str = ""


class Wire(NamedTuple):
    """One wire between the device and the Pi."""

    pin: str  # as the device's maker calls it
    to: str  # one of drivers/wiring.py
    note: str = ""


class Trial(NamedTuple):
    """What shows that a mounted device works: somebody does something to it, and a quantity follows."""

    text: str  # what to do, for a technician; in N_
    quantity: str
    by: float = 0.0  # how far the value has to move, in the quantity's unit; 0: any value tells; a state has to change
    within: float = 60.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """One row of what Roadside can read: use one of the subclasses."""

    name: str
    title: str  # maker and model; wrap in N_ only what is not a proper name
    settings: type[Any]  # a frozen keyword-only dataclass; every field has a default or is required, and a Help
    quantities: Callable[[Any], Mapping[str, str]]  # settings -> quantity -> SenML unit ("" if it has none)
    silent_after: float = 60.0  # seconds without a measurement after which the device is reported as silent
    warm_up: float = 0.0  # seconds after power-on during which values are not to be trusted
    event: bool = False  # True: readings go up as they happen and repeats are not "stuck"
    alarms: Sequence[str] = ()  # quantities (booleans) that are alarms in themselves: raised when true
    reasons: Sequence[Reason] = ()  # why the device's answer may hold no value
    faults: Sequence[FaultKind] = ()  # what may be wrong with what comes in
    wiring: Sequence[Wire] = ()
    notes: Sequence[str] = ()  # what a technician must know: voltages, settings in the device, what it cannot tell
    trial: Callable[[Any], Trial | None] | None = None  # settings -> how to try it; None: drivers/trials.py knows
    source: str = ""  # datasheet and section the numbers come from
    profile: object = None  # what a driver was made of that is data and no code: a drivers.modbus.profile.Profile


class Prompt(NamedTuple):
    """What a listening driver's device must be sent so that it speaks."""

    data: bytes
    every: float | None = None  # seconds; None: only once, when the port has been opened
    pause: float = 0.0  # seconds for which the device, prompted so, says nothing and is well


@dataclass(frozen=True, slots=True, kw_only=True)
class ListeningDriver(Driver):
    """A serial device that speaks unasked.

    `make` tells all that the bytes say, `timed` what is worth sending of it: tracks in place of echoes, totals.
    """

    line: SerialLine = field(default_factory=SerialLine)
    make: Callable[[Any], Decoder]
    timed: Callable[[Any], TimedDecoder] | None = None
    prompt: Callable[[Any], Prompt | None] | None = None  # nothing is ever sent to the device unless this says so


@dataclass(frozen=True, slots=True, kw_only=True)
class PollingDriver(Driver):
    """A serial device that answers when asked; those that have an address may share a line."""

    line: SerialLine = field(default_factory=SerialLine)
    addressed: bool = True  # False: it answers whoever is asked, so that nothing else can be on its line
    every: float = 10.0  # seconds between polls unless configured
    make: Callable[[Any], Poller]
    overhear: Callable[[Any], Decoder] | None = None  # reads a recording of the line: answers, perhaps with requests


class BusOutputSettings(Protocol):
    """What the settings of every output on a serial line have."""

    longest_on: float  # seconds that it stays on without being asked again


@dataclass(frozen=True, slots=True, kw_only=True)
class BusOutputDriver(Driver):
    """An output on a serial line, which several devices may share; its settings are `BusOutputSettings` and more."""

    line: SerialLine = field(default_factory=SerialLine)
    every: float = 10.0  # seconds between looks at what it is
    make: Callable[[Any], BusOutput]
    overhear: Callable[[Any], Decoder] | None = None  # reads a recording of the line


class InputSettings(Protocol):
    """What the settings of every GPIO input have."""

    pin: int  # BCM number
    pull: str  # "up", "down" or "none"
    active: str  # the level, "low" or "high", at which the contact is closed


class OutputSettings(Protocol):
    """What the settings of every GPIO output have."""

    pin: int  # BCM number
    active: str  # the level, "low" or "high", at which the device is on
    longest_on: float  # seconds that it stays on without being asked again


@dataclass(frozen=True, slots=True, kw_only=True)
class InputDriver(Driver):
    """A device on a GPIO input; its settings are `InputSettings` and more.

    One whose settings say when it was last tested has a `test_due` among its quantities, which the sampler tells.
    """

    make: Callable[[Any], EdgeDecoder]
    tested_on: Callable[[Any], date | None] | None = None


class RangingSettings(Protocol):
    """What the settings of a device with a trigger and an echo have."""

    trigger: int  # BCM numbers
    echo: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RangingDriver(Driver):
    """A device with a trigger and an echo; its settings are `RangingSettings` and more."""

    every: float = 1.0  # seconds between two pulses unless configured
    make: Callable[[Any], Ranger]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayDriver(Driver):
    """The gateway itself as a device, which needs no port."""

    every: float = 60.0  # seconds between two reports unless configured
    make: Callable[[Any, float], Gauge]  # of the settings and the seconds between two reports


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputDriver(Driver):
    """A device on a GPIO output; its settings are `OutputSettings` and more."""

    make: Callable[[Any], Output]


SerialDriver = ListeningDriver | PollingDriver | BusOutputDriver
GpioDriver = InputDriver | RangingDriver | OutputDriver
PacedDriver = PollingDriver | BusOutputDriver | RangingDriver | GatewayDriver  # those that have an `every`


def may_share(driver: Driver) -> bool:
    """Tell whether others may be on the driver's serial line: it answers when asked, and only by its address."""
    return isinstance(driver, BusOutputDriver) or (isinstance(driver, PollingDriver) and driver.addressed)
