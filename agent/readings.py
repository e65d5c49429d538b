"""Readings: what the sampler makes of measurements, and what the journal keeps."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivers.contract import Reason, Value


class Stream(StrEnum):
    """A run of numbered records; each has its own topic, its own numbers and its own progress."""

    ALARM = "alarm"
    TELEMETRY = "telemetry"
    ANCHOR = "anchor"
    LEDGER = "ledger"


@dataclass(slots=True)
class Reading:
    """A measurement with its device and its instant."""

    device: str
    quantity: str
    at: int  # boottime in nanoseconds
    value: Value | None
    reason: Reason | None = None
    unit: str = ""
    partial: bool = False  # an average over less than its whole window
    test: bool = False  # made while the device was being tested


@dataclass(slots=True)
class AlarmEvent:
    """An alarm being raised or cleared; both share the id."""

    device: str
    alarm: str  # the rule's name: "flood", "silent", "stuck", "pressed"
    at: int  # boottime in nanoseconds
    id: str  # 16 hexadecimal digits
    raised: bool
    quantity: str = ""  # "" for an alarm of the device as a whole
    value: Value | None = None  # what the quantity was at that moment
    test: bool = False  # raised while the device was being tested; its end says the same, whenever that comes


@dataclass(slots=True)
class Acknowledgement:
    """Somebody has taken note of an alarm, which still stands; it shares the alarm's id."""

    device: str
    alarm: str
    at: int  # boottime in nanoseconds
    id: str
    by: str  # who, in their own words
    quantity: str = ""
    test: bool = False  # of an alarm that is a test


@dataclass(slots=True)
class Anchor:
    """Ties the boottime of one boot to UTC."""

    boot: str
    at: int  # boottime in nanoseconds
    utc: int  # nanoseconds since 1970
    uncertainty: float  # seconds
    source: str  # "kernel", "timesyncd", "gnss", or "estimate": between the boots before and after


@dataclass(slots=True)
class LedgerEntry:
    """Something that did not go up as a reading, and why."""

    at: int  # boottime in nanoseconds
    kind: str  # "withheld", "dropped", "lost", "damaged"
    why: str
    count: int
    # of "withheld": measurements of one quantity between two instants (boottime in nanoseconds)
    device: str = ""
    quantity: str = ""
    since: int = 0
    until: int = 0
    # of "dropped", "lost", "damaged": numbers of a stream
    stream: str = ""
    epoch: str = ""
    first: int = 0
    last: int = 0
    uplink: str = ""  # given up for this one alone


Record = Reading | AlarmEvent | Acknowledgement | Anchor | LedgerEntry
