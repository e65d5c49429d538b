"""The `roadside` command; every subcommand is a file in agent/commands, imported only when it is called."""

from __future__ import annotations

import errno
import gettext
import io
import os  # noqa: TID251 - this is the process's own edge: its environment and its standard output
import sys
from typing import Any

import click

from agent import VERSION, i18n
from agent.commands.lazy import LazyGroup
from agent.i18n import _
from drivers.contract import N_

UNWRITTEN = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
INTERRUPTED = 130  # what a shell reports after Ctrl-C: 128 + SIGINT

COMMANDS = {
    "run": N_("Run the agent."),
    "check": N_("Check a configuration without running it."),
    "status": N_("Ask the running agent how it is."),
    "doctor": N_("Find what is wrong with a gateway or its card, and mend it."),
    "support": N_("Pack what the workshop needs to know, without secrets."),
    "watch": N_("Show live what devices measure, and the bytes on their lines."),
    "probe": N_("Find out what is at the serial ports."),
    "commission": N_("Walk through the mounted cabinet, and send a report."),
    "configure": N_("Try another configuration."),
    "safe": N_("Switch all outputs off after the agent has ended."),
    "update": N_("Install a later release, and try it."),
    "rollback": N_("Go back to the release that ran before."),
    "enrol": N_("Get this gateway's certificate, or give certificates."),
    "decommission": N_("Take this gateway down for good; no key is left on it."),
    "journal": N_("Look into the readings that are kept on a card."),
    "drivers": N_("List what can be connected, with its settings."),
    "decode": N_("Decode recorded bytes of a device to lines of JSON."),
    "schema": N_("Print the JSON Schema of the configuration."),
    "listen": N_("Show what gateways publish."),
    "demo": N_("Run a whole cabinet on this machine."),
    "bundle": N_("Make a release for gateways, and the keys that sign it."),
    "flash": N_("Make the card of a gateway, on a workstation."),
    "fleet": N_("Make the cards of many gateways in a row."),
}


def command_line() -> click.Group:
    """Return the `roadside` command, speaking the language that is installed now."""

    @click.group(
        cls=LazyGroup,
        package="agent.commands",
        table=COMMANDS,
        help=_("The agent on a roadside gateway: reads sensors, keeps their readings and sends them on."),
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    @click.version_option(VERSION, prog_name="roadside")
    def roadside() -> None:
        """Only the subcommands do something."""

    return roadside


def main() -> None:
    """Run the command line as this process, in the language of its locale."""
    language = i18n.language(os.environ)
    i18n.install(language)
    os.environ["LANGUAGE"] = language  # click's own words, and whatever we start, follow
    gettext.bindtextdomain(i18n.DOMAIN, i18n.FOLDER)  # click's own words go through the standard library's domain
    gettext.textdomain(i18n.DOMAIN)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal without Thai letters is no reason to fail
    try:
        status = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whatever is left has no reader
        status = 1
    except OSError as error:
        if error.filename is not None or error.errno not in UNWRITTEN:
            raise  # of something else than standard output: a defect
        click.echo(
            _("what is said cannot be written: {error}").format(error=i18n.retold(error.strerror or str(error))),
            err=True,
        )
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except KeyboardInterrupt:
        status = INTERRUPTED
    sys.exit(status)


def _run() -> int:
    try:
        status: Any = command_line().main(prog_name="roadside", standalone_mode=False)
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return status if isinstance(status, int) else 0
