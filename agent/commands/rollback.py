"""`roadside rollback`: back to the release that ran before."""

from __future__ import annotations

import os  # noqa: TID251 - only root may do this
import subprocess

import click

from agent.commands.update import SWITCH
from agent.i18n import _

REFUSED = 1


@click.command(help=_("Go back to the release that ran before, or end a trial."))
def command() -> int:
    """Switch back."""
    if os.geteuid():
        click.echo(_("only root can switch releases: sudo roadside rollback"), err=True)
        return REFUSED
    return subprocess.run([SWITCH, "--restart", "back"], check=False).returncode
