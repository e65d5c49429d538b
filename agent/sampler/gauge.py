"""Samples the gateway itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from agent.sampler.pipeline import Pipeline
    from agent.seams import Clock
    from drivers.contract import GatewayDriver
    from drivers.seams import GatewayView


async def observe(
    pipeline: Pipeline, driver: GatewayDriver, every: float, gateway: GatewayView, clock: Clock
) -> NoReturn:
    """Look whenever the driver wants to, and report every so many seconds."""
    gauge = driver.make(pipeline.device.settings, every)
    gauge.recall(pipeline.recall())
    while True:
        now = clock.boottime()
        items = gauge.look(now / 1e9, gateway)
        pipeline.remember(gauge.memory())
        pipeline.take(items, now)
        await asyncio.sleep(max(0.0, gauge.due() - clock.boottime() / 1e9))
