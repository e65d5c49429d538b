"""The agent's world, made up: implements `agent.world.World` for one run of the agent."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from random import Random

    from agent.config.model import Uplink
    from agent.control import Verb
    from agent.uplink.broker import Broker
    from tests.simulation.clock import SimulatedClock
    from tests.simulation.disk import SimulatedDisk
    from tests.simulation.ports import SimulatedGpio, SimulatedSerial


@dataclass
class SimulatedWorld:
    """Everything but the loop."""

    clock: SimulatedClock
    random: SimulatedRandom
    young: SimulatedDisk
    card: SimulatedDisk
    serial: SimulatedSerial
    pins: SimulatedGpio
    way: Callable[[Uplink], Broker]
    manager: Manager
    culprit: str = ""
    release: str = ""

    @property
    def crumb(self) -> Crumb:
        """Return a memory that nobody reads."""
        return Crumb()

    def gpio(self) -> SimulatedGpio:
        """Return the pins."""
        return self.pins

    def broker(self, uplink: Uplink) -> Broker:
        """Return the broker of an uplink."""
        return self.way(uplink)

    @asynccontextmanager
    async def control(self, verbs: Mapping[str, Verb]) -> AsyncIterator[None]:
        """Have nobody ask."""
        assert verbs
        yield

    def close(self) -> None:
        """Nothing is held."""


@dataclass(frozen=True)
class SimulatedRandom:
    """Implements `agent.seams.Random`."""

    chance: Random

    def uniform(self, low: float, high: float) -> float:
        """Return a number between two."""
        return self.chance.uniform(low, high)

    def bits(self, count: int) -> int:
        """Return so many random bits."""
        return self.chance.getrandbits(count)


class Manager:
    """Implements `agent.seams.Notifier`: nobody started us."""

    def notify(self, *states: str) -> None:
        """Hear nothing."""

    def watchdog(self) -> float | None:
        """Return that nobody waits."""
        return None


class Crumb:
    """Implements `agent.seams.Crumb`."""

    def put(self, device: bytes) -> None:
        """Forget it."""
