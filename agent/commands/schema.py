"""`roadside schema`: the JSON Schema of the configuration, for editors and for programs that write configurations."""

from __future__ import annotations

import json

import click

from agent.i18n import _


@click.command(help=_("Print the JSON Schema (2020-12) of the configuration, with the settings of every driver."))
def command() -> None:
    """Print it."""
    from agent.config.schema import schema

    click.echo(json.dumps(schema(), ensure_ascii=False, indent=2))
