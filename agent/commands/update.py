"""`roadside update`: checks a release, puts it in place beside the present one, and has it tried."""

from __future__ import annotations

import os  # noqa: TID251 - only root may do this, and a release is opened without following a link
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from agent import i18n
from agent.host.clock import SystemClock
from agent.host.environment import environment
from agent.host.lock import TakenError, held
from agent.i18n import _
from agent.updating import confined, targets
from agent.updating.install import InstallError, Releases

if TYPE_CHECKING:
    from collections.abc import Iterator

BASE = Path("/opt/roadside")
SWITCH = BASE / "roadside-switch"
ROOT = Path("/etc/roadside/update/root.json")
FLOORS = (  # files whose times of change are no later than now
    Path("/var/lib/systemd/timesync/clock"),
    Path("/var/lib/chrony/chrony.drift"),
    Path("/usr/lib/clock-epoch"),
)
LOCKED = Path("/run/roadside-update")
REFUSED = 1
BUSY = 75  # EX_TEMPFAIL of sysexits(3)


@click.command(
    help=_(
        "Install a release from a FILE or a URL, beside the present one, and try it: if it does not sample, store and "
        "deliver within its minutes, the present one comes back by itself."
    )
)
@click.argument("source", metavar="FILE|URL")
@click.option("--minutes", type=click.FloatRange(min=0), default=10.0, help=_("How long it has to prove itself."))
def command(source: str, minutes: float) -> int:
    """Update this gateway."""
    if os.geteuid():
        click.echo(_("only root can install a release: sudo roadside update {source}").format(source=source), err=True)
        return REFUSED
    try:
        LOCKED.mkdir(mode=0o700, exist_ok=True)
        with held(LOCKED):
            return _update(source, minutes)
    except TakenError as error:
        click.echo(_("another update is going on (process {process})").format(process=error.process), err=True)
        return BUSY
    except (confined.ConfinedError, InstallError) as error:
        text = _("{source} is not installed, and nothing has changed: {reason}")
        click.echo(text.format(source=source, reason=error), err=True)
    except OSError as error:
        click.echo(_("{source} is not installed: {reason}").format(source=source, reason=error), err=True)
    return REFUSED


def _update(source: str, minutes: float) -> int:
    target = targets.here()
    if target is None:
        raise InstallError(_("no release is made for this machine, or for its version of Python"))
    if not ROOT.is_file():
        raise InstallError(_("{path} is missing: nobody has said whose releases are trusted").format(path=ROOT))
    releases = Releases(BASE)
    language = i18n.language(environment())
    if SystemClock().synchronised() is None:
        click.echo(
            _("The clock is not synchronised: whether the signature has expired is judged by the latest time known.")
        )
    floor = max((int(path.stat().st_mtime) for path in FLOORS if path.exists()), default=0)
    about = [
        "--root",
        str(ROOT),
        "--target",
        str(target),
        "--above",
        _numbered(releases.present),
        "--floor",
        str(floor),
    ]
    click.echo(_("Checking who signed it ..."))
    online = source.startswith(("https://", "http://"))
    checking = confined.command(online=online, language=language) + about
    if online:
        checked = confined.ask([*checking, "--url", source], None)
        path = confined.STATE / confined.FETCHED
    else:
        path = Path(source)
        with _opened(path) as file:
            checked = confined.ask(checking, file)
    click.echo(_("Installing {version} ...").format(version=checked.version))
    with _opened(path) as file:
        folder = releases.install(checked, file)
    if online:
        path.unlink(missing_ok=True)
    if releases.other_units(folder):
        click.echo(
            _("It has other systemd units; after its trial, put them in place with: {path}").format(
                path=folder / "systemd/install.sh"
            )
        )
    status = subprocess.run(
        [SWITCH, "--restart", "try", checked.version, "--minutes", f"{minutes:g}"], check=False
    ).returncode
    for version in releases.prune():
        click.echo(_("Removed the old release {version}.").format(version=version))
    return status


def _numbered(version: str) -> str:
    """Return a version that can be compared; whatever else runs is older than any release."""
    try:
        targets.order(version)
    except ValueError:
        return ""
    return version


@contextmanager
def _opened(path: Path) -> Iterator[IO[bytes]]:
    with open(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as file:
        yield file
