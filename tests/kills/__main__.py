"""`make kills`: SIGKILL at random system calls of the real agent, judged by what an outside trace saw written."""

from __future__ import annotations

import asyncio
import random
import shutil
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from tests.kills.campaign import Outcome, campaign

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kills.campaign import Killed


@click.command()
@click.option("--kills", default=100, show_default=True, help="How many.")
@click.option("--seed", type=int, help="Which; a random one unless given.")
def main(kills: int, seed: int | None) -> None:
    """Kill the agent at random system calls and see whether anything is lost."""
    if shutil.which("strace") is None:
        sys.exit("strace is not installed: apt-get install strace")
    seed = random.randrange(1 << 32) if seed is None else seed
    began = time.monotonic()
    console = Console(width=None if sys.stdout.isatty() else 120)

    def tell(outcome: Outcome) -> None:
        console.print(f"{time.monotonic() - began:6.0f} s  {summary(outcome)}")

    console.print(f"seed {seed}")
    outcome = asyncio.run(campaign(kills, seed, told=tell))
    console.print(_table("call", outcome, lambda one: f"{one.call}, {one.what}" if one.what else one.call))
    console.print(_table("when", outcome, lambda one: one.phase))
    for fault in outcome.faults[:50]:
        console.print(fault[:2000], markup=False, highlight=False)
    console.print(f"seed {seed}: {summary(outcome)}")
    sys.exit(bool(outcome.faults))


def summary(outcome: Outcome) -> str:
    """Return in one line what a campaign came to."""
    return (
        f"{outcome.kills.total()} kills in {outcome.runs} runs, {outcome.records} records written, "
        f"{outcome.acknowledged} packs acknowledged, {outcome.doubles} records arrived more than once, "
        f"{len(outcome.faults)} faults"
    )


def _table(name: str, outcome: Outcome, key: Callable[[Killed], str]) -> Table:
    table = Table(name)
    for column in ("on entry", "on exit", "together"):
        table.add_column(column, justify="right")
    entries: Counter[str] = Counter()
    exits: Counter[str] = Counter()
    for one, count in outcome.kills.items():
        (exits if one.on_exit else entries)[key(one)] += count
    for row in sorted(entries | exits, key=lambda row: (-(entries + exits)[row], row)):
        table.add_row(row, str(entries[row]), str(exits[row]), str(entries[row] + exits[row]))
    return table


if __name__ == "__main__":
    main()
