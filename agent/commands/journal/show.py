"""`roadside journal show`: what is there, and what waits for which uplink."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.commands.journal.places import Places, damage, echo, numbers_of, places_options, size_of
from agent.commands.status import table
from agent.i18n import _, ngettext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.journal.inspect import Inspection, SeenFile


@click.command(help=_("Show what is there, and what waits for which uplink."))
@places_options
def command(places: Places) -> int:
    """Show it."""
    found = places.look()
    click.echo(_("gateway: {gateway}").format(gateway=places.name(found)))
    for title, folder, files in ((_("card"), places.card, found.card), (_("young end"), places.young, found.young)):
        if folder is not None:
            size = size_of(sum(file.size for file in files))
            count = ngettext("{count} file", "{count} files", len(files)).format(count=len(files))
            click.echo(f"{title}: {folder}, {count}, {size}")
            echo(table([_file(file) for file in files]))
    for line in _streams(found):
        click.echo(line)
    kept = ", ".join(sorted(found.state.kept)) if found.state else ""
    click.echo(_("kept values: {names}").format(names=kept or _("none")))
    echo(damage(found))
    return 0


def _file(file: SeenFile) -> list[str]:
    held = [f"{stream.value} {numbers_of(ranges)}" for (_epoch, stream), ranges in file.spans.items()]
    return ["  " + file.name, size_of(file.size), ", ".join(held)]


def _streams(found: Inspection) -> Iterator[str]:
    for epoch in found.epochs:
        yield _("epoch {epoch}").format(epoch=epoch)
        rows = []
        for key in found.numbered():
            if key[0] == epoch:
                waiting = [
                    _("{count} wait for {uplink}").format(count=found.waiting(one, key), uplink=one)
                    for one in found.uplinks()
                ]
                numbers = _("numbers 1-{last}").format(last=found.last(key))
                here = _("here: {numbers}").format(numbers=numbers_of(found.present[key]))
                rows.append(["  " + key[1].value, numbers, here, ", ".join(waiting)])
        yield from table(rows)
