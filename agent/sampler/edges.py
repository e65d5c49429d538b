"""Samples a device on a GPIO input."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from agent.sampler.reminder import Reminder
from drivers.contract import Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.sampler.pipeline import Pipeline
    from agent.seams import Clock
    from drivers.contract import EdgeDecoder, InputDriver, InputSettings, Item
    from drivers.seams import GpioPorts


async def watch(
    pipeline: Pipeline, driver: InputDriver, gpio: GpioPorts, clock: Clock, utc: Callable[[], int | None]
) -> None:
    """Claim the pin and feed its edges to the driver; raises PortError.

    `utc` is the time of day in nanoseconds since 1970, None while it is not known.
    """
    settings = cast("InputSettings", pipeline.device.settings)
    tested_on = None if driver.tested_on is None else driver.tested_on(settings)
    reminder = None if tested_on is None else Reminder(tested_on)
    line = gpio.input(settings.pin, pull=settings.pull, active=settings.active)
    try:
        decoder = driver.make(settings)
        decoder.recall(pipeline.recall())
        now = clock.boottime() / 1e9
        _take(pipeline, decoder, decoder.start(now, line.active()), now)
        while True:
            for at, active in await line.wait(decoder.due()):
                _take(pipeline, decoder, decoder.edge(at, active), at)
            now = clock.boottime() / 1e9
            due = decoder.due()
            if due is not None and due <= now:
                _take(pipeline, decoder, decoder.tick(now), now)
            if dropped := line.dropped():
                detail = f"{dropped} edges came too fast to be kept"
                pipeline.take([Fault(FaultKind.OVERRUN, 0, detail)], clock.boottime())
            if reminder is not None and (reminding := reminder.look(now, utc())):
                pipeline.take(reminding, clock.boottime())
            await asyncio.sleep(0)  # in a storm of edges `wait` never waits, and the others want their turn
    finally:
        line.close()


def _take(pipeline: Pipeline, decoder: EdgeDecoder, items: list[Item], at: float) -> None:
    pipeline.remember(decoder.memory())
    pipeline.take(items, round(at * 1e9))
