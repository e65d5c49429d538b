"""(c) The broker is away: stopped, hung, or at the other end of a line that swallows all. (d) SIGKILL meanwhile.

All run side by side, at the pace of (a): what is judged is what was lost, not how quick it was.
"""

from __future__ import annotations

import asyncio
import math
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from hil.link import Link
from tests.bench.figures import Measured
from tests.bench.way.judging import deduped, judge, of_agent, of_script
from tests.bench.way.site import SCRIPT, SHIPPED, Site
from tests.bench.way.steady import RATE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from tests.bench.way.judging import Verdict
    from tests.bench.way.site import Kind

    Outage = Callable[[Site, Link], AbstractAsyncContextManager[None]]

BEFORE = 5.0  # seconds
AWAY = 30.0  # seconds
LOOKS = 2.0  # seconds between two looks at what has come
GIVES_UP = {SHIPPED: 180.0, SCRIPT: 60.0}  # seconds after which what has not come is lost


@asynccontextmanager
async def _stopped(site: Site, _: Link) -> AsyncIterator[None]:
    await asyncio.to_thread(site.broker.shut_down)
    yield
    await asyncio.to_thread(site.broker.start)


@asynccontextmanager
async def _hung(site: Site, _: Link) -> AsyncIterator[None]:
    site.broker.freeze()
    yield
    site.broker.thaw()


@asynccontextmanager
async def _half_open(_: Site, link: Link) -> AsyncIterator[None]:
    link.hang()
    yield
    await link.restore()


OUTAGES: dict[str, Outage] = {"stopped": _stopped, "hung": _hung, "half open": _half_open}


async def run(share: float) -> list[Measured]:
    """Measure the agent and the script in every case."""
    cases = [(f"c. broker {name} for {AWAY * share:g} s", outage, False) for name, outage in OUTAGES.items()]
    cases.append((f"d. SIGKILL in the midst of {AWAY * share:g} s", _stopped, True))
    asked = [(f"{what}, {kind.name}", kind, outage, kill) for what, outage, kill in cases for kind in (SCRIPT, SHIPPED)]
    verdicts = await asyncio.gather(*[_case(kind, outage, share, kill=kill) for _, kind, outage, kill in asked])
    return [
        one
        for (what, kind, *_), verdict in zip(asked, verdicts, strict=True)
        for one in said(what, verdict, judged=kind is SHIPPED)
    ]


def said(what: str, verdict: Verdict, *, judged: bool) -> list[Measured]:
    """Return a verdict as figures, of which nothing else than 0 is good enough."""
    most = 0.0 if judged else math.inf
    return [
        Measured(f"{what}: lost", verdict.lost, f"of {verdict.sent:,}", most),
        Measured(f"{what}: doubled", verdict.doubled, "readings", most),
        Measured(f"{what}: out of order", verdict.disordered, "readings", most),
    ]


async def _case(kind: Kind, outage: Outage, share: float, *, kill: bool) -> Verdict:
    async with Site(kind) as site, Link(site.broker.port) as link:
        site.port = link.port
        await site.subscribe("all", "roadside/#", "paho/#")
        await site.start()
        await asyncio.to_thread(site.lines.wait_for_reader)
        site.lines.start(RATE)
        await asyncio.sleep(BEFORE)
        async with outage(site, link):
            await asyncio.sleep(AWAY * share / 2)
            if kill:
                await _kill(site)
            await asyncio.sleep(AWAY * share / 2)
        await asyncio.sleep(BEFORE)
        await asyncio.to_thread(site.lines.stop)
        return await _verdict(site)


async def _verdict(site: Site) -> Verdict:
    """Wait until all has come, and a little longer for doubles; a retry may be half a minute off."""
    deadline = time.monotonic() + GIVES_UP[site.kind]
    while True:
        arrivals = site.arrivals("all")
        readings = of_script(arrivals) if site.kind is SCRIPT else of_agent(arrivals)
        verdict = judge(site.lines.written, deduped(readings))
        if verdict.lost == 0 and site.still_for("all", BEFORE):
            return verdict
        if time.monotonic() > deadline:
            sys.stderr.write(f"{verdict}, {site.kind.name}:\n{site.gateway.tail()}\n")
            return verdict
        await asyncio.sleep(LOOKS)


async def _kill(site: Site) -> None:
    """Kill the gateway with all it has read, and start it again; the devices wait until it listens."""
    await asyncio.to_thread(site.lines.stop)
    await asyncio.to_thread(site.lines.settle)
    await site.gateway.kill()
    await site.start()
    await asyncio.to_thread(site.lines.wait_for_reader)
    site.lines.start(RATE)
