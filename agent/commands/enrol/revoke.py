"""`roadside enrol revoke`: a gateway that was stolen or taken down is let in nowhere any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.commands.enrol.places import authority_option, opened
from agent.enrolling.faults import WorkshopError
from agent.i18n import _, ngettext

if TYPE_CHECKING:
    from pathlib import Path


@click.command(help=_("Revoke all that the gateway ID has: its certificates, and claims that wait."))
@click.argument("gateway", metavar="ID")
@click.option(
    "--because", type=click.Choice(["stolen", "decommissioned"]), default="stolen", show_default=True,
    help=_("What the list of revoked certificates says."),
)  # fmt: skip
@authority_option
def command(gateway: str, because: str, authority: Path) -> int:
    """Revoke it."""
    office = opened(authority)
    from agent.enrolling.office import LIST

    try:
        count = office.revoke(gateway, because)
    except WorkshopError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or authority}: {error.strerror}") from None
    text = ngettext("{count} certificate is revoked.", "{count} certificates are revoked.", count)
    click.echo(text.format(count=count))
    click.echo(
        _("Copy {path} to each broker's crlfile, and restart the broker: a reload leaves open what is open.").format(
            path=authority / LIST
        )
    )
    return 0
