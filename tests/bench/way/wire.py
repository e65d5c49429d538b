"""(g) Bytes on the wire a reading: a backlog in packs of 100 goes up over TLS, through a relay that counts."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from hil.link import Link
from tests.bench.figures import Measured
from tests.bench.way.backlog import GIVES_UP, HISTORY, JOURNAL, QUIET, Case, fill
from tests.bench.way.site import SHIPPED, Site

if TYPE_CHECKING:
    from pathlib import Path

CASE = Case(100_000, 100, aimed_at=True)


async def run(cards: Path) -> list[Measured]:
    """Measure once; handshake, login, status, description and acknowledgements are in it."""
    card = cards / f"{CASE.readings}-{CASE.per_pack}"
    if not card.exists():
        await fill(card, CASE)
    async with Site(SHIPPED, devices=(), tls=True) as site, Link(site.port) as link:
        shutil.copytree(card / "card", site.root / JOURNAL)
        site.port = link.port
        await site.subscribe("history", HISTORY)
        await site.start()
        await site.quiet("history", QUIET, GIVES_UP)
        payloads = sum(len(one.payload) for one in site.arrivals("history"))
        return [
            Measured("g. wire, packs of 100, TLS", link.passed / CASE.readings, "B/reading", 12),
            Measured("g. of that payload", payloads / CASE.readings, "B/reading"),
        ]
