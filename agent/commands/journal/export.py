"""`roadside journal export`: all readings that are there, as a table or as the packs that are sent."""

from __future__ import annotations

import csv
import errno
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from agent import senml
from agent.commands.journal.places import Places, places_options
from agent.host.disk import whole_file
from agent.i18n import _, ngettext, retold
from agent.journal.inspect import SECOND, time_of
from agent.readings import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from agent.journal.inspect import Run

COLUMNS = (
    "utc", "uncertainty", "gateway", "device", "quantity", "value", "unit", "reason", "epoch", "stream", "number",
)  # fmt: skip
NOT_ALL = 2
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet takes a text for one that begins so; devices send texts


def _since(ctx: click.Context, parameter: click.Parameter, value: str | None) -> int | None:
    """Return UTC in nanoseconds."""
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value)
        return round((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()) * SECOND
    except (ValueError, OverflowError):
        text = _("write a time in UTC, such as 2026-11-22 or 2026-11-22T14:30")
        raise click.BadParameter(text, ctx=ctx, param=parameter) from None


@click.command(help=_("Write out all readings that are there, each once; exit status 2 if some cannot be read."))
@click.option(
    "--format", "form", type=click.Choice(["csv", "senml"]), default="csv", show_default=True,
    help=_("A table, or the packs of docs/wire.md, one a line."),
)  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help=_("Write to a new file."))
@click.option("--since", callback=_since, metavar="TIME", help=_("Leave out what is known to be older, in UTC."))
@places_options
def command(places: Places, form: str, out: Path | None, since: int | None) -> int:
    """Write it out."""
    found = places.look()
    gateway = places.name(found)
    runs = found.runs(places.disks()[1], since)
    written = Written()
    try:
        with nullcontext(sys.stdout) if out is None else _new(out, places, form) as file:
            _write(file, runs, form, gateway, written)
    except OSError as error:
        if out is None:
            raise
        text = _("{file}: cannot be written: {error}").format(file=out, error=retold(error.strerror or str(error)))
        raise click.ClickException(text) from None
    text = ngettext("{count} reading", "{count} readings", written.readings).format(count=written.readings)
    click.echo(_("{readings}, {undated} of them undated").format(readings=text, undated=written.undated), err=True)
    if not found.is_whole():
        click.echo(_("something is damaged or missing: see roadside journal verify"), err=True)
    return 0 if found.is_whole() else NOT_ALL


@dataclass(slots=True)
class Written:
    """How much was written out."""

    readings: int = 0
    undated: int = 0

    def count(self, runs: Iterable[Run]) -> Iterator[Run]:
        """Pass runs on, and count the readings and alarms in them."""
        for run in runs:
            if run.pack.stream in {Stream.TELEMETRY, Stream.ALARM}:
                self.readings += len(run.records)
                self.undated += len(run.records) if run.dated is None else 0
            yield run


def _write(to: TextIO, runs: Iterable[Run], form: str, gateway: str, written: Written) -> None:
    if form == "csv":
        rows = csv.writer(to, lineterminator="\n")
        rows.writerow(COLUMNS)
        for run in written.count(runs):
            rows.writerows(_rows(run, gateway))
    else:
        for run in written.count(runs):
            to.write(senml.payload(run.pack, gateway, run.dated, compress=False).decode() + "\n")


def _new(out: Path, places: Places, form: str) -> AbstractContextManager[TextIO]:
    """Make a file that is not there yet, and is there only when it is whole. Nothing is put into a journal.

    A table begins with a byte order mark: without it a spreadsheet on a Thai Windows takes UTF-8 for CP874.
    """
    folders = [folder.resolve() for folder in (places.card, places.young) if folder is not None]
    try:
        home = out.parent.resolve()
    except RuntimeError:  # what Python 3.11 makes of it
        raise OSError(errno.ELOOP, "Too many levels of symbolic links", str(out)) from None
    if any(home.is_relative_to(folder) for folder in folders):
        raise click.BadParameter(_("the journal is only looked into; write to another folder"), param_hint="--out")
    encoding = "utf-8-sig" if form == "csv" else "utf-8"
    return whole_file(out, encoding=encoding, errors="backslashreplace", newline="")


def _rows(run: Run, gateway: str) -> Iterator[tuple[Any, ...]]:
    if run.pack.stream not in {Stream.TELEMETRY, Stream.ALARM}:
        return
    for number, record in enumerate(run.records, run.pack.first):
        device, quantity, value, reason = _cells(record)
        when = (
            ("undated", "") if run.dated is None else (_utc(time_of(record, run.dated)), f"{run.dated.uncertainty:.3g}")
        )
        which = (run.pack.epoch, run.pack.stream.value, number)
        yield *when, gateway, device, quantity, value, record.get("u", ""), reason, *which


def _cells(record: dict[str, Any]) -> tuple[str, str, object, str]:
    """Return device, quantity, value, and why there is no value or which alarm it is."""
    name, _colon, kind = record["n"].partition(":")
    device, _slash, quantity = name.partition("/")
    if kind == "state":
        return device, quantity, "", record["vs"]
    if kind == "alarm":
        return device, f"{quantity}:alarm".removeprefix(":"), record["vs"], record["alarm"]
    value = next((record[key] for key in ("v", "vb", "vs") if key in record), "")
    if isinstance(value, str) and value.startswith(FORMULA):
        value = "'" + value
    return (
        device,
        f"{quantity}:{kind}" if kind else quantity,
        str(value).lower() if isinstance(value, bool) else value,
        "",
    )


def _utc(utc: int) -> str:
    milliseconds = round(utc / 1e6)
    time = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{time:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}Z"
