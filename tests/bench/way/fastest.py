"""(b) The highest rate at which nothing is lost, through the real process and real ptys.

The devices first send as much as is taken, which gives the rate to begin with; then they keep to a pace, quicker from
step to step as long as all that was due in a step arrives soon after its end, or else slower until it does; what lies
between is then halved twice.
"""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

from tests.bench.figures import Measured
from tests.bench.way.judging import deduped, judge, of_agent, of_script
from tests.bench.way.site import SCRIPT, SHIPPED, Site

if TYPE_CHECKING:
    from tests.bench.way.judging import Verdict
    from tests.bench.way.site import Kind

SATURATED = 6.0  # seconds
STEP = 5.0  # seconds
QUICKER = 1.5  # from step to step
HALVED = 2  # times
KEPT_UP = 0.99  # of what was to be sent: a device that waits to be read has fallen behind
BEHIND = 2.0  # seconds that the last reading may take
CAUGHT_UP = 1.0  # seconds without any message
GIVES_UP = 60.0  # seconds


async def run(share: float) -> list[Measured]:
    """Measure the script and the agent, one after the other."""
    yardstick = await _highest(SCRIPT, share)
    highest = await _highest(SHIPPED, share)
    return [
        Measured(f"b. {SCRIPT.name}: highest lossless rate", yardstick, "readings/s"),
        Measured(
            f"b. {SHIPPED.name}: highest lossless rate", highest, "readings/s", at_least=35_000,
            yardstick=SCRIPT.name, measure=yardstick,
        ),
    ]  # fmt: skip


async def _highest(kind: Kind, share: float) -> float:
    count, seconds, _ = await _at(kind, math.inf, SATURATED * share)
    rate = count / seconds
    held, failed = 0.0, math.inf
    while not held or math.isinf(failed):
        if await _holds(kind, rate, STEP * share):
            held = rate
            rate *= QUICKER
        else:
            failed = rate
            rate /= QUICKER
    for _ in range(HALVED):
        rate = math.sqrt(held * failed)
        if await _holds(kind, rate, STEP * share):
            held = rate
        else:
            failed = rate
    return held


async def _holds(kind: Kind, rate: float, seconds: float) -> bool:
    count, until, verdict = await _at(kind, rate, seconds)
    in_time = until <= seconds + BEHIND and count >= KEPT_UP * rate * seconds
    return in_time and verdict.lost == verdict.doubled == verdict.disordered == 0


async def _at(kind: Kind, rate: float, seconds: float) -> tuple[int, float, Verdict]:
    """Send at a rate; return how many readings there were, until when they arrived, and whether all did."""
    async with Site(kind) as site:
        await site.subscribe("all", "roadside/#", "paho/#")
        await site.start()
        await asyncio.to_thread(site.lines.wait_for_reader)
        site.lines.start(rate)
        await asyncio.sleep(seconds)
        await asyncio.to_thread(site.lines.stop)
        await site.quiet("all", CAUGHT_UP + (kind is SHIPPED), GIVES_UP)
        arrivals = site.arrivals("all")
        readings = deduped(of_script(arrivals) if kind is SCRIPT else of_agent(arrivals))
        began = min(times[0] for times in site.lines.written.values())
        return site.lines.count, max(one.at for one in readings) - began, judge(site.lines.written, readings)
