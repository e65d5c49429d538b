"""The clocks of a simulated Pi: a crystal that is not quite right, and a wall clock that is right only at times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent.seams import Sync
from tests.simulation.universe import BEGINNING, SECOND

if TYPE_CHECKING:
    from random import Random

    from tests.simulation.universe import Universe

CRYSTAL = 99e-6  # the most by which a crystal is off
STARTING = 60.0  # seconds at most from the beginning of a boot to the start of the agent
DAY = 86_400 * SECOND


class SimulatedClock:
    """Implements `agent.seams.Clock` for one boot."""

    def __init__(self, universe: Universe, chance: Random) -> None:
        self._universe = universe
        self._chance = chance
        self.boot = f"{chance.getrandbits(128):032x}"
        self.rate = 1 + chance.choice([-CRYSTAL, CRYSTAL, chance.uniform(-CRYSTAL, CRYSTAL), 0.0])
        self._booted = universe.now
        self._already = round(chance.uniform(5, STARTING) * SECOND)  # passed before the agent was started
        self._sync: Sync | None = None
        self._error = 0  # of the wall clock while it is synchronised
        wrong = chance.choice([-BEGINNING + DAY, -chance.randrange(400 * DAY), chance.randrange(400 * DAY)])
        self._free = universe.utc + wrong - self.boottime()  # wall clock minus boottime while it is not

    def boottime(self) -> int:
        """Return nanoseconds since boot."""
        return self._already + round((self._universe.now - self._booted) * self.rate)

    def true_utc(self, boottime: int) -> int:
        """Return the true time of an instant of this boot."""
        return BEGINNING + self._booted + round((boottime - self._already) / self.rate)

    def utc(self) -> int:
        """Return the wall clock."""
        return self._universe.utc + self._error if self._sync is not None else self._free + self.boottime()

    def synchronised(self) -> Sync | None:
        """Return what a time service would say."""
        return self._sync

    # --- what happens to it ----------------------------------------------------------------------------------------

    def be_set(self) -> None:
        """A server is heard: the wall clock is right now, but for less than it is said to be off."""
        uncertainty = self._chance.choice([0.01, 0.1, 0.5])
        self._sync = Sync(self._chance.choice(["kernel", "timesyncd"]), uncertainty)
        self._error = round(self._chance.uniform(-uncertainty, uncertainty) * SECOND)
        self._universe.tell("clock set", f"{self._sync} {self._error}")

    def be_alone(self) -> None:
        """No server is heard any more, and nobody claims that the wall clock is right."""
        self._free = self.utc() - self.boottime()
        self._sync = None
        self._universe.tell("clock alone")

    def step(self, seconds: float) -> None:
        """Somebody sets the wall clock, to something that is wrong."""
        self.be_alone()
        self._free += round(seconds * SECOND)
        self._universe.tell("clock stepped", seconds)
