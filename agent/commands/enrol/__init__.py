"""`roadside enrol`: a gateway gets its certificate and renews it; in the workshop, the service and who may enrol."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.commands import root_option
from agent.commands.enrol.places import authority_option, opened, say
from agent.commands.lazy import LazyGroup
from agent.enrolling.claims import ClaimError
from agent.enrolling.enrolment import enrol, is_due, renew
from agent.enrolling.faults import WorkshopError
from agent.enrolling.identity import Identity
from agent.enrolling.service_calls import RefusedError, UnreachableError
from agent.enrolling.shredding import shred
from agent.host.clock import SystemClock
from agent.host.environment import environment
from agent.host.owner import other_owner
from agent.host.paths import Paths
from agent.i18n import _
from drivers.contract import N_

if TYPE_CHECKING:
    from types import FrameType

COMMANDS = {
    "authority": N_("Make the workshop's certificate authority."),
    "broker": N_("Make a broker's certificate and key."),
    "claim": N_("Make the claim with which a gateway enrols, once."),
    "revoke": N_("Revoke all that a gateway has."),
    "list": N_("List the gateways and their certificates."),
}
CLAIM = "/etc/roadside/claim"
FOLDER = "identity"
LISTEN = "127.0.0.1:8443"
SECOND = 10**9
NOTHING, REFUSED, TRY_AGAIN = 0, 1, 75  # the last is EX_TEMPFAIL of sysexits(3)


def _address(ctx: click.Context, parameter: click.Parameter, value: str) -> tuple[str, int]:
    host, _colon, port = value.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 0xFFFF:
        raise click.BadParameter(_("write HOST:PORT, such as 127.0.0.1:8443"), ctx=ctx, param=parameter)
    return host.strip("[]"), int(port)


@click.group(
    cls=LazyGroup,
    package=__name__,
    table=COMMANDS,
    invoke_without_command=True,
    help=_(
        "On a gateway: get its certificate for the claim that came with the card, or the next one if two thirds of its "
        "life are over. In the workshop: run the service that gives them (--serve), and say who may have one."
    ),
)
@click.option(
    "--claim",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help=_("The claim; /etc/roadside/claim, below --root, unless given. It is shredded when it has been used."),
)
@root_option
@click.option("--serve", is_flag=True, help=_("Be the enrolment service."))
@click.option("--listen", callback=_address, default=LISTEN, show_default=True, metavar="HOST:PORT")
@authority_option
@click.pass_context
def command(
    context: click.Context, *, path: Path | None, root: Path, serve: bool, listen: tuple[str, int], authority: Path
) -> int:
    """Enrol, renew or serve; unless one of the subcommands is called."""
    if context.invoked_subcommand is not None:
        return NOTHING
    if serve:
        return _serve(authority, listen)
    paths = Paths(root, environment())
    owner = other_owner(paths.state)
    if owner is not None:
        text = _("{folder} belongs to the user {user}; as root: systemctl start roadside-enrol")
        click.echo(text.format(folder=paths.state, user=owner), err=True)
        return REFUSED
    try:
        return _enrol(Identity(paths.state / FOLDER), path or paths.under(CLAIM))
    except UnreachableError as error:
        click.echo(str(error), err=True)
        return TRY_AGAIN
    except (ClaimError, RefusedError) as error:
        click.echo(str(error), err=True)
    except OSError as error:
        click.echo(f"{error.filename or ''}: {error.strerror or error}".removeprefix(": "), err=True)
    return REFUSED


# --- on a gateway ----------------------------------------------------------------------------------------------------


def _enrol(identity: Identity, path: Path) -> int:
    try:
        token = path.read_text("utf-8", "replace").strip()
    except FileNotFoundError:
        return _renew(identity)
    try:
        enrolled = enrol(identity, token)
    except ImportError as error:
        raise click.ClickException(_("{error}: install Debian's python3-cryptography").format(error=error)) from None
    say(_("This gateway has its certificate.") if enrolled else _("This gateway had its certificate already."))
    try:
        shred(path)
    except PermissionError:
        click.echo(_("the claim is used, and could not be removed: sudo rm {path}").format(path=path), err=True)
    return NOTHING


def _renew(identity: Identity) -> int:
    enrolment = identity.current()
    if enrolment is None:
        click.echo(_("this gateway has neither a certificate nor a claim; have the workshop make one"), err=True)
        return REFUSED
    try:
        now = SystemClock().utc() / SECOND
        if not is_due(enrolment, now):
            return NOTHING
        renew(enrolment, now)
    except ValueError:
        text = _("{path}: there is no certificate in it; have the workshop make a new claim")
        click.echo(text.format(path=enrolment.chain), err=True)
        return REFUSED
    say(_("The certificate is renewed."))
    return NOTHING


# --- in the workshop -------------------------------------------------------------------------------------------------


def _serve(folder: Path, address: tuple[str, int]) -> int:
    office = opened(folder)
    from urllib.parse import urlsplit

    from agent.enrolling.service import Service

    names = [urlsplit(office.authority.url).hostname or "localhost"]
    try:
        service = Service(office, address, names, say)
    except WorkshopError as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        if error.filename is not None:
            raise click.ClickException(f"{error.filename}: {error.strerror}") from None
        text = _("nobody can listen at {host}:{port}: {why}")
        raise click.ClickException(text.format(host=address[0], port=address[1], why=error.strerror)) from None
    signal.signal(signal.SIGTERM, _end)
    with service:
        say(
            _("Enrolling gateways at {url}, listening at {host}:{port}; the fingerprint is {fingerprint}").format(
                url=office.authority.url, host=address[0], port=address[1], fingerprint=office.authority.fingerprint
            )
        )
        service.serve_forever()
    return NOTHING


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit(NOTHING)
