"""`roadside journal`: looks into the readings that are kept, here or on a card carried home; changes nothing."""

from __future__ import annotations

import csv
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from agent import senml
from agent.commands import refuse, root_option
from agent.commands.status import table
from agent.host.disk import ReadOnlyFolder
from agent.host.environment import environment
from agent.host.paths import Paths
from agent.i18n import _, ngettext
from agent.journal.inspect import SECOND, look, time_of
from agent.readings import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from agent.config.model import Config
    from agent.journal.inspect import Inspection, Run, SeenFile
    from agent.journal.ranges import Ranges

NO_JOURNAL = 1
DAMAGED = 2
DEFAULT = "/etc/roadside/gateway.toml"
LAST_GOOD = "last-good.toml"
FOLDER = "/var/lib/roadside/journal"
UNKNOWN = "unknown"  # the gateway, if nobody says which it is: a journal does not know
COLUMNS = (
    "utc", "uncertainty", "gateway", "device", "quantity", "value", "unit", "reason", "epoch", "stream", "number",
)  # fmt: skip


@dataclass(slots=True)
class Places:
    """Where a journal is, and whose."""

    card: Path
    young: Path | None
    gateway: str

    def disks(self) -> tuple[ReadOnlyFolder | None, ReadOnlyFolder | None]:
        """Return the young end and the card, as far as they are there."""
        there = [folder if folder is not None and folder.is_dir() else None for folder in (self.young, self.card)]
        young, card = (ReadOnlyFolder(folder) if folder is not None else None for folder in there)
        return young, card

    def look(self, *, thorough: bool = False) -> Inspection:
        """Return what is there; raises ClickException if there is nothing, or it cannot be read."""
        try:
            found = look(*self.disks(), thorough=thorough)
        except OSError as error:
            raise click.ClickException(_("the journal cannot be read: {error}").format(error=error)) from None
        if not found.young and not found.card:
            text = _("{folder}: no journal is here; name its folder with --folder").format(folder=self.card)
            raise click.ClickException(text)
        return found


@click.group(help=_("Look into the readings that are kept, here or on a card that was carried home; changes nothing."))
def command() -> None:
    """Only the subcommands do something."""


def _places(function: Callable[..., int]) -> Callable[..., int]:
    """Add the options that say where the journal is, as one argument `places`."""

    @click.option(
        "--folder",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help=_("The journal's folder on a card that was carried."),
    )
    @click.option("--young", type=click.Path(path_type=Path), metavar="DIR", help=_("The folder of its young end."))
    @click.option(
        "--config",
        "path",
        type=click.Path(path_type=Path),
        help=_("The configuration that says where; /etc/roadside/gateway.toml, below --root, if there is one."),
    )
    @root_option
    @wraps(function)
    def call(folder: Path | None, young: Path | None, path: Path | None, root: Path, **rest: Any) -> int:  # noqa: ANN401 - the options of each
        from agent.config.problems import ConfigError

        paths = Paths(root, environment())
        try:
            config = _configuration(paths, path, guess=folder is None)
        except ConfigError as error:
            return refuse(error)
        if folder is None:
            folder = paths.under(config.journal.folder if config else FOLDER)
            young = young or paths.runtime / "young"
        return function(Places(folder, young, config.gateway.id if config else UNKNOWN), **rest)

    return call


def _configuration(paths: Paths, path: Path | None, *, guess: bool) -> Config | None:
    """Return the configuration that is named or, to guess, the one of this machine; raises ConfigError."""
    from agent.config.load import load
    from agent.config.problems import ConfigError

    if path is not None:
        return load(path)
    for usual in (paths.under(DEFAULT), paths.state / LAST_GOOD) if guess else ():
        try:
            return load(usual)
        except ConfigError:
            continue  # none, or a wrong one: it was not asked for
    return None


# --- show ----------------------------------------------------------------------------------------------------------


@command.command("show", help=_("Show what is there, and what waits for which uplink."))
@_places
def show(places: Places) -> int:
    """Show it."""
    found = places.look()
    for title, folder, files in ((_("card"), places.card, found.card), (_("young end"), places.young, found.young)):
        if folder is not None:
            size = _size(sum(file.size for file in files))
            count = ngettext("{count} file", "{count} files", len(files)).format(count=len(files))
            click.echo(f"{title}: {folder}, {count}, {size}")
            _echo(table([_file(file) for file in files]))
    for line in _streams(found):
        click.echo(line)
    kept = ", ".join(sorted(found.state.kept)) if found.state else ""
    click.echo(_("kept values: {names}").format(names=kept or _("none")))
    _echo(_damage(found))
    return 0


def _file(file: SeenFile) -> list[str]:
    held = [f"{stream.value} {_ranges(ranges)}" for (_epoch, stream), ranges in file.spans.items()]
    return ["  " + file.name, _size(file.size), ", ".join(held)]


def _streams(found: Inspection) -> Iterator[str]:
    for epoch in found.epochs:
        yield _("epoch {epoch}").format(epoch=epoch)
        rows = []
        for key in found.numbered():
            if key[0] == epoch:
                waiting = [
                    _("{count} wait for {uplink}").format(count=found.waiting(one, key), uplink=one)
                    for one in found.uplinks()
                ]
                numbers = _("numbers 1-{last}").format(last=found.last(key))
                here = _("here: {numbers}").format(numbers=_ranges(found.present[key]))
                rows.append(["  " + key[1].value, numbers, here, ", ".join(waiting)])
        yield from table(rows)


# --- verify --------------------------------------------------------------------------------------------------------


@command.command("verify", help=_("Check every record, and that none is missing; exit status 2 if any is."))
@_places
def verify(places: Places) -> int:
    """Check it."""
    found = places.look(thorough=True)
    _echo(_damage(found))
    for key in found.numbered():
        text = _("{stream} (epoch {epoch}): {count} of {last} are here, missing: {numbers}")
        missing = _ranges(found.missing(key))
        count = found.present[key].count()
        click.echo(text.format(stream=key[1].value, epoch=key[0], count=count, last=found.last(key), numbers=missing))
    click.echo(_("nothing is damaged or missing") if found.is_whole() else _("something is damaged or missing"))
    return 0 if found.is_whole() else DAMAGED


def _damage(found: Inspection) -> Iterator[str]:
    for file in (*found.card, *found.young):
        for damage in file.damaged:
            text = _("{file}: damaged: {size} bytes at {offset}")
            yield text.format(file=file.name, size=damage.size, offset=damage.offset)
        for pack in file.unsound:
            text = _("{file}: damaged: {stream} {numbers}")
            yield text.format(file=file.name, stream=pack.stream.value, numbers=f"{pack.first}-{pack.last}")
        if file.unreadable:
            yield _("{file}: cannot be read: {error}").format(file=file.name, error=file.unreadable)
        if file.cut:
            text = _("{file}: the last {size} bytes are no whole record: written now, or cut off with the power")
            yield text.format(file=file.name, size=file.cut)


# --- export --------------------------------------------------------------------------------------------------------


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


@command.command("export", help=_("Write out all readings that are there, each once."))
@click.option(
    "--format", "form", type=click.Choice(["csv", "senml"]), default="csv", show_default=True,
    help=_("A table, or the packs of docs/wire.md, one a line."),
)  # fmt: skip
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help=_("Write to a new file."))
@click.option("--since", callback=_since, metavar="TIME", help=_("Leave out what is known to be older, in UTC."))
@_places
def export(places: Places, form: str, out: Path | None, since: int | None) -> int:
    """Write it out."""
    found = places.look()
    runs = found.runs(places.disks()[1], since)
    written = Written()
    with ExitStack() as stack:
        try:
            to = stack.enter_context(_new(out, places)) if out is not None else sys.stdout
        except OSError as error:
            text = _("{file}: cannot be written: {error}").format(file=out, error=error.strerror)
            raise click.ClickException(text) from None
        if form == "csv":
            rows = csv.writer(to, lineterminator="\n")
            rows.writerow(COLUMNS)
            for run in written.count(runs):
                rows.writerows(_rows(run, places.gateway))
        else:
            for run in written.count(runs):
                to.write(senml.payload(run.pack, places.gateway, run.dated, compress=False).decode() + "\n")
    text = ngettext("{count} reading", "{count} readings", written.readings).format(count=written.readings)
    click.echo(_("{readings}, {undated} of them undated").format(readings=text, undated=written.undated), err=True)
    if not found.is_whole():
        click.echo(_("something is damaged or missing: see roadside journal verify"), err=True)
    return 0


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


def _new(out: Path, places: Places) -> TextIO:
    """Open a file that is not there yet; raises OSError. Nothing is put into a journal."""
    folders = [folder.resolve() for folder in (places.card, places.young) if folder is not None]
    if any(out.resolve().is_relative_to(folder) for folder in folders):
        raise click.BadParameter(_("the journal is only looked into; write to another folder"), param_hint="--out")
    return out.open("x", encoding="utf-8", errors="backslashreplace", newline="")


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


# --- words ---------------------------------------------------------------------------------------------------------


def _ranges(ranges: Ranges) -> str:
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in ranges) or _("none")


def _size(size: int) -> str:
    return f"{size / 1024:.1f} KiB" if size < 1 << 20 else f"{size / (1 << 20):.1f} MiB"


def _echo(lines: Iterable[str]) -> None:
    for line in lines:
        click.echo(line)
