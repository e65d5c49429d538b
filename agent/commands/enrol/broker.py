"""`roadside enrol broker`: a certificate by which gateways know a broker."""

from __future__ import annotations

from pathlib import Path

import click

from agent.commands.enrol.places import authority_option, opened
from agent.enrolling.faults import WorkshopError
from agent.host.disk import whole_file
from agent.i18n import _


@click.command(help=_("Make a certificate and its key for the broker that gateways call by these names."))
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option(
    "--to", "folder", type=click.Path(file_okay=False, path_type=Path), default=Path(), metavar="DIR",
    help=_("Where to put broker.pem and broker.key; this folder unless given."),
)  # fmt: skip
@authority_option
def command(names: tuple[str, ...], folder: Path, authority: Path) -> int:
    """Make them."""
    office = opened(authority)
    from agent.enrolling.authority import server_pair

    try:
        pair = server_pair(office.authority, names, office.now())
        for name, text in zip(("broker.pem", "broker.key"), pair, strict=True):
            with whole_file(folder / name, encoding="ascii") as file:
                file.write(text)
    except WorkshopError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or folder}: {error.strerror}") from None
    return 0
