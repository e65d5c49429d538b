"""Samples a device with a trigger and an echo."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from agent.sampler.pipeline import Pipeline
    from agent.seams import Clock
    from drivers.contract import RangingDriver, RangingSettings
    from drivers.seams import GpioPorts


async def measure(pipeline: Pipeline, driver: RangingDriver, gpio: GpioPorts, every: float, clock: Clock) -> None:
    """Claim the pins and measure every so many seconds; raises PortError."""
    settings = cast("RangingSettings", pipeline.device.settings)
    line = gpio.ranging(settings.trigger, settings.echo)
    try:
        ranger = driver.make(settings)
        due = clock.boottime()
        while True:
            echo = await line.measure()
            pipeline.take(ranger.take(echo), clock.boottime())
            due = max(due + round(every * 1e9), clock.boottime())
            await asyncio.sleep((due - clock.boottime()) / 1e9)
    finally:
        line.close()
