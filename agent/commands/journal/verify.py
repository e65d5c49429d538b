"""`roadside journal verify`: every record, and that none is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from agent.commands.journal.places import Places, damage, echo, numbers_of, places_options
from agent.i18n import _

if TYPE_CHECKING:
    from agent.journal.inspect import Inspection
    from agent.journal.state import Key

DAMAGED = 2


@click.command(help=_("Check every record, and that none is missing; exit status 2 if any is."))
@places_options
def command(places: Places) -> int:
    """Check it."""
    found = places.look(thorough=True)
    echo(damage(found))
    for key in found.numbered():
        click.echo(_account(found, key))
    click.echo(_("nothing is damaged or missing") if found.is_whole() else _("something is damaged or missing"))
    return 0 if found.is_whole() else DAMAGED


def _account(found: Inspection, key: Key) -> str:
    """Return where the numbers of an epoch and stream are that were given out."""
    here, missing, given_up = found.present[key], found.missing(key), found.given_up(key)
    rest = found.last(key) - here.count() - missing.count() - given_up.count()
    parts = [_("{count} here").format(count=here.count()), _("{count} delivered earlier").format(count=rest)]
    if given_up:
        parts.append(_("given up, as the ledger says: {numbers}").format(numbers=numbers_of(given_up)))
    parts.append(_("missing: {numbers}").format(numbers=numbers_of(missing)))
    text = _("{stream} (epoch {epoch}), numbers 1-{last}: {parts}")
    return text.format(stream=key[1].value, epoch=key[0], last=found.last(key), parts=", ".join(parts))
