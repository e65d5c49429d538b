"""What `--only` chooses from, and how each part is measured once."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.bench.way import backlog, fastest, outages, steady, wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tests.bench.figures import Measured

QUICK = 0.3  # of the seconds that a part usually takes

NOT_MEASURED = (
    "Not measured: a Raspberry Pi, an SD card (the card is a folder on tmpfs), a network (all is on loopback). "
    "Broker, subscriber, gateway and yardstick are processes of their own and share the cores."
)


def measures(only: Iterable[str], cards: Path, *, quick: bool) -> Iterator[Callable[[], list[Measured]]]:
    """Yield what measures each part once; `cards` is a folder for backlogs, which are filled but once."""
    share = QUICK if quick else 1.0
    if "a" in only:
        yield lambda: asyncio.run(steady.run(share))
    if "b" in only:
        yield lambda: asyncio.run(fastest.run(share))
    if "c" in only or "d" in only:
        yield lambda: asyncio.run(outages.run(share))
    if "f" in only:
        for case in backlog.CASES[:1] if quick else backlog.CASES:
            yield lambda case=case: asyncio.run(backlog.run(cards, case))  # type: ignore[misc]
    if "g" in only:
        yield lambda: asyncio.run(wire.run(cards))
