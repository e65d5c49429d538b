"""Where a journal is, what is in it, and the words in which the subcommands say so."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from stat import S_ISDIR
from typing import TYPE_CHECKING, Any

import click

from agent.commands import refuse, root_option
from agent.host.disk import ReadOnlyFolder
from agent.host.environment import environment
from agent.host.paths import Paths
from agent.i18n import _, retold
from agent.journal.inspect import look

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from agent.config.model import Config
    from agent.journal.inspect import Inspection

DEFAULT = "/etc/roadside/gateway.toml"
LAST_GOOD = "last-good.toml"
FOLDER = "/var/lib/roadside/journal"
UNKNOWN = "unknown"  # the gateway, if neither a configuration nor the journal says which it is


@dataclass(slots=True)
class Places:
    """Where a journal is, and whose."""

    card: Path
    young: Path | None
    gateway: str | None  # as the configuration says; the journal itself may know better than nobody

    def disks(self) -> tuple[ReadOnlyFolder | None, ReadOnlyFolder | None]:
        """Return the young end and the card, as far as they are there."""
        return looked_into(self.young), looked_into(self.card)

    def name(self, found: Inspection) -> str:
        """Return the gateway whose journal it is."""
        return self.gateway or found.gateway or UNKNOWN

    def look(self, *, thorough: bool = False) -> Inspection:
        """Return what is there; raises ClickException if there is nothing, or it cannot be read."""
        try:
            found = look(*self.disks(), thorough=thorough)
        except OSError as error:
            raise unreadable(error, self.card) from None
        if not found.young and not found.card:
            text = _("{folder}: no journal is here; name its folder with --folder").format(folder=self.card)
            raise click.ClickException(text)
        return found


def places_options(function: Callable[..., int]) -> Callable[..., int]:
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
            config = configuration(paths, path, guess=folder is None)
        except ConfigError as error:
            return refuse(error)
        if folder is not None:
            folder, young = on_card(folder, young)
        else:
            folder = paths.under(config.journal.folder if config else FOLDER)
            young = young or paths.runtime / "young"
        return function(Places(folder, young, config.gateway.id if config else None), **rest)

    return call


def configuration(paths: Paths, path: Path | None, *, guess: bool) -> Config | None:
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


def on_card(folder: Path, young: Path | None) -> tuple[Path, Path | None]:
    """Return the journal's folder and that of its young end, also where a whole card is named."""
    journal = folder / FOLDER.lstrip("/")
    with suppress(OSError):  # whatever cannot be entered is told when it is read
        if journal.is_dir():
            return journal, young or folder / "run/roadside/young"
    return folder, young


def looked_into(folder: Path | None) -> ReadOnlyFolder | None:
    """Return a folder to be read, or None if there is none; raises OSError where that cannot be told."""
    try:
        is_folder = folder is not None and S_ISDIR(folder.stat().st_mode)  # `is_dir` differs among Pythons
    except (FileNotFoundError, NotADirectoryError):
        return None
    return ReadOnlyFolder(folder) if folder is not None and is_folder else None


def unreadable(error: OSError, path: Path) -> click.ClickException:
    """Return what is said of a folder or file that cannot be read."""
    if isinstance(error, PermissionError):
        text = _("{path}: not permitted: read it with sudo")
        return click.ClickException(text.format(path=error.filename or path))
    text = _("{path}: cannot be read: {error}")
    return click.ClickException(text.format(path=error.filename or path, error=retold(error.strerror or str(error))))


# --- words ---------------------------------------------------------------------------------------------------------


def damage(found: Inspection) -> Iterator[str]:
    """Yield a line for each damage."""
    for file in (*found.card, *found.young):
        for one in file.damaged:
            text = _("{file}: damaged: {size} bytes at {offset}")
            yield text.format(file=file.name, size=one.size, offset=one.offset)
        for pack in file.unsound:
            text = _("{file}: damaged: {stream} {numbers}")
            yield text.format(file=file.name, stream=pack.stream.value, numbers=f"{pack.first}-{pack.last}")
        if file.unknown:
            text = _("{file}: {count} records are of a kind that this version does not know: use a newer roadside")
            yield text.format(file=file.name, count=file.unknown)
        if file.unreadable:
            yield _("{file}: cannot be read: {error}").format(file=file.name, error=retold(file.unreadable))
        if file.cut:
            text = _("{file}: the last {size} bytes are no whole record: written now, or cut off with the power")
            yield text.format(file=file.name, size=file.cut)


def numbers_of(ranges: Iterable[tuple[int, int]]) -> str:
    """Return numbers as a technician reads them."""
    return ", ".join(f"{first}-{last}" if last > first else str(first) for first, last in ranges) or _("none")


def size_of(size: int) -> str:
    """Return a size in bytes as a technician reads it."""
    return f"{size / 1024:.1f} KiB" if size < 1 << 20 else f"{size / (1 << 20):.1f} MiB"


def echo(lines: Iterable[str]) -> None:
    """Print lines."""
    for line in lines:
        click.echo(line)
