"""`roadside fleet`: the cards of many gateways in a row, with one key to write a card and one to leave it out."""

from __future__ import annotations

import fcntl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.commands.enrol.places import opened
from agent.enrolling import fleet
from agent.enrolling.faults import WorkshopError
from agent.enrolling.fleet import Answer
from agent.enrolling.manifest import ManifestError, read_manifest
from agent.flashing.medium import FlashError
from agent.host.clock import SystemClock
from agent.i18n import _

if TYPE_CHECKING:
    from agent.enrolling.manifest import Row
    from agent.enrolling.office import Office

REFUSED, NOT_ALL = 1, 2
WRITE, SKIP, END = "\r\n", "sS", "\x03\x04"
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    help=_(
        "Make the cards of all gateways in a list, one after the other: Enter writes the card in the reader, s leaves "
        "this gateway out, Ctrl-C ends; called again, it goes on. MANIFEST is a CSV file: gateway,config,label,serial"
    )
)
@click.argument("manifest", type=FILE, metavar="MANIFEST")
@click.option("--image", type=FILE, required=True, metavar="IMG", help=_("The image: .img, .img.xz or .img.zst."))
@click.option("--to", "target", type=click.Path(path_type=Path), required=True, metavar="DEVICE|DIR",
              help=_("The reader that the cards are put into, or a folder for their images."))  # fmt: skip
@click.option("--bundle", type=FILE, required=True, metavar="FILE", help=_("The release: from roadside bundle."))
@click.option("--root-keys", type=FILE, metavar="FILE", help=_("1.root.json: whose releases are trusted."))
@click.option("--ssh-key", type=FILE, metavar="FILE", help=_("Public SSH keys of who may come in."))
@click.option("--network", "networks", type=FILE, multiple=True, metavar="FILE",
              help=_("A profile of NetworkManager: Wi-Fi, a fixed address, a modem; may be repeated."))  # fmt: skip
@click.option("--country", default="", metavar="XX", help=_("Where its Wi-Fi is, such as TH or KR."))
@click.option("--authority", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
              help=_("The workshop's authority: makes each gateway a claim for its certificate."))  # fmt: skip
@click.option("--register", type=click.Path(path_type=Path), default=Path("cards.csv"), show_default=True,
              metavar="FILE", help=_("The register of cards: who is in it has one."))  # fmt: skip
@click.pass_context
def command(
    context: click.Context, manifest: Path, image: Path, target: Path, bundle: Path, root_keys: Path | None,
    ssh_key: Path | None, networks: tuple[Path, ...], country: str, authority: Path | None, register: Path,
) -> int:  # fmt: skip
    """Make them."""
    with manifest.open("rb") as alone:
        try:
            fcntl.flock(alone, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = _("{path}: its cards are being made already; a second reader wants a list of its own")
            raise click.ClickException(text.format(path=manifest)) from None
        order = Common(image, bundle, root_keys, ssh_key, networks, country)
        return _made(context, manifest, target, order, authority, register)


def _made(
    context: click.Context, manifest: Path, target: Path, order: Common, authority: Path | None, register: Path
) -> int:
    from agent.flashing.register import lines

    if not target.is_dir() and not target.is_relative_to("/dev"):  # all cards would go into one file
        text = _("{path} is no folder, and no reader, which is named as /dev/...")
        raise click.ClickException(text.format(path=target))
    office = opened(authority) if authority is not None else None
    try:
        rows = read_manifest(manifest, SystemClock().utc() / 1e9, order.country)
        done = {line.gateway for line in lines(register)}
        if office is not None:
            _check_enrolled([row for row in rows if row.gateway not in done], manifest, office)
    except ManifestError as error:
        click.echo(str(error), err=True)
        click.echo(_("No card was written."), err=True)
        return REFUSED
    except (WorkshopError, FlashError) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        raise click.ClickException(f"{error.filename or register}: {error.strerror}") from None
    bench = Bench(context, target, order, register, office)
    outcome = fleet.run(rows, done, bench)
    text = _("{made} made, {before} before, {skipped} left out, {left} still to do.")
    click.echo(text.format(
        made=len(outcome.made), before=len(outcome.done_before), skipped=len(outcome.skipped), left=len(outcome.left)
    ))  # fmt: skip
    for gateway in outcome.skipped:
        click.echo(_("left out: {gateway}").format(gateway=gateway))
    return NOT_ALL if outcome.skipped or outcome.left else 0


def _check_enrolled(rows: list[Row], manifest: Path, office: Office) -> None:
    """Find out before the first card whether one of the gateways exists; raises ManifestError."""
    now, standing = office.now(), office.standing()
    text = _("{path}:{line}: {gateway} is enrolled already; make its card by itself, with a claim that --replaces it")
    problems = [
        text.format(path=manifest, line=row.line, gateway=row.gateway)
        for row in rows
        if row.claim is None and standing.of(row.gateway, now)
    ]
    if problems:
        raise ManifestError(problems)


@dataclass(frozen=True, slots=True)
class Common:
    """What all cards of a list have."""

    image: Path
    bundle: Path
    root: Path | None
    keys: Path | None
    networks: tuple[Path, ...]
    country: str


@dataclass(frozen=True, slots=True)
class Bench:
    """Implements `agent.enrolling.fleet.Bench` with a terminal and `roadside flash`."""

    context: click.Context
    target: Path
    order: Common
    register: Path
    office: Office | None

    def ask(self, row: Row, number: int, count: int) -> Answer:
        """Show which gateway is next, and wait for one of three keys."""
        click.echo()
        text = _("Card {number} of {count}: {gateway}")
        click.echo(text.format(number=number, count=count, gateway=row.gateway))
        click.echo(_("Put its card into {target}.  [Enter] write it   [s] leave it out").format(target=self.target))
        while True:
            try:
                key = click.getchar()
            except (KeyboardInterrupt, EOFError):
                return Answer.END
            except OSError as error:
                text = _("there is no terminal at which a key could be pressed: {error}")
                raise click.ClickException(text.format(error=error.strerror)) from None
            for keys, answer in ((WRITE, Answer.WRITE), (SKIP, Answer.SKIP), (END, Answer.END)):
                if key and key in keys:
                    return answer

    def write(self, row: Row) -> bool:
        """Make its card."""
        from agent.commands import flash

        target = self.target / f"{row.gateway}.img" if self.target.is_dir() else self.target
        try:
            before = self._same_card(target)
        except (FlashError, OSError) as error:  # somebody has been at the register meanwhile
            click.echo(str(error), err=True)
            return False
        if before is not None:
            text = _("this is the card of {gateway}, which was made already: take another one")
            click.echo(text.format(gateway=before), err=True)
            return False
        with tempfile.TemporaryDirectory() as folder:
            try:
                claim = self._claim(row, Path(folder))
            except click.ClickException as error:
                error.show()
                return False
            status: int = self.context.invoke(
                flash.command, image=self.order.image, gateway=row.gateway, target=target, bundle=self.order.bundle,
                configuration=row.config, root=self.order.root, claim=claim, keys=self.order.keys, credentials={},
                networks=self.order.networks + ((row.network,) if row.network else ()), country=self.order.country,
                label=row.label or self.register.parent / f"{row.gateway}.svg", register=self.register, yes=True,
            )  # fmt: skip
        return status == 0

    def _claim(self, row: Row, folder: Path) -> Path | None:
        """Return a file with a claim, which makes the one before it void; raises ClickException."""
        if self.office is None or row.claim is not None:
            return row.claim
        path = folder / "claim"
        try:
            path.touch(mode=0o600)
            path.write_text(self.office.claim(row.gateway, replaces=False))
        except WorkshopError as error:  # somebody else uses the same authority meanwhile
            raise click.ClickException(str(error)) from None
        except OSError as error:
            raise click.ClickException(f"{error.filename or folder}: {error.strerror}") from None
        return path

    def _same_card(self, target: Path) -> str | None:
        """Return whose card is in the reader, as far as the reader tells cards apart; most USB readers do not."""
        from agent.flashing import devices
        from agent.flashing.register import lines

        disk = devices.find(target) if target.is_absolute() and target.is_relative_to("/dev") else None
        if disk is None or not disk.serial:
            return None
        return next((line.gateway for line in lines(self.register) if line.serial == disk.serial), None)
