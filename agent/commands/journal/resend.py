"""`roadside journal resend`: has the running agent send again what an uplink has had."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import click

from agent.commands import root_option
from agent.commands.journal.places import numbers_of
from agent.control import SOCKET, ControlError, ask
from agent.host.environment import environment
from agent.host.paths import Paths
from agent.i18n import _, ngettext

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOT_ASKED = 1
GONE = 2


def _numbers(ctx: click.Context, parameter: click.Parameter, value: str | None) -> list[int] | None:
    """Return the first and the last number."""
    if value is None:
        return None
    match = re.fullmatch(r"([0-9]{1,18})(?:-([0-9]{1,18}))?", value)
    if match is None:
        raise click.BadParameter(_("write numbers such as 1200 or 1200-1300"), ctx=ctx, param=parameter)
    return [int(match[1]), int(match[2] or match[1])]


@click.command(help=_("Have the running agent send again what it still has; exit status 2 if some of it is gone."))
@click.option("--uplink", required=True, metavar="NAME", help=_("The uplink whose receiver lost something."))
@click.option("--since", type=click.FloatRange(0, 1e6), metavar="MIN", help=_("What was made in the last minutes."))
@click.option("--numbers", callback=_numbers, metavar="FIRST-LAST", help=_("What has these numbers."))
@click.option(
    "--stream", type=click.Choice(["telemetry", "alarm", "anchor", "ledger"]), default="telemetry", show_default=True,
    help=_("Which numbers are meant."),
)  # fmt: skip
@click.option("--epoch", default="", metavar="EPOCH", help=_("Which numbers are meant; those of now unless given."))
@root_option
def command(uplink: str, since: float | None, numbers: list[int] | None, stream: str, epoch: str, root: Path) -> int:
    """Ask for it, and print what comes of it."""
    if since is not None and numbers is not None:
        raise click.UsageError(_("use either --since or --numbers, not both"))
    if numbers is None and (epoch or stream != "telemetry"):
        raise click.UsageError(_("--stream and --epoch say which --numbers are meant: give those too"))
    request: dict[str, Any] = {"do": "resend", "uplink": uplink}
    if since is not None:
        request["since"] = since * 60
    if numbers is not None:
        request |= {"numbers": numbers, "stream": stream, "epoch": epoch}
    try:
        answer = asyncio.run(ask(Paths(root, environment()).runtime / SOCKET, request))
    except ControlError as error:
        click.echo(str(error), err=True)
        return NOT_ASKED
    for line in lines(answer):
        click.echo(line)
    return GONE if answer["gone"] or answer.get("never") else 0


def lines(answer: dict[str, Any]) -> Iterator[str]:
    """Yield the answer as lines that a person reads."""
    count, waiting = answer["readings"], answer.get("waiting", 0)
    text = ngettext("{count} reading goes up again, as history", "{count} readings go up again, as history", count)
    yield text.format(count=count)
    if waiting:
        text = ngettext(
            "{count} reading waits to go up for the first time; nothing has to be done for it",
            "{count} readings wait to go up for the first time; nothing has to be done for them",
            waiting,
        )
        yield text.format(count=waiting)
    texts = {
        "gone": _("not here any more: {stream} {numbers} of epoch {epoch}"),
        "never": _("never used so far: {stream} {numbers} of epoch {epoch}"),
    }
    for kind, text in texts.items():
        for one in answer.get(kind, ()):
            numbers = numbers_of([(one["first"], one["last"])])
            yield text.format(stream=one["stream"], numbers=numbers, epoch=one["epoch"])
