"""`roadside decommission`: a gateway that is taken down for good keeps neither keys nor readings."""

from __future__ import annotations

import os  # noqa: TID251 - only root may do this
import subprocess
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.commands import root_option
from agent.commands.journal.places import FOLDER
from agent.enrolling.shredding import shred, shred_below
from agent.host.environment import environment
from agent.host.lock import TakenError, held
from agent.host.paths import Paths
from agent.i18n import _, ngettext

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUSED, BUSY = 1, 75  # the second is EX_TEMPFAIL of sysexits(3)
NOT_ALL = 2  # of `roadside journal export`: some cannot be read
UNITS = ("roadside.service", "roadside-enrol.timer", "roadside-enrol.service", "roadside-trial.timer")
SETTINGS, BOOT = "/etc/roadside", "/boot/firmware/roadside"
NETWORKS = "/etc/NetworkManager/system-connections"  # what the card has brought there begins with `roadside-`


@click.command(
    help=_(
        "Take this gateway down for good: stop the agent, write its readings to FILE, then shred its keys, its "
        "passwords, its configuration and its journal."
    )
)
@click.option(
    "--export", "out", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE",
    help=_("Where its readings go first: a new file on another disk."),
)  # fmt: skip
@click.option("--no-export", is_flag=True, help=_("Its readings are thrown away, too."))
@click.option("--yes", is_flag=True, help=_("Do not ask."))
@root_option
def command(out: Path | None, root: Path, *, no_export: bool, yes: bool) -> int:
    """Wipe it."""
    if (out is None) is not no_export:
        raise click.UsageError(_("say with --export FILE where its readings go, or --no-export"))
    here = root == Path("/")
    if here and os.geteuid():
        click.echo(_("only root can do this: sudo roadside decommission"), err=True)
        return REFUSED
    # Who has mistyped it must not take a card for one that was wiped.
    if not any((root / name).is_dir() for name in ("etc", "var")):
        click.echo(_("{path} is no root partition of a gateway").format(path=root), err=True)
        return REFUSED
    paths = Paths(root, environment())
    gateway, journal = _described(paths.under(SETTINGS) / "gateway.toml")
    folders = [paths.under(BOOT), paths.state / "identity", paths.under(SETTINGS), paths.under(journal), paths.state]
    folders.append(paths.runtime)
    if out is not None and any(out.resolve().is_relative_to(folder.resolve()) for folder in folders):
        raise click.BadParameter(_("that folder is going to be wiped; write to another disk"), param_hint="--export")
    if not yes:
        text = _("The keys and readings of {gateway} are going to be gone for good. Go on?")
        click.confirm(text.format(gateway=gateway or _("this gateway")), abort=True)
    try:
        _stop(root, here=here)
        with held(paths.runtime):  # nothing is wiped under a running agent
            if out is not None and not _exported(out, root):
                click.echo(_("its readings could not be written, so nothing is wiped"), err=True)
                return REFUSED
            count = sum(_wiped(folders, paths))
    except TakenError as error:
        text = _("the agent is running (process {process}): stop it first: sudo systemctl stop roadside")
        click.echo(text.format(process=error.process), err=True)
        return BUSY
    except OSError as error:
        text = _("{path}: {error}; not all is wiped: call it again")
        click.echo(text.format(path=error.filename or root, error=error.strerror), err=True)
        return REFUSED
    click.echo(ngettext("{count} file is shredded.", "{count} files are shredded.", count).format(count=count))
    text = _(
        "A card keeps old cells where no program reaches them: whoever must be sure destroys the card. In the workshop "
        "now: roadside enrol revoke {gateway} --because decommissioned"
    )
    click.echo(text.format(gateway=gateway or "ID"))
    return 0


def _described(path: Path) -> tuple[str, str]:
    """Return the id and the journal's folder in a configuration, be it valid or not; the id is empty if unknown."""
    gateway, journal = "", FOLDER
    try:
        said = tomllib.loads(path.read_text("utf-8-sig"))
        gateway = str(said["gateway"]["id"])
        journal = str(said["journal"]["folder"])
    except (OSError, ValueError, LookupError, TypeError):
        pass  # what is wiped is told by the folders alone
    return gateway, journal


def _stop(root: Path, *, here: bool) -> None:
    """Stop the agent, and have it not start again; on a card in another machine, only the latter."""
    for unit in UNITS:  # one that is not there does not keep the others
        where = ["--now"] if here else ["--root", str(root)]
        subprocess.run(["systemctl", "disable", *where, unit], capture_output=True, check=False)


def _exported(out: Path, root: Path) -> bool:
    from agent.commands.journal import export

    status = export.command.main(["--out", str(out), "--root", str(root)], standalone_mode=False)
    return status in {0, NOT_ALL}


def _wiped(folders: list[Path], paths: Paths) -> Iterator[int]:
    """Shred secrets first: whatever cuts this short has cost the least."""
    for path in [paths.under(SETTINGS) / "claim", *paths.under(NETWORKS).glob("roadside-*")]:
        if path.exists():
            shred(path)
            yield 1
    for folder in folders:
        yield shred_below(folder)
