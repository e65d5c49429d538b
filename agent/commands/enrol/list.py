"""`roadside enrol list`: who is enrolled, until when, and which claims wait."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from agent.commands.enrol.places import authority_option, opened
from agent.enrolling.faults import WorkshopError
from agent.i18n import _

if TYPE_CHECKING:
    from pathlib import Path

    from agent.enrolling.ledger import Standing


@click.command(help=_("List the gateways, until when they are enrolled, and which claims wait."))
@click.option("--json", "as_json", is_flag=True, help=_("One object a gateway, for machines."))
@authority_option
def command(authority: Path, *, as_json: bool) -> int:
    """List them."""
    office = opened(authority)
    try:
        rows = list(_rows(office.standing(), office.now()))
    except WorkshopError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or authority}: {error.strerror}") from None
    for row in rows:
        click.echo(json.dumps(row) if as_json else _line(row))
    return 0


def _rows(standing: Standing, now: float) -> list[dict[str, Any]]:
    names = {one.gateway for one in standing.claims.values()}  # every certificate began with a claim
    rows: list[dict[str, Any]] = []
    for name in sorted(names):
        having = standing.of(name, now)
        revoked = [one for one in standing.certificates.values() if one.gateway == name and one.revoked is not None]
        waiting = [
            one.until
            for one in standing.claims.values()
            if one.gateway == name and not one.void and not one.used_by and now < one.until
        ]
        rows.append(
            {
                "gateway": name,
                "enrolled_until": max((one.until for one in having), default=None),
                "claim_until": max(waiting, default=None),
                "revoked": sorted({one.reason for one in revoked}),
            }
        )
    return rows


def _line(row: dict[str, Any]) -> str:
    said = []
    if row["enrolled_until"] is not None:
        said.append(_("enrolled until {day}").format(day=_day(row["enrolled_until"])))
    if row["claim_until"] is not None:
        said.append(_("a claim waits until {day}").format(day=_day(row["claim_until"])))
    if row["revoked"]:
        said.append(_("revoked: {reasons}").format(reasons=", ".join(row["revoked"])))
    return f"{row['gateway']}  " + ("; ".join(said) or _("nothing"))


def _day(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d}"
