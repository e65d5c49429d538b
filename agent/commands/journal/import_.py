"""`roadside journal import`: what a broken gateway had still to deliver goes up from its replacement."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent import logs
from agent.commands import refuse, root_option
from agent.commands.journal.places import DEFAULT, FOLDER, damage, looked_into, numbers_of, on_card, size_of, unreadable
from agent.host.archive import Archive
from agent.host.clock import SystemClock
from agent.host.disk import Folder
from agent.host.environment import environment
from agent.host.lock import TakenError, held
from agent.host.owner import other_owner
from agent.host.paths import Paths
from agent.host.random import SystemRandom
from agent.i18n import _, ngettext
from agent.journal.importing import CarryingError, Import
from agent.journal.inspect import SEGMENT, YOUNG, look
from agent.journal.journal import Journal
from agent.journal.status import Fault
from agent.readings import Stream

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.config.model import Config
    from agent.host.disk import ReadOnlyFolder
    from agent.journal.importing import Cargo
    from agent.journal.inspect import Inspection
    from agent.readings import LedgerEntry

REFUSED = 1
NOT_ALL = 2
ALREADY_RUNNING = 75  # EX_TEMPFAIL of sysexits(3): it can be done once the agent has been stopped
COMMIT_WITHIN = 60.0  # seconds: a card may stall, and nobody waits for a watchdog here


@dataclass(slots=True)
class Source:
    """The old journal, and what was found in it."""

    card: ReadOnlyFolder | None
    found: Inspection


@click.command(
    help=_(
        "Bring what a broken gateway had still to send to its replacement, this machine. SOURCE is the old journal's "
        "folder, the mounted card that it is on, or a tar archive of either; it is only read."
    )
)
@click.argument("source", type=click.Path(exists=True, path_type=Path), metavar="SOURCE")
@click.option(
    "--young",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help=_("The folder of its young end, if that could be saved."),
)
@click.option(
    "--config",
    "path",
    type=click.Path(path_type=Path),
    help=_("The configuration of this gateway; /etc/roadside/gateway.toml, below --root, unless given."),
)
@root_option
def command(source: Path, young: Path | None, path: Path | None, root: Path) -> int:
    """Bring it."""
    from agent.config.load import load
    from agent.config.problems import ConfigError

    paths = Paths(root, environment())
    try:
        config = load(path or paths.under(DEFAULT))
    except ConfigError as error:
        return refuse(error)
    card = paths.under(config.journal.folder)
    old = _source(source, young, into=card)
    _check_gateway(old.found, config)
    owner = other_owner(card)
    if owner is not None:
        text = _("{folder} belongs to the user {user}: run this as that user: sudo -u {user} roadside journal import")
        raise click.ClickException(text.format(folder=card, user=owner))
    with ExitStack() as locks:
        for folder in (paths.runtime, paths.state):
            try:
                locks.enter_context(held(folder))
            except TakenError as error:
                text = _("the agent is running (process {process}): stop it first: sudo systemctl stop roadside")
                click.echo(text.format(process=error.process), err=True)
                return ALREADY_RUNNING
            except OSError:  # /run/roadside is systemd's to make; no agent holds what cannot be written
                continue
        return asyncio.run(_import(old, config, paths))


# --- what is brought -----------------------------------------------------------------------------------------------


def _source(path: Path, young: Path | None, *, into: Path) -> Source:
    """Find the journal in a folder, on a card or in an archive; raises ClickException."""
    try:
        if path.is_dir():
            path, young = on_card(path, young)
            if into.exists() and path.samefile(into):
                raise click.ClickException(_("{folder} is the journal of this gateway itself").format(folder=path))
            card, new = looked_into(path), looked_into(young)
        elif not path.is_file():  # a device may have no end
            raise click.ClickException(_("{path}: is neither a folder nor a file").format(path=path))
        else:
            card = Archive(path, SEGMENT)
            new = looked_into(young) if young is not None else Archive(path, YOUNG)
        found = look(new, card)
    except OSError as error:
        raise unreadable(error, path) from None
    if not found.card and not found.young:
        text = _("{path}: no journal is here; it is in the folder {folder} of the old card")
        raise click.ClickException(text.format(path=path, folder=FOLDER.lstrip("/")))
    if any(file.unknown for file in (*found.card, *found.young)):
        raise click.ClickException(_("{path}: a newer roadside wrote this: bring this machine up to date first").format(
            path=path
        ))  # fmt: skip
    return Source(card, found)


def _check_gateway(found: Inspection, config: Config) -> None:
    """Refuse the journal of another gateway: its readings would go up under a name that they do not have."""
    whose = found.gateway
    if whose is None:
        click.echo(_("the journal does not say which gateway it is of; it goes up as {gateway}").format(
            gateway=config.gateway.id
        ), err=True)  # fmt: skip
    elif whose != config.gateway.id:
        text = _(
            "this is the journal of the gateway {old}, and this one is {new}: its readings would go up under a wrong "
            "name. Give the replacement the id of the gateway it replaces, or take the readings out with "
            "roadside journal export"
        )
        raise click.ClickException(text.format(old=whose, new=config.gateway.id))


# --- bringing it ---------------------------------------------------------------------------------------------------


async def _import(old: Source, config: Config, paths: Paths) -> int:
    card = Folder(paths.under(config.journal.folder))
    journal = Journal(
        young=Folder(paths.runtime / "young"),
        card=card,
        clock=SystemClock(paths.root),
        random=SystemRandom(),
        uplinks=list(config.uplinks),
        limits=config.journal,
        log=logs.get("journal"),
    )
    try:
        faults = journal.status().faults
        if Fault.CARD.value in faults:
            raise CarryingError(faults[Fault.CARD.value])
        journal.keep("gateway", config.gateway.id)
        if old.found.identity == journal.identify() or journal.status().epoch in old.found.epochs:
            raise click.ClickException(
                _(
                    "this is a copy of the journal of this gateway itself: what is in it has gone up, is here, or is "
                    "in the ledger. If you know better, take the readings out with roadside journal export"
                )
            )
        work = Import(journal, list(config.uplinks), old.found, old.card)
        cargo = work.plan()
        _check_room(cargo, journal.status().card_bytes, card.free(), config)
        _say_uplinks(old.found, config)
        for line in damage(old.found):
            click.echo(line, err=True)
        await work.carry()
        names = {f"{kind}/{device}" for kind in ("driver", "refine") for device in config.devices}
        for line in _losses(work.finish(names)):
            click.echo(line, err=True)
    except (CarryingError, OSError) as error:
        text = _("{folder}: the card cannot be written: {error}. What has been brought stays; repeat the command")
        click.echo(text.format(folder=card.path, error=error), err=True)
        return REFUSED
    finally:
        await journal.close(COMMIT_WITHIN)
    if Fault.CARD.value in (faults := journal.status().faults):
        raise click.ClickException(_("the last commit failed ({error}); repeat the command").format(
            error=faults[Fault.CARD.value]
        ))  # fmt: skip
    unread = [file for file in (*old.found.card, *old.found.young) if file.unreadable]
    if unread:
        text = _("files that could not be read: {count}. What is in them has not been brought; keep the old card")
        click.echo(text.format(count=len(unread)), err=True)
    if any(cargo.numbers.values()) or not unread:
        click.echo(_summary(cargo))
    return NOT_ALL if unread else 0


def _losses(entries: Iterable[LedgerEntry]) -> Iterator[str]:
    """Yield what will never come, as the ledger says it too; nothing of what was stopped in order."""
    ends: dict[tuple[str, str], list[str]] = {}
    for entry in entries:
        if entry.kind == "lost" and entry.why != "restart":
            ends.setdefault((entry.epoch, entry.why), []).append(f"{entry.stream} {entry.first - 1}")
        elif entry.kind == "damaged":
            text = _("epoch {epoch}: damaged, and will not come unless a better copy is brought: {stream} {numbers}")
            which = numbers_of([(entry.first, entry.last)])
            yield text.format(epoch=entry.epoch, stream=entry.stream, numbers=which)
    for (epoch, why), numbers in ends.items():
        text = _("epoch {epoch}: the power took what came after {numbers}")
        if why == "damaged":
            text = _("epoch {epoch}: the end of the journal is damaged; what came after {numbers} is not known")
        yield text.format(epoch=epoch, numbers=", ".join(numbers))


def _check_room(cargo: Cargo, used: int, free: int, config: Config) -> None:
    """Refuse what would make the agent give up its oldest readings at once."""
    room = min(config.journal.limit - used, free - config.journal.reserve)
    if cargo.bytes > room:
        text = _(
            "there is no room: {needed} are to be brought, and {room} are left. Raise 'limit' under [journal] in the "
            "configuration, or free space on the card"
        )
        raise click.ClickException(text.format(needed=size_of(cargo.bytes), room=size_of(max(room, 0))))


def _say_uplinks(found: Inspection, config: Config) -> None:
    """Say which uplinks are not the same here as they were there."""
    if found.state is None:
        return
    for uplink in found.uplinks():
        waiting = sum(found.waiting(uplink, key) for key in found.numbered())
        if uplink not in config.uplinks and waiting:
            text = _("the uplink {uplink} is not in this configuration: what waits for it there is not sent ({count})")
            click.echo(text.format(uplink=uplink, count=waiting), err=True)
    for uplink in config.uplinks:
        if uplink not in found.uplinks():
            text = _("the uplink {uplink} is new here: it gets everything that is brought")
            click.echo(text.format(uplink=uplink), err=True)


def _summary(cargo: Cargo) -> str:
    count = cargo.count(Stream.TELEMETRY, Stream.ALARM)
    if not any(cargo.numbers.values()):
        return _("nothing to bring: all of it is here, or has been sent")
    readings = ngettext("{count} reading", "{count} readings", count).format(count=count)
    return _("{readings} brought ({size}); they go up when the agent runs: sudo systemctl start roadside").format(
        readings=readings, size=size_of(cargo.bytes)
    )
