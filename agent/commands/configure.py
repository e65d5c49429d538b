"""`roadside configure`: has the running agent try another configuration, which comes to nothing if it does not work."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from agent.commands import INVALID_CONFIGURATION, root_option
from agent.config.trying import MINUTES, MOST_MINUTES
from agent.control import SOCKET, ControlError, ask
from agent.host.environment import environment
from agent.host.paths import Paths
from agent.i18n import _, retold

REFUSED = 1


@click.command(
    help=_(
        "Have the running agent try the configuration in FILE. It stays if the agent samples, stores and delivers with "
        "it; else the one before comes back by itself, also after a power cut."
    )
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@click.option(
    "--minutes",
    type=click.FloatRange(0, MOST_MINUTES),
    default=MINUTES,
    help=_("How long it has to prove itself."),
)
@root_option
def command(file: Path, minutes: float, root: Path) -> int:
    """Try a configuration."""
    try:
        request = {"do": "configure", "toml": file.read_text("utf-8-sig"), "minutes": minutes}
        answer = asyncio.run(ask(Paths(root, environment()).runtime / SOCKET, request))
    except (ControlError, OSError, UnicodeDecodeError) as error:
        click.echo(str(error), err=True)
        return REFUSED
    if problems := answer.get("problems"):
        for problem in problems:
            click.echo(retold(str(problem)).replace("gateway.toml", str(file), 1), err=True)
        return INVALID_CONFIGURATION
    click.echo(
        _("It is being tried for {minutes:g} min; `roadside status` tells what becomes of it.").format(minutes=minutes)
    )
    return 0
