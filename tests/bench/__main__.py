"""`make bench`: a table for people, and JSON lines for machines with `--json FILE`."""

from __future__ import annotations

import json
import logging
import os
import platform
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from tests.bench import appending, decoding, draining, starting, wearing
from tests.bench.figures import figures
from tests.bench.way.parts import NOT_MEASURED as NOT_MEASURED_OF_WAY
from tests.bench.way.parts import measures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.bench.figures import Figure, Measured

TMPFS = Path("/dev/shm")  # noqa: S108 - what is measured is tmpfs, where the agent has its young end
PARTS = ("decoders", "journal", "way")
NOT_MEASURED_OF_DECODERS = (
    "Not measured: what the kernel and pyserial take of a serial line, GPIO, and a Raspberry Pi. Frames are those of "
    "tests/drivers/recordings; text protocols have no limit of their own."
)
NOT_MEASURED = (
    "Not measured: an SD card (the card is a folder on tmpfs, whose syncs cost nothing) and a Raspberry Pi. "
    "Bytes are those handed to the files; what a file system adds of its own is not in them."
)


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--runs", default=3, show_default=True, help="Of how many the median is taken.")
@click.option("--json", "lines", type=click.Path(path_type=Path), help="Where the figures go as JSON lines.")
@click.option("--only", default="a,b,c,f,g", show_default=True, help="Of the way up: these alone.")
@click.option("--quick", is_flag=True, help="Of the way up: one run, a third of the time, the small backlog alone.")
def main(parts: tuple[str, ...], runs: int, lines: Path | None, only: str, quick: bool) -> None:
    """Measure what decoding, the journal and the way up cost on this machine; all of it unless one is named."""
    logging.disable(logging.WARNING)  # a power cut is told at each start; a fault still is
    here = machine()
    found: list[Figure] = []
    with tempfile.TemporaryDirectory(prefix="roadside-bench-", dir=TMPFS) as name:
        wanted = parts or PARTS
        if "decoders" in wanted:
            decoders = _several(runs, Path(name), decoding.run)
            _show("The decoders", decoders, here, runs, NOT_MEASURED_OF_DECODERS)
            found += decoders
        if "journal" in wanted:
            journal = _journal(runs, Path(name))
            _show("The journal", journal, here, runs, NOT_MEASURED)
            found += journal
        if "way" in wanted:
            way = _way(1 if quick else runs, Path(name) / "cards", only.split(","), quick=quick)
            _show("The way up", way, here, 1 if quick else runs, NOT_MEASURED_OF_WAY)
            found += way
    if lines is not None:
        rows = [{"machine": here}, *map(asdict, found)]
        lines.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _journal(runs: int, folder: Path) -> list[Figure]:
    found = [
        *_several(runs, folder, appending.run),
        *_several(runs, folder, draining.run),
        *_several(1, folder, wearing.run),  # the same each time: it is counted, not timed
    ]
    built = folder / "built"
    starting.build(built)
    return [*found, *_several(runs, folder, lambda one: starting.run(built, one))]


def _way(runs: int, cards: Path, only: list[str], *, quick: bool) -> list[Figure]:
    cards.mkdir()
    return [one for measure in measures(only, cards, quick=quick) for one in figures(measure() for _ in range(runs))]


def _several(runs: int, folder: Path, measure: Callable[[Path], Iterable[Measured]]) -> list[Figure]:
    def once() -> list[Measured]:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            return list(measure(Path(name)))

    return figures(once() for _ in range(runs))


def machine() -> dict[str, str | int | None]:
    """Return what a figure depends on: when and on what it was measured."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith(("model name", "Model"))]
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": names[-1] if names else platform.machine(),
        "cores": os.cpu_count(),
        "load": f"{os.getloadavg()[0]:.1f}",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
    }


def _show(
    title: str, found: Iterable[Figure], machine: dict[str, str | int | None], runs: int, not_measured: str
) -> None:
    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Table("what", "unit", title=title)
    for column in ("median", "least", "most", "to reach", "", "ratio to a yardstick"):
        table.add_column(column, justify="right")
    for one in found:
        table.add_row(
            one.what,
            one.unit,
            *map(_number, (one.value, one.least, one.most)),
            one.to_reach,
            {True: "reached", False: "[bold]missed[/]", None: ""}[one.reached],
            "" if one.ratio is None else f"{_number(one.ratio)} x {one.yardstick}",
        )
    console.print(table)
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()) + f"; medians of {runs} runs.")
    console.print(not_measured)


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


if __name__ == "__main__":
    main()
