"""`roadside support`: one file for the workshop, without secrets."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click

from agent.commands import root_option
from agent.commands.doctor import NO_CARD, echo, lines, site_of, summary
from agent.host.disk import Folder
from agent.i18n import _, retold

HELP = _(
    "Pack logs, health, the ledger, the configuration without secrets and what the doctor says into one file for the"
    " workshop; says what is in it and what was left out."
)


@click.command(help=HELP)
@root_option
@click.option(
    "--card",
    "cards",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help=_("A mounted partition of a card; may be given twice, for boot and root."),
)
@click.option("--config", "path", type=click.Path(path_type=Path), help=_("Another configuration than the gateway's."))
@click.option(
    "--to", "file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help=_("Write to this new file.")
)
def command(root: Path, cards: tuple[Path, ...], path: Path | None, file: Path | None) -> int:
    """Pack it."""
    from agent.doctor.examine import examine
    from agent.doctor.opening import NoCardError
    from agent.doctor.support import SECOND, pack

    try:
        site = site_of(root, cards, path)
    except NoCardError as error:
        click.echo(str(error), err=True)
        return NO_CARD
    found = list(examine(site))
    package = pack(site, found, [*map(click.unstyle, lines(found)), "", summary(found)])
    gateway = site.config.gateway.id if site.config else "gateway"
    now = datetime.fromtimestamp(site.clock.utc() // SECOND, UTC)
    to = file or Path(f"support-{gateway}-{now:%Y%m%dT%H%M%SZ}.tar.xz")
    if to.exists():
        raise click.ClickException(_("{file}: exists already").format(file=to))
    try:
        Folder(to.absolute().parent).replace(to.name, package.data)
    except OSError as error:
        text = _("{file}: cannot be written: {error}").format(file=to, error=retold(error.strerror or str(error)))
        raise click.ClickException(text) from None
    echo([*package.contents, "", _("{file} is written: send it to the workshop").format(file=to)])
    return 0
