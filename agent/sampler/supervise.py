"""Keeps one device's sampler going, whatever its port or its driver does."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NoReturn

from agent.backoff import Backoff
from drivers.seams import PortError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.sampler.pipeline import Pipeline
    from agent.seams import Clock, Random


LONGEST = 10.0  # seconds; a look at a port that is not there costs next to nothing, and whoever plugs it in is waiting


async def supervise(work: Callable[[], Awaitable[None]], pipeline: Pipeline, clock: Clock, random: Random) -> NoReturn:
    """Do the work; when it ends, note why and do it again after a while."""
    backoff = Backoff(random, LONGEST)
    while True:
        began = clock.boottime()
        try:
            await work()
        except PortError as error:
            pipeline.port_fault(error)
        except Exception as error:  # noqa: BLE001 - here a fault of one driver ends, so that no other device feels it
            pipeline.quarantine(error)
        await asyncio.sleep(backoff.failed((clock.boottime() - began) / 1e9))
