"""`roadside journal verify`: every record, and that none is missing."""

from __future__ import annotations

import click

from agent.commands.journal.places import Places, damage, echo, numbers_of, places_options
from agent.i18n import _

DAMAGED = 2


@click.command(help=_("Check every record, and that none is missing; exit status 2 if any is."))
@places_options
def command(places: Places) -> int:
    """Check it."""
    found = places.look(thorough=True)
    echo(damage(found))
    for key in found.numbered():
        text = _("{stream} (epoch {epoch}): {count} of {last} are here, missing: {numbers}")
        missing = numbers_of(found.missing(key))
        count = found.present[key].count()
        click.echo(text.format(stream=key[1].value, epoch=key[0], count=count, last=found.last(key), numbers=missing))
    click.echo(_("nothing is damaged or missing") if found.is_whole() else _("something is damaged or missing"))
    return 0 if found.is_whole() else DAMAGED
