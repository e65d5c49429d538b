"""`roadside demo`: a whole cabinet on this machine: the real agent, and simulated far ends of its wires."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.host.environment import environment
from agent.i18n import _

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.console import Console, Group

    from hil.audit import Account
    from hil.demo import Demo

FAILED = 1  # something was lost, doubled or misdated
UNABLE = 2
INTERRUPTED = 130  # what a shell reports after Ctrl-C: 128 + SIGINT
WITHOUT_TERMINAL = 30.0  # seconds
EXAMPLE = Path(__file__).parents[1] / "example" / "gateway.toml"


@click.command(help=_("Run a whole cabinet on this machine, and account for every measurement at the end."))
@click.option("--for", "length", type=click.FloatRange(min=1), metavar="SECONDS", help=_("End by itself."))
@click.option("--outage", metavar="START:LENGTH", help=_("Cut the link for a while."))
@click.option("--kill", type=click.FloatRange(min=0), metavar="AT", help=_("SIGKILL the agent and start it again."))
@click.option("--broker", metavar="URL", help=_("Use this broker, such as mqtt://127.0.0.1:1883."))
@click.option("--seed", type=int, help=_("Repeat a run: the values and the pace of the devices."))
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE", help=_("Draw the last view as SVG."))
def command(
    length: float | None,
    outage: str | None,
    kill: float | None,
    broker: str | None,
    seed: int | None,
    picture: Path | None,
) -> int:
    """Play the demo."""
    try:
        from hil.broker import BrokerError
        from hil.demo import Demo, DemoError, Plan
    except ModuleNotFoundError as error:
        click.echo(_("the demo needs {name}; install it with: make demo").format(name=error.name), err=True)
        return UNABLE
    from rich.console import Console

    console = Console(record=picture is not None)
    if length is None and not console.is_terminal:
        length = WITHOUT_TERMINAL
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    if picture is not None and not picture.parent.is_dir():
        raise click.BadParameter(_("there is no folder {folder}").format(folder=picture.parent), param_hint="--picture")
    if length is not None and ((kill or 0) >= length or (_outage(outage) or (0.0, 0.0))[0] >= length):
        raise click.BadParameter(_("ends before what it is to show has begun"), param_hint="--for")
    plan = Plan(length=length, outage=_outage(outage), kill=kill, seed=seed)
    with _interrupts() as early, tempfile.TemporaryDirectory(prefix="roadside-demo-") as folder:
        console.print(_("seed {seed}; Ctrl-C ends it").format(seed=seed), highlight=False)
        demo = Demo(plan, Path(folder), _agent, broker=_broker(broker), environment=environment())
        try:
            account = asyncio.run(_play(demo, console, picture, early))
        except asyncio.CancelledError:
            return INTERRUPTED
        except (DemoError, BrokerError, TimeoutError, OSError) as error:
            click.echo(str(error), err=True)
            return UNABLE
    _print(account, console)
    return 0 if account.clean else FAILED


def _agent(root: Path, url: str) -> Sequence[str]:
    """Return the command that systemd uses, with the shipped example, its paths and its broker moved."""
    run = [sys.executable, "-m", "agent", "run", "--config", str(EXAMPLE), "--root", str(root)]
    return [*run, "--set", f"uplinks.city.url={url}"]


def _outage(text: str | None) -> tuple[float, float] | None:
    if text is None:
        return None
    start, colon, length = text.partition(":")
    with contextlib.suppress(ValueError):
        if colon and float(start) >= 0 and float(length) > 0:
            return float(start), float(length)
    raise click.BadParameter(_("write START:LENGTH in seconds, such as 10:10"), param_hint="--outage")


def _broker(url: str | None) -> str | None:
    if url is None:
        return None
    from urllib.parse import urlsplit

    with contextlib.suppress(ValueError):
        parts = urlsplit(url)
        if parts.scheme == "mqtt" and parts.hostname:
            return f"mqtt://{parts.hostname}:{parts.port or 1883}"
    raise click.BadParameter(_("must be an address such as mqtt://127.0.0.1:1883"), param_hint="--broker")


@contextlib.contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Note a Ctrl-C that comes before the loop is there to hear it: it would leave half-made things behind."""
    early: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: early.append(number))
    try:
        yield early
    finally:
        signal.signal(signal.SIGINT, before)


async def _play(demo: Demo, console: Console, picture: Path | None, early: Sequence[int]) -> Account:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    playing = asyncio.current_task()

    def interrupt() -> None:
        if stop.is_set() and playing is not None:
            playing.cancel()  # asked twice: without the account
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, interrupt)
    if early:
        stop.set()
    with _live(console) if console.is_terminal else _lines(console) as show:
        views: list[Group] = []
        account = await demo.run(stop, show if picture is None else _keeping(show, views))
    if picture is not None and views:
        _draw(views[-1], picture)
    return account


@contextlib.contextmanager
def _live(console: Console) -> Iterator[Callable[[Demo], None]]:
    from rich.live import Live

    from hil.view import picture

    with Live(console=console, auto_refresh=False) as live:
        yield lambda demo: live.update(picture(demo), refresh=True)


@contextlib.contextmanager
def _lines(console: Console) -> Iterator[Callable[[Demo], None]]:
    from hil.view import plain

    told = -1

    def show(demo: Demo) -> None:
        nonlocal told
        second = int(demo.scene.elapsed)
        if second > told:
            told = second
            console.print(plain(demo), highlight=False, soft_wrap=True)

    yield show


def _keeping(show: Callable[[Demo], None], views: list[Group]) -> Callable[[Demo], None]:
    """Return what shows, and keeps the last view before the end."""
    from hil.view import picture

    def show_and_keep(demo: Demo) -> None:
        show(demo)
        if not demo.scene.ending:
            views[:] = [picture(demo)]

    return show_and_keep


def _draw(view: Group, path: Path) -> None:
    from rich._export_format import CONSOLE_SVG_FORMAT
    from rich.console import Console

    with open("/dev/null", "w", encoding="utf-8") as nowhere:
        console = Console(record=True, width=118, force_terminal=True, file=nowhere)
        console.print(view)
    fonts = re.compile(r"@font-face \{\{.*?\}\}", re.DOTALL)  # from a server: the viewer's own will do
    console.save_svg(str(path), title="roadside demo", code_format=fonts.sub("", CONSOLE_SVG_FORMAT))


def _print(account: Account, console: Console) -> None:
    from hil.view import summary

    console.print(summary(account))
    for title, found in ((_("lost"), account.lost), (_("doubled"), account.doubled), (_("misdated"), account.misdated)):
        for one in found[:10]:
            console.print(f"{title}: {one}", highlight=False, soft_wrap=True)
    if account.missing:
        text = _("lost: {count} numbers of some stream never arrived and are not in the ledger")
        console.print(text.format(count=account.missing))
    console.print(str(account), highlight=False, soft_wrap=True)
