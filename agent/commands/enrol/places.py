"""What the workshop's subcommands share: where the authority is, and how it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from agent.enrolling.faults import WorkshopError
from agent.host.clock import SystemClock
from agent.i18n import _

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.enrolling.office import Office

SECOND = 10**9
F = TypeVar("F", bound="Callable[..., Any]")


def authority_option(function: F) -> F:
    """Add `--authority DIR` as the argument `authority`."""
    return click.option(
        "--authority",
        type=click.Path(file_okay=False, path_type=Path),
        default=Path("authority"),
        show_default=True,
        metavar="DIR",
        help=_("The folder of the workshop's authority."),
    )(function)


def opened(folder: Path) -> Office:
    """Return whoever signs in the name of the authority in a folder; raises ClickException."""
    try:
        from agent.enrolling.authority import Authority
        from agent.enrolling.office import Office
    except ImportError as error:
        raise click.ClickException(
            _('{error}: run pip install ".[enrol]" -c constraints.txt in the checkout').format(error=error)
        ) from None
    clock = SystemClock()
    try:
        return Office(Authority.open(folder), lambda: clock.utc() / SECOND)
    except WorkshopError as error:
        raise click.ClickException(str(error)) from None


def say(text: str) -> None:
    """Print a line at once: a log may be what reads it."""
    click.echo(text)
