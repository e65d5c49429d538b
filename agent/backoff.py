"""How long to wait before the next attempt.

"Full jitter": gateways that lost a broker together do not come back together.
Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agent.seams import Random

SHORTEST_CEILING = 1.0  # seconds
OF_MANY = 5.0  # seconds: the first ceiling where a thousand others are about to try the same, a fifth of them a second
LONGEST_CEILING = 60.0
HELD = 30.0  # a connection that lasted so long was a good one


class Backoff:
    """Waits of random length below a ceiling that doubles with each failure in a row."""

    def __init__(self, random: Random, longest: float = LONGEST_CEILING, *, shortest: float = SHORTEST_CEILING) -> None:
        """Take the ceilings after the first failure and after many, in seconds."""
        self._random = random
        self._longest = longest
        self._shortest = self._ceiling = shortest

    def failed(self, held: float = 0.0) -> float:
        """Return the seconds to wait after an attempt that held for so many seconds before it failed.

        A broker that accepts a connection and drops it again is as much in trouble as one that is not there.
        """
        if held >= HELD:
            self.reset()
        wait = self._random.uniform(0.0, self._ceiling)
        self._ceiling = min(self._longest, 2 * self._ceiling)
        return wait

    def reset(self) -> None:
        """Begin anew: all is well."""
        self._ceiling = self._shortest
