"""A tipping-bucket rain gauge: a reed contact to ground that closes once a tip.

Source: Argent/SparkFun SEN-15901 weather kit datasheet, 0.2794 mm a tip; measured on such gauges: the contact stays
closed for about 65 ms and bounces for about 0.1 ms at either edge.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from drivers.quantities import unit
from hil.devices.contact import CLOSED, OPEN, Contact
from hil.emissions import Emission, Kind

if TYPE_CHECKING:
    import random

    from hil.pinboard import PinBoard

TIP = 0.2794  # mm
CLOSED_FOR = 0.065  # seconds
BOUNCE = 0.00005  # seconds between two edges of a bounce
LEAST_APART = 0.25  # seconds: a bucket that tips faster stands in a cloudburst nobody has measured


class RainGauge(Contact):
    """A gauge in steady rain: tips at random, `every` seconds on average. With `every` None it rains by hand alone."""

    def __init__(
        self,
        name: str,
        board: PinBoard,
        chance: random.Random,
        *,
        pin: int,
        every: float | None = 4.0,
        tip: float = TIP,
    ) -> None:
        super().__init__(name, board, chance, pin=pin, every=every)
        self._tip = tip

    async def _happen(self, every: float) -> None:
        await asyncio.sleep(LEAST_APART + self._chance.expovariate(1 / max(every - LEAST_APART, 0.01)))
        await self.tip()

    async def tip(self) -> None:
        """Tip the bucket once."""
        self._bounce(CLOSED, BOUNCE)
        self.emitted.append(
            Emission(self.name, "rain", self._tip, time.time(), unit("rain"), self._tip, kind=Kind.COUNT)
        )
        try:
            await asyncio.sleep(CLOSED_FOR)
        finally:  # a bucket that has begun to tip tips, whatever becomes of the rain
            self._bounce(OPEN, BOUNCE)
