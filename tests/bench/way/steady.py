"""(a) Four devices at ten readings a second: processor, memory, latency, and how soon after a start one is up.

The first start reads and checks the configuration; any further one takes it up as it was read.
"""

from __future__ import annotations

import asyncio
import math
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from tests.bench.figures import Measured, percentile
from tests.bench.way.judging import deduped, of_agent, of_script
from tests.bench.way.site import SCRIPT, SHIPPED, UNBATCHED, Site

if TYPE_CHECKING:
    from collections.abc import Iterator

RATE = 40.0  # readings a second, of the four together
WARM_UP = 5.0  # seconds
STEADY = 30.0  # seconds
AT_LAST = 2.0  # seconds in which what is on its way arrives
STARTS_WITHIN = 30.0
LOOK = 0.25  # seconds between two looks, of which each reads all that has come


async def run(share: float) -> list[Measured]:
    """Measure the agent as it is shipped, the agent with batching off, and the script, side by side."""
    kinds = (SHIPPED, UNBATCHED, SCRIPT)
    async with AsyncExitStack() as stack:
        sites = [await stack.enter_async_context(Site(kind)) for kind in kinds]
        for site in sites:
            await site.subscribe("all", "roadside/#", "paho/#")
            site.lines.start(RATE)
        for site in sites:  # one after the other: a start takes the processor for itself
            await site.start()
            await asyncio.sleep(WARM_UP)
        before = [(site.processor(), site.lines.count) for site in sites]
        await asyncio.sleep(STEADY * share)
        after = [(site.processor(), site.lines.count) for site in sites]
        memory = [site.pss() for site in sites]
        for site in sites:
            site.lines.stop()
        await asyncio.sleep(AT_LAST)
        each = [1000 * (b[0] - a[0]) / (b[1] - a[1]) for a, b in zip(before, after, strict=True)]
        costs = zip(sites, each, memory, strict=True)
        said = [one for site, cost, pss in costs for one in _said(site, cost, pss, each[-1])]
        again = await _started_again(sites[kinds.index(UNBATCHED)])
        return [*said, Measured(f"a. {UNBATCHED.name}: later start to first reading", again, "s", at_most=0.6)]


async def _started_again(site: Site) -> float:
    """Return how long it takes until a reading arrives from a gateway that ran before, whose configuration is kept."""
    await site.gateway.stop(STARTS_WITHIN)
    site.lines.start(RATE)
    await site.start()
    async with asyncio.timeout(STARTS_WITHIN):
        while not (later := [one.at for one in of_agent(site.arrivals("all")) if one.at > site.started]):  # noqa: ASYNC110
            await asyncio.sleep(LOOK)
    site.lines.stop()
    return later[0] - site.started


def _said(site: Site, cost: float, pss: float, yardstick: float) -> Iterator[Measured]:
    name, shipped, unbatched = site.kind.name, site.kind is SHIPPED, site.kind is UNBATCHED
    arrivals = site.arrivals("all")
    readings = deduped(of_script(arrivals) if site.kind is SCRIPT else of_agent(arrivals))
    waits = [
        1000 * (one.at - site.lines.written[one.name.partition("/")[0]][int(one.number) - 1])
        for one in readings
        if one.at > site.started + WARM_UP
    ]
    what = f"a. {name}: processor, 1,000 readings"
    if site.kind is SCRIPT:
        yield Measured(what, cost, "s")
    else:
        most = 0.5 * yardstick if shipped else math.inf
        yield Measured(what, cost, "s", most, yardstick=SCRIPT.name, measure=yardstick)
    yield Measured(f"a. {name}: PSS", pss, "MiB", at_most=40 if shipped else math.inf)
    yield Measured(f"a. {name}: latency p50", percentile(waits, 0.5), "ms", at_most=5 if unbatched else math.inf)
    yield Measured(f"a. {name}: latency p99", percentile(waits, 0.99), "ms")
    first = readings[0].at - site.started
    yield Measured(f"a. {name}: first start to first reading", first, "s", at_most=0.6 if unbatched else math.inf)
