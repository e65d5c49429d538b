"""What really was measured, by whom and when: written down outside the agent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.clock import SimulatedClock
    from tests.simulation.universe import Universe


@dataclass(slots=True, eq=False)
class Measured:
    """One value that was handed to the agent."""

    clock: SimulatedClock
    boottime: int  # nanoseconds
    device: str
    quantity: str
    value: float | bool
    now: int  # true time of that
    power: int  # which run of the machine
    sure: bool = False  # the agent went on to its next read: it must have kept this one


@dataclass(slots=True)
class Tip:
    """One tip of the rain gauge that the agent could see."""

    boottime: int
    power: int
    now: int
    sure: bool = False


@dataclass
class Truth:
    """All that was measured, in the order in which it was handed over."""

    universe: Universe
    measured: list[Measured] = field(default_factory=list)
    tips: list[Tip] = field(default_factory=list)
    clocks: list[SimulatedClock] = field(default_factory=list)  # of each boot
    power: int = 0

    def note(self, clock: SimulatedClock, device: str, quantity: str, value: float | bool) -> Measured:
        """Note what is being handed over now."""
        one = Measured(clock, clock.boottime(), device, quantity, value, self.universe.now, self.power)
        self.measured.append(one)
        return one
