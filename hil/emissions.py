"""What the simulated devices said, and when nobody could have heard them: the rig's half of the account."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from drivers.quantities import unit

if TYPE_CHECKING:
    from drivers.contract import Reason, Value


class Kind(StrEnum):
    """How an emission shows in what the city receives."""

    SAMPLE = "sample"  # the value itself, once
    STATE = "state"  # a change of state; the agent may repeat the state as often as it likes
    COUNT = "count"  # an increment, `value`, of a total; the agent may repeat the total as often as it likes


@dataclass(frozen=True, slots=True)
class Emission:
    """One measurement that went out on a wire or a pin, as a correct reader reads it."""

    device: str
    quantity: str
    value: Value | None
    at: float  # CLOCK_REALTIME seconds when the last byte had been written, or the edge had been made
    unit: str = ""
    step: float = 0.0  # the smallest difference that the wire can express
    reason: Reason | None = None  # why there is no value
    kind: Kind = Kind.SAMPLE
    start: int | None = None  # the bytes on the wire that say so; None for a pin
    end: int | None = None


class Said(NamedTuple):
    """What one frame says: an emission that has not happened yet."""

    quantity: str
    value: Value | None
    step: float = 0.0
    reason: Reason | None = None

    def emitted(self, device: str, at: float, start: int, end: int) -> Emission:
        """Return the emission that this became on a wire."""
        return Emission(
            device, self.quantity, self.value, at, unit(self.quantity), self.step, self.reason, start=start, end=end
        )


@dataclass(frozen=True, slots=True)
class Deaf:
    """A stretch during which nobody could read a device: of its wire in bytes, or of its pin in time."""

    device: str
    start: float
    stop: float = math.inf

    def covers(self, emission: Emission) -> bool:
        """Tell whether an emission, or a part of it, fell into this stretch."""
        if emission.device != self.device:
            return False
        if emission.start is None or emission.end is None:
            return self.start <= emission.at <= self.stop
        return emission.start < self.stop and emission.end > self.start


@dataclass(frozen=True, slots=True)
class Cut:
    """The moments before the agent was killed, in which it may have read a frame and not yet made readings of it."""

    device: str
    since: float  # CLOCK_REALTIME seconds
    until: float

    def covers(self, emission: Emission) -> bool:
        """Tell whether an emission was made in these moments."""
        return emission.device == self.device and self.since <= emission.at <= self.until
