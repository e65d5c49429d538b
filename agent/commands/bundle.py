"""`roadside bundle`: makes a release of a checkout for one kind of gateway, and the keys that sign releases."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.i18n import _
from agent.updating import lock
from agent.updating.bundle import BundleError, commit_moment, make, uncommitted
from agent.updating.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable

REFUSED = 1
DAYS = 365.0
MOST_DAYS = 20 * 365.0  # as long as the root key's own metadata lasts
FOLDER = click.Path(file_okay=False, path_type=Path)


def _project(function: Callable[..., int]) -> Callable[..., int]:
    return click.option(
        "--project", type=FOLDER, default=Path(), metavar="DIR", help=_("The checkout; this folder unless given.")
    )(function)


@click.group(
    invoke_without_command=True,
    help=_("Make a release of a checkout: one file with all that a gateway needs, without a network."),
)
@click.option("--for", "name", type=click.Choice(list(TARGETS)), help=_("The kind of gateway."))
@click.option("--key", "keys", type=FOLDER, metavar="DIR", help=_("Sign it with the keys in this folder."))
@click.option("--wheels", type=FOLDER, metavar="DIR", help=_("Take the wheels from here; else pip gets them."))
@click.option("--debs", type=FOLDER, metavar="DIR", help=_("Bring the Debian packages in there, too."))
@click.option("--days", type=click.FloatRange(1, MOST_DAYS), default=DAYS, help=_("For how long it may be installed."))
@click.option(
    "--date",
    type=int,
    metavar="SECONDS",
    help=_("When it is signed, in seconds since 1970; else when the commit was made."),
)
@click.option("--to", "path", type=click.Path(dir_okay=False, path_type=Path), help=_("The file to write."))
@_project
@click.pass_context
def command(
    context: click.Context, *, name: str | None, keys: Path | None, wheels: Path | None, debs: Path | None,
    days: float, date: int | None, path: Path | None, project: Path,
) -> int:  # fmt: skip
    """Make one release."""
    if context.invoked_subcommand is not None:
        return 0
    if name is None or path is None:
        raise click.UsageError(_("say with --for what it is for, and with --to which file to write"))
    try:
        if date is None and uncommitted(project):
            click.echo(_("This checkout has changes that are in no commit: they are in the release, too."), err=True)
        moment = commit_moment(project) if date is None else date
        data = make(project, TARGETS[name], moment, wheels=wheels, keys=keys, days=days, packages=debs)
        path.write_bytes(data)
    except ImportError as error:
        return _refuse(_('{error}: run pip install ".[bundle]" -c constraints.txt in the checkout').format(error=error))
    except (BundleError, OSError, ValueError) as error:
        return _refuse(str(error))
    click.echo(f"{hashlib.sha256(data).hexdigest()}  {path}")
    if keys is None:
        click.echo(_("It is not signed: it serves to make a card, and no gateway takes it as an update."), err=True)
    return 0


@command.command("keys", help=_("Make the keys in a new folder DIR, or replace one of them."))
@click.argument("folder", type=FOLDER, metavar="DIR")
@click.option("--replace", type=click.Choice(["root", "release"]), multiple=True, help=_("The key to be replaced."))
def make_keys(folder: Path, replace: tuple[str, ...]) -> int:
    """Make or replace keys."""
    try:
        from agent.updating import signing
    except ImportError as error:
        return _refuse(_('{error}: run pip install ".[bundle]" -c constraints.txt in the checkout').format(error=error))
    try:
        path = signing.make_keys(folder, datetime.now(UTC), rotate=frozenset(f"{one}.pem" for one in replace))
    except (signing.KeysError, OSError) as error:
        return _refuse(str(error))
    click.echo(str(path))
    return 0


@command.command("lock", help=_("Get every wheel for every kind of gateway, and write down their digests."))
@_project
def make_lock(project: Path) -> int:
    """Write the lock."""
    try:
        text = lock.make((project / "constraints.txt").read_text())
    except (lock.FetchError, OSError, KeyError) as error:
        return _refuse(str(error))
    (project / lock.NAME).write_text(text)
    return 0


def _refuse(text: str) -> int:
    click.echo(text, err=True)
    return REFUSED
