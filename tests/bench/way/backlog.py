"""(f) A backlog goes up to a broker that is back, over TLS, while alarms are raised: all of it, how fast, how late?

The backlog lies on the card, as after a power cut; the process, the broker and the subscribers are real, and each is a
process of its own. When an alarm was raised is when its line was written to the device's pty.
"""

from __future__ import annotations

import asyncio
import math
import shutil
from typing import TYPE_CHECKING, NamedTuple

from agent.readings import Stream
from agent.receiver import unpack
from tests.bench.cabinet import Cabinet, open_journal
from tests.bench.figures import Measured, percentile
from tests.bench.way.judging import Verdict
from tests.bench.way.outages import said
from tests.bench.way.site import CONNECTIONS, GATEWAY, SHIPPED, Site

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.bench.way.subscriber import Arrival

PER_COMMIT = 4000  # readings; whole packs of either size, and whole seconds
ALARMS = 100.0  # a second
QUIET = 3.0  # seconds without a message, after which all has come
GIVES_UP = 300.0  # seconds
RAISED = 1_000_000_000  # is added to the number of every other line, and is beyond the limit
HISTORY = f"roadside/v1/{GATEWAY}/history"
JOURNAL = "var/lib/roadside/journal"

_LEVEL = """
[devices.level]
driver = "line"
port = { path = "/dev/level", line = "921600 8N1" }
pattern = 'R(?P<water_level>\\d+) *'

[[devices.level.alarms]]
name = "flood"
quantity = "water_level"
above = 500_000_000
"""


class Case(NamedTuple):
    """A backlog."""

    readings: int
    per_pack: int
    aimed_at: bool  # whether the figures to reach are about this one


CASES = (Case(100_000, 100, aimed_at=False), Case(1_000_000, 40, aimed_at=False), Case(1_000_000, 100, aimed_at=True))


async def fill(folder: Path, case: Case) -> None:
    """Leave a card behind as an agent does whose link was down."""
    journal = open_journal(folder)
    cabinet = Cabinet(0)
    for _ in range(case.readings // PER_COMMIT):
        for _ in range(PER_COMMIT // case.per_pack):
            journal.append(Stream.TELEMETRY, cabinet.readings(case.per_pack))
            journal.close_packs()
        await journal.commit()
    await journal.close(10)


def value(number: int) -> int:
    """Return what the level gauge says: every other time a flood."""
    return number + RAISED * (number % 2)


async def run(cards: Path, case: Case) -> list[Measured]:
    """Drain one backlog from a copy of its card, which is filled if it is not there."""
    card = cards / f"{case.readings}-{case.per_pack}"
    if not card.exists():
        await fill(card, case)
    async with Site(SHIPPED, devices=("level",), value=value, more=_LEVEL, tls=True) as site:
        shutil.copytree(card / "card", site.root / JOURNAL)
        await site.subscribe("history", HISTORY)
        await site.subscribe("others", f"roadside/v1/{GATEWAY}/alarms", CONNECTIONS)
        site.lines.start(ALARMS)
        await site.start()
        await site.quiet("history", 0, GIVES_UP)
        before = site.processor()
        await site.quiet("history", QUIET, GIVES_UP)
        spent = site.processor() - before
        await asyncio.to_thread(site.lines.stop)
        return _figures(case, site, spent)


def _figures(case: Case, site: Site, spent: float) -> list[Measured]:
    what = f"f. {case.readings:,} waiting, {case.per_pack} a pack"
    history, others = site.arrivals("history"), site.arrivals("others")
    connected = max(one.at for one in others if f" as {GATEWAY} ".encode() in one.payload and one.at < history[0].at)
    first, last = history[0].at, history[-1].at
    rate = case.readings / (last - connected)
    waits = _waits(others, site.lines.written["level"], first, last)
    aims = case.aimed_at
    return [
        *said(what, _verdict(case.readings, history), judged=True),
        Measured(f"{what}: CONNACK to first data", first - connected, "s", at_most=1 if aims else math.inf),
        Measured(f"{what}: drain", rate, "readings/s", at_least=200_000 if aims else -math.inf),
        Measured(f"{what}: alarms raised or cleared meanwhile", len(waits), "", at_least=200 if aims else -math.inf),
        Measured(f"{what}: alarm p50", percentile(waits, 0.5), "ms"),
        Measured(f"{what}: alarm p99", percentile(waits, 0.99), "ms", at_most=50 if aims else math.inf),
        Measured(f"{what}: longest", max(waits), "ms"),
        Measured(f"{what}: PSS when drained", site.pss(), "MiB"),
        Measured(f"{what}: drain, by the agent's time on the processor", case.readings / spent, "readings/s"),
    ]


def _waits(arrivals: Sequence[Arrival], written: Sequence[float], first: float, last: float) -> list[float]:
    """Return how many milliseconds each alarm took that was raised or cleared between two instants; inf: never came."""
    came: dict[int, float] = {}
    for at, topic, payload in arrivals:
        if topic.endswith("/alarms"):
            for item in unpack(payload)[1:]:
                came.setdefault(int(item["at_value"]) % RAISED, at)
    numbers = [number for number, at in enumerate(written, start=1) if first <= at <= last]
    return [1000 * (came.get(number, math.inf) - written[number - 1]) for number in numbers]


def _verdict(sent: int, history: Sequence[Arrival]) -> Verdict:
    numbers: set[int] = set()
    moments: set[tuple[str, float]] = set()
    latest: dict[str, float] = {}
    came = disordered = 0
    epoch = unpack(history[0].payload)[0]["epoch"]
    for arrival in history:
        head, *items = unpack(arrival.payload)
        if head["epoch"] != epoch:  # what became history meanwhile
            continue
        for number, item in enumerate(items, start=head["v"]):
            if number in numbers:
                continue
            numbers.add(number)
            came += 1
            name, moment = item["n"], round(head["boottime"] + item["t"], 3)
            moments.add((name, moment))
            disordered += moment < latest.get(name, -math.inf)
            latest[name] = max(moment, latest.get(name, -math.inf))
    return Verdict(sent, sent - len(numbers), came - len(moments), disordered)
