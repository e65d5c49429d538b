"""`roadside flash`: makes the card of a gateway, and the label and the line in the register that belong to it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.commands import pairs, refuse
from agent.host.clock import SystemClock
from agent.i18n import _

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.flashing.card import Made, Plan
    from agent.flashing.devices import Disk

REFUSED = 1
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
TO = click.Path(path_type=Path)


@click.command(
    help=_(
        "Make the card of a gateway: write an image of Raspberry Pi OS, read it back, and put on it all that the "
        "gateway needs to install itself at its first start, without a network."
    )
)
@click.option("--image", type=FILE, required=True, metavar="IMG", help=_("The image: .img, .img.xz or .img.zst."))
@click.option("--gateway", required=True, metavar="ID", help=_("The id of the gateway."))
@click.option("--to", "target", type=TO, required=True, metavar="DEVICE|FILE", help=_("The card, or a file for it."))
@click.option("--bundle", type=FILE, required=True, metavar="FILE", help=_("The release: from roadside bundle."))
@click.option("--config", "configuration", type=FILE, metavar="FILE", help=_("Its configuration; else ID.toml."))
@click.option("--root-keys", "root", type=FILE, metavar="FILE", help=_("1.root.json: whose releases are trusted."))
@click.option("--claim", type=FILE, metavar="FILE", help=_("The claim for its certificate: from roadside enrol claim."))
@click.option("--ssh-key", "keys", type=FILE, metavar="FILE", help=_("Public SSH keys of who may come in."))
@click.option("--credential", "credentials", multiple=True, metavar="NAME=FILE", callback=pairs,
              help=_("A secret of the configuration, such as password=FILE; may be repeated."))  # fmt: skip
@click.option("--network", "networks", type=FILE, multiple=True, metavar="FILE",
              help=_("A profile of NetworkManager: Wi-Fi, a fixed address, a modem; may be repeated."))  # fmt: skip
@click.option("--country", default="", metavar="XX", help=_("Where its Wi-Fi is, such as TH or KR."))
@click.option("--label", type=TO, metavar="FILE", help=_("The label: .svg, .pdf or .png; else ID.svg."))
@click.option("--register", type=TO, default="cards.csv", metavar="FILE", help=_("The register of cards."))
@click.option("--yes", is_flag=True, help=_("Do not ask before the card is erased."))
def command(
    image: Path, gateway: str, target: Path, bundle: Path, configuration: Path | None, root: Path | None,
    claim: Path | None, keys: Path | None, credentials: Mapping[str, str], networks: tuple[Path, ...], country: str,
    label: Path | None, register: Path, *, yes: bool,
) -> int:  # fmt: skip
    """Make one card."""
    from agent.config.problems import ConfigError
    from agent.flashing import label as labels
    from agent.flashing.card import Order, prepare
    from agent.flashing.medium import FlashError

    label = label or Path(f"{gateway}.svg")
    try:
        order = Order(
            gateway=gateway, image=image, bundle=bundle, configuration=configuration or Path(f"{gateway}.toml"),
            root=root, claim=claim.read_text("ascii") if claim else None, keys=keys,
            credentials={name: Path(path).read_bytes() for name, path in credentials.items()},
            networks=networks, country=country,
        )  # fmt: skip
        _keep(target, [image, bundle, order.configuration, root, claim, keys, register, *networks])
        plan = prepare(order, SystemClock().utc() / 1e9)
        disk = _disk(target)
        if reason := labels.why_not(label):
            raise FlashError(reason)
        if not register.parent.is_dir():
            raise FlashError(_("{path}: there is no such folder").format(path=register.parent))
        drawn = labels.made(plan.config.gateway, label)
        _show(plan, target, disk, register)
        if not yes:
            click.confirm(_("Erase it and write the card of {gateway}?").format(gateway=gateway), abort=True)
        if disk != _disk(target):
            raise FlashError(_("{path} is another card now; begin again").format(path=target))
        begun = SystemClock().boottime()
        made = _make(plan, target)
        seconds = round((SystemClock().boottime() - begun) / 1e9)
        try:
            _enter(plan, made, disk, target, register, seconds)
            label.write_bytes(drawn)
        except OSError as error:
            text = _("{path}: {error}. The card is finished; it lacks its line in the register, or its label")
            raise FlashError(text.format(path=error.filename or label, error=error.strerror)) from error
    except ConfigError as error:
        return refuse(error)
    except (FlashError, UnicodeError) as error:
        click.echo(str(error), err=True)
        return REFUSED
    except PermissionError as error:
        text = _("{path} may be written to by root alone: put sudo before the command")
        click.echo(text.format(path=error.filename or target), err=True)
        return REFUSED
    except OSError as error:
        click.echo(_("{path}: {error}").format(path=error.filename or target, error=error.strerror), err=True)
        return REFUSED
    click.echo(_("{path} is the card of {gateway}, and was read back. Its label: {label}").format(
        path=target, gateway=gateway, label=label))  # fmt: skip
    return 0


def _keep(target: Path, files: list[Path | None]) -> None:
    """Raise FlashError if what is to be written to is one of the files that the card is made of."""
    from agent.flashing.medium import FlashError

    for file in files:
        if file is not None and target.exists() and file.exists() and target.samefile(file):
            raise FlashError(_("{path} is what the card is made of: name another file for it").format(path=file))


def _disk(target: Path) -> Disk | None:
    """Return the disk that is meant, or None for a plain file; raises FlashError for what must not be written to."""
    from agent.flashing import devices
    from agent.flashing.medium import FlashError

    if not target.is_absolute() or not target.is_relative_to("/dev"):
        if target.exists() and not target.is_file():
            raise FlashError(_("{path} is no plain file; a card is named as /dev/...").format(path=target))
        return None
    disk = devices.find(target)
    if disk is None:
        if (whole := devices.whole_of(target)) is not None:
            text = _("{path} is a part of {whole}; a card is written whole: --to {whole}")
            raise FlashError(text.format(path=target, whole=whole.path))
        cards = [f"{one.path} ({devices.described(one)})" for one in devices.disks() if not devices.objection(one)]
        choice = ", ".join(cards) or _("none")
        raise FlashError(_("there is no {path}; the cards here are: {cards}").format(path=target, cards=choice))
    if reason := devices.objection(disk):
        raise FlashError(reason)
    return disk


def _show(plan: Plan, target: Path, disk: Disk | None, register: Path) -> None:
    """Say what is going to be erased, and what comes in its place."""
    from agent.flashing import devices
    from agent.flashing import register as cards
    from agent.flashing.identity import with_check

    if disk is not None:
        click.echo(_("All of {path} is erased: {what}").format(path=target, what=devices.described(disk)))
    elif target.exists():
        click.echo(_("All of the file {path} is erased: {size} bytes").format(path=target, size=target.stat().st_size))
    about = _("Card of {gateway}: Raspberry Pi OS {target}, Roadside {release}")
    click.echo(about.format(gateway=with_check(plan.order.gateway), target=plan.image.target, release=plan.release))
    if plan.order.root is None:
        click.echo(_("Without --root-keys this gateway takes no updates: it does not know whose."))
    before = [line for line in cards.lines(register) if line.gateway == plan.order.gateway]
    if before:
        text = _("{gateway} has a card already, made at {made}: two gateways with one id do not work")
        click.echo(text.format(gateway=plan.order.gateway, made=before[-1].made))


def _make(plan: Plan, target: Path) -> Made:
    from agent.flashing.card import make
    from agent.flashing.medium import Card
    from agent.flashing.meter import Meter
    from agent.flashing.writing import is_unfinished

    terminal = sys.stderr.isatty()

    def say(line: str, stays: bool) -> None:
        click.echo(f"\r\x1b[K{line}" if terminal else line, nl=stays, err=True)

    clock = SystemClock()
    meter = Meter(lambda: clock.boottime() / 1e9, say, terminal=terminal)
    with Card(target) as medium:
        try:
            return make(plan, medium, meter, datetime.fromtimestamp(clock.utc() / 1e9, UTC))
        except BaseException:  # also whoever presses Ctrl-C is told
            if is_unfinished(medium):
                click.echo("\n" * terminal + _("The card is unfinished, and marked so: flash it again."), err=True)
            raise


def _enter(plan: Plan, made: Made, disk: Disk | None, target: Path, register: Path, seconds: int) -> None:
    from agent.flashing import register as cards
    from agent.flashing.identity import check_character

    cards.add(
        register,
        cards.Line(
            made=datetime.fromtimestamp(SystemClock().utc() / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            gateway=plan.order.gateway,
            check=check_character(plan.order.gateway),
            image=plan.order.image.name,
            image_sha256=made.image_sha256,
            release=f"{plan.release} {plan.image.target}",
            configuration_sha256=made.configuration_sha256,
            card=disk.model if disk else str(target),
            serial=disk.serial if disk else "",
            size=disk.size if disk else target.stat().st_size,
            seconds=seconds,
        ),
    )
