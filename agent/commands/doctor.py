"""`roadside doctor`: says what is wrong with this gateway, or with its card, why it matters, and what mends it."""

from __future__ import annotations

import json
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.commands import root_option
from agent.config.problems import printable
from agent.host.environment import environment
from agent.host.paths import Paths
from agent.i18n import _, ngettext, pad, speaking, width
from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agent.doctor.examine import Mended
    from agent.doctor.finding import Finding
    from agent.doctor.site import Site

HELP = _(
    "Look at this gateway, or with --card at its card in another computer: what is wrong, why that matters, and the"
    " command that mends it. Exit status: 0 all is well, 1 a warning, 2 an error."
)
MARKS = {"fine": N_("ok"), "unknown": N_("unknown"), "warning": N_("warning"), "error": N_("error")}
COLOURS = {"fine": "green", "unknown": "bright_black", "warning": "yellow", "error": "red"}
SUBJECTS = {
    "power": N_("Supply"),
    "card": N_("Card"),
    "systemd": N_("Service"),
    "serial": N_("Serial ports"),
    "gpio": N_("GPIO pins"),
    "clock": N_("Clock"),
    "network": N_("Network and broker"),
    "agent": N_("Agent"),
}
NO_CARD = 64  # EX_USAGE of sysexits(3)


@click.command(help=HELP)
@root_option
@click.option(
    "--card",
    "cards",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help=_("A mounted partition of a card; may be given twice, for boot and root."),
)
@click.option("--config", "path", type=click.Path(path_type=Path), help=_("Another configuration than the gateway's."))
@click.option("--fix", is_flag=True, help=_("Show the commands that are safe, then run them, and look again."))
@click.option("--json", "as_json", is_flag=True, help=_("Print everything, for machines."))
def command(root: Path, cards: tuple[Path, ...], path: Path | None, fix: bool, as_json: bool) -> int:
    """Examine, and mend what may be mended."""
    from agent.doctor.examine import examine, mend, safe
    from agent.doctor.finding import exit_status
    from agent.doctor.opening import NoCardError

    with speaking("en") if as_json else nullcontext():
        try:
            found = list(examine(site_of(root, cards, path)))
        except NoCardError as error:
            click.echo(str(error), err=True)
            return NO_CARD
        if fix and (commands := safe(found)):
            echo([_("These commands are run now:"), *(f"  $ {one}" for one in commands)], err=as_json)
            done = list(mend(site_of(root, cards, path), commands))
            echo([*map(outcome, done), ""], err=as_json)
            found = list(examine(site_of(root, cards, path)))
    if as_json:
        document = {"exit_status": exit_status(found), "findings": [one.document() for one in found]}
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    else:
        echo([*lines(found), "", summary(found)])
    return exit_status(found)


def site_of(root: Path, cards: Sequence[Path], path: Path | None) -> Site:
    """Return what is to be looked at; raises NoCardError."""
    from agent.doctor import opening

    return opening.card(cards, path) if cards else opening.gateway(Paths(root, environment()), path)


def lines(found: Iterable[Finding]) -> Iterator[str]:
    """Yield what was found; below what is not fine stands why it matters and what mends it."""
    cells = max(width(_(mark)) for mark in MARKS.values())
    margin = " " * (cells + 4)
    last = ""
    told: set[tuple[str, str]] = set()
    for one in found:
        if (subject := one.name.partition(".")[0]) != last:
            if last:
                yield ""
            yield click.style(_(SUBJECTS[subject]), bold=True)
            last = subject
        if (subject, one.what) in told:  # such as that systemd does not answer, for whatever it was asked
            continue
        told.add((subject, one.what))
        mark = click.style(pad(_(MARKS[one.severity]), cells), fg=COLOURS[one.severity])
        yield f"  {mark}  {printable(one.what)}"
        if one.severity != "fine":
            if one.severity != "unknown":
                yield margin + _("why: {text}").format(text=one.why)
            if one.advice:
                yield margin + printable(one.advice)
            yield from (f"{margin}$ {each}" for each in one.commands)


def summary(found: Sequence[Finding]) -> str:
    """Return how much there is to do."""
    errors, warnings = (sum(one.severity == which for one in found) for which in ("error", "warning"))
    if not errors and not warnings:
        return _("Nothing is wrong that could be looked at.")
    return ", ".join(
        (
            ngettext("{count} error", "{count} errors", errors).format(count=errors),
            ngettext("{count} warning", "{count} warnings", warnings).format(count=warnings),
        )
    )


def outcome(done: Mended) -> str:
    """Return what came of a command."""
    if not done.error:
        return _("done: {command}").format(command=done.command)
    return _("failed: {command}: {error}").format(command=done.command, error=printable(done.error))


def echo(text: Iterable[str], *, err: bool = False) -> None:
    """Print lines."""
    for line in text:
        click.echo(line, err=err)
