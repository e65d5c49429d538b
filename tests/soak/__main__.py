"""`make soak`: a table for people, JSON lines for machines with `--json FILE`, and an exit status for both."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from tests.bench.__main__ import machine
from tests.bench.figures import Measured, figures
from tests.soak.slope import rises
from tests.soak.soak import DAY, Soak, Soaked

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.bench.figures import Figure

MOST_GROWTH = 1.0  # percent of its median in a day's worth of readings
MIB = 1 << 20
PERCENT = "% of its median"


@click.command()
@click.option("--hours", default=DAY, show_default=True, help="How many hours' worth of readings.")
@click.option("--ratio", default=240.0, show_default=True, help="How many times quicker than real the devices may be.")
@click.option("--json", "lines", type=click.Path(path_type=Path), help="Where samples and figures go as JSON lines.")
def main(hours: float, ratio: float, lines: Path | None) -> None:
    """Put the real agent through a day's worth of a cabinet's readings, with outages, and see whether it grows."""
    here = {**machine(), "load": round(os.getloadavg()[0], 1)}
    console = Console(width=None if sys.stdout.isatty() else 120)
    with tempfile.TemporaryDirectory(prefix="roadside-soak-") as folder:
        soaked = asyncio.run(Soak(hours, ratio, Path(folder), tell=console.print).run())
    here["load_at_end"] = round(os.getloadavg()[0], 1)
    found = figures([measured(soaked)])
    console.print(_table(found, hours))
    console.print(str(soaked.account), markup=False, highlight=False)
    for lost in soaked.account.lost[:20] if soaked.account is not None else ():
        console.print(f"lost: {lost}", markup=False, highlight=False)
    console.print(", ".join(f"{name} {value}" for name, value in here.items()))
    for fault in soaked.faults[:20]:
        console.print(fault[:500], markup=False, highlight=False)
    if lines is not None:
        samples = [{"hour": one.hour, "seconds": one.seconds, **one.footprint._asdict()} for one in soaked.samples]
        rows = [{"machine": here}, *samples, *({"trouble": one} for one in soaked.troubles), *map(asdict, found)]
        lines.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    sys.exit(any(one.reached is False for one in found))


def measured(soaked: Soaked) -> list[Measured]:
    """Return what a soak found. The growth is judged only over a day: in an hour, a page more looks like a leak."""
    account = soaked.account
    assert account is not None
    at_most = MOST_GROWTH if soaked.hours >= DAY else float("inf")
    own = [sample.footprint.anonymous for sample in soaked.settled()]
    return [
        Measured("anonymous memory: growth in a day", soaked.growth("anonymous") * 100, PERCENT, at_most=at_most),
        Measured("PSS: growth in a day", soaked.growth("pss") * 100, PERCENT),
        Measured("RSS: growth in a day", soaked.growth("rss") * 100, PERCENT),
        *(Measured(f"anonymous memory, {name}", value / MIB, "MiB") for name, value in rises(own).items()),
        *(
            Measured(f"{what}, {name}", value, "")
            for what, key in (("file descriptors", "descriptors"), ("threads", "threads"))
            for name, value in rises([getattr(sample.footprint, key) for sample in soaked.settled()]).items()
        ),
        Measured("readings emitted", account.emitted, ""),
        Measured("lost", len(account.lost) + account.missing, "", at_most=0),
        Measured("doubled", len(account.doubled), "", at_most=0),
        Measured("misdated", len(account.misdated), "", at_most=0),
        Measured("offences against the wire", len(soaked.faults), "", at_most=0),
        Measured("reports that did not fit onto a line", soaked.overrun, ""),
        Measured("times the rig stood still", soaked.stalls, ""),
        Measured("troubles", len(soaked.troubles), ""),
        Measured("reconnects", soaked.reconnects, ""),
        Measured("commits", soaked.commits, ""),
        Measured("took", soaked.seconds, "s"),
    ]


def _table(found: Iterable[Figure], hours: float) -> Table:
    table = Table("what", "unit", title=f"{hours:g} h worth of readings")
    for column in ("", "to reach", ""):
        table.add_column(column, justify="right")
    for one in found:
        value = f"{one.value:,.0f}" if abs(one.value) >= 1000 or one.value == round(one.value) else f"{one.value:.2f}"
        reached = {True: "reached", False: "[bold]missed[/]", None: ""}[one.reached]
        table.add_row(one.what, one.unit, value, one.to_reach, reached)
    return table


if __name__ == "__main__":
    main()
