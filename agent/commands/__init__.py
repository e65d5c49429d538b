"""The subcommands of `roadside`, one a file, and what several of them share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from agent.i18n import _, retold

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config.problems import ConfigError

INVALID_CONFIGURATION = 78  # EX_CONFIG of sysexits(3)

F = TypeVar("F", bound="Callable[..., Any]")


def root_option(function: F) -> F:
    """Add `--root DIR` as the argument `root`."""
    return click.option(
        "--root",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("/"),
        metavar="DIR",
        help=_("Look for every absolute path below this folder."),
    )(function)


def set_option(function: F) -> F:
    """Add `--set KEY=VALUE`, which may be repeated, as the argument `overrides`: a dictionary."""
    return click.option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        callback=pairs,
        help=_("Put a value over what the file says, such as uplinks.city.url=mqtt://127.0.0.1:1883"),
    )(function)


def refuse(error: ConfigError) -> int:
    """Print all that is wrong with a configuration; returns the exit status."""
    for problem in error.problems:
        click.echo(str(replace(problem, text=retold(problem.text))), err=True)
        if problem.excerpt:
            click.echo(problem.excerpt, err=True)
    return INVALID_CONFIGURATION


def pairs(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Return the values of a repeated option KEY=VALUE as a dictionary: a callback of click's."""
    given = {}
    for value in values:
        key, equals, rest = value.partition("=")
        if not equals:
            raise click.BadParameter(_("write KEY=VALUE"), ctx=ctx, param=parameter)
        given[key.strip()] = rest
    return given
