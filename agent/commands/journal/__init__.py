"""`roadside journal`: what is done with the readings that are kept; one file a subcommand."""

from __future__ import annotations

import click

from agent.commands.lazy import LazyGroup
from agent.i18n import _
from drivers.contract import N_

COMMANDS = {
    "show": N_("Show what is there, and what waits for which uplink."),
    "verify": N_("Check every record, and that none is missing; exit status 2 if any is."),
    "export": N_("Write out all readings that are there, each once; exit status 2 if some cannot be read."),
    "import": N_("Bring what a broken gateway had still to send to its replacement."),
    "resend": N_("Have the running agent send again what it still has; exit status 2 if some of it is gone."),
}


@click.group(
    cls=LazyGroup,
    package=__name__,
    table=COMMANDS,
    help=_("Look into the readings that are kept, here or on a card that was carried; bring them to another gateway."),
)
def command() -> None:
    """Only the subcommands do something."""
