"""`roadside enrol claim`: lets one gateway enrol, once."""

from __future__ import annotations

from pathlib import Path

import click

from agent.commands.enrol.places import authority_option, opened
from agent.enrolling.faults import WorkshopError
from agent.host.disk import whole_file
from agent.i18n import _


@click.command(help=_("Make the claim with which the gateway ID enrols, once; it goes with its card."))
@click.argument("gateway", metavar="ID")
@click.option("--replaces", is_flag=True, help=_("It takes the place of the one that has this id now."))
@click.option("--days", type=click.FloatRange(min=0.001), default=30.0, show_default=True, help=_("How long it waits."))
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help=_("Write to a new file."))
@authority_option
def command(gateway: str, days: float, to: Path | None, authority: Path, *, replaces: bool) -> int:
    """Make it."""
    office = opened(authority)
    try:
        token = office.claim(gateway, replaces=replaces, days=days)
        if to is None:
            click.echo(token)
            return 0
        with whole_file(to, encoding="ascii") as file:
            file.write(token + "\n")
    except WorkshopError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or authority}: {error.strerror}") from None
    return 0
