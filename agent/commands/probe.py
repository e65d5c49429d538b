"""`roadside probe`: what is at the serial ports, found by listening and by polite questions."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING

import click

from agent.commands import root_option, wording
from agent.config.units import serial_line
from agent.control import SOCKET, ControlError
from agent.host.clock import SystemClock
from agent.host.environment import environment
from agent.host.paths import Paths
from agent.i18n import _
from agent.probing import block, borrowing
from agent.probing.polite import PolitePorts
from agent.probing.probe import LISTEN, Found, Prober
from drivers.modbus.frames import ADDRESSES
from drivers.ports.serial import PosixSerialPorts, existing
from drivers.seams import PortError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from drivers.contract import SerialLine

NOT_PROBED = 1
NOTHING_FOUND = 2
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PSEUDO = "/dev/pts/"

HELP = _(
    "Find out what is at each PORT, or at all serial ports: listen at the usual speeds, then ask what cannot change"
    " anything, then look for Modbus devices at every address. Prints what can be put into a configuration. Ports of"
    " the running agent are borrowed and given back. Exit status: 0 something was found, 1 a port could not be probed,"
    " 2 nothing was found."
)


def _addresses(ctx: click.Context, parameter: click.Parameter, text: str) -> list[int]:
    """Return the addresses of a text such as `1-16,100`: a callback of click's."""
    found: list[int] = []
    try:
        for part in text.split(","):
            first, dash, last = part.partition("-")
            found += range(int(first), int(last if dash else first) + 1)
    except ValueError:
        found = []
    if not found or not set(found) <= set(ADDRESSES):
        raise click.BadParameter(_("write addresses from 1 to 247, such as 1-16,100"), ctx=ctx, param=parameter)
    return list(dict.fromkeys(found))


def _line(ctx: click.Context, parameter: click.Parameter, text: str | None) -> SerialLine | None:
    try:
        return None if text is None else serial_line(text)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx=ctx, param=parameter) from None


@click.command(help=HELP)
@root_option
@click.argument("ports", metavar="[PORT]...", nargs=-1)
@click.option("--line", callback=_line, metavar="LINE", help=_("Try this setting alone, such as '9600 8E1'."))
@click.option(
    "--addresses", default="1-247", show_default=True, callback=_addresses, help=_("Where to look for Modbus devices.")
)
@click.option("--listen-only", is_flag=True, help=_("Send nothing at all."))
@click.option(
    "--listen",
    type=click.FloatRange(min=0.1),
    default=LISTEN,
    show_default=True,
    metavar="SECONDS",
    help=_("How long to listen at each speed; longer for what speaks seldom."),
)
def command(
    root: Path,
    ports: tuple[str, ...],
    line: SerialLine | None,
    addresses: list[int],
    listen_only: bool,
    listen: float,
) -> int:
    """Probe."""
    paths = Paths(root, environment())
    found = ports or existing(root)
    if not found:
        click.echo(_("there are no serial ports; is the adapter plugged in?"), err=True)
        return NOTHING_FOUND
    polite = PolitePorts(PosixSerialPorts(root), listen_only=listen_only)
    clock = SystemClock(root)

    def prober(path: str, progress: Callable[[str, float], None]) -> Prober:
        return Prober(
            polite,
            path,
            clock,
            lines=None if line is None else [line],
            addresses=addresses,
            has_speed=has_speed(paths, path),
            listen_only=listen_only,
            listen=listen,
            progress=progress,
        )

    return asyncio.run(_probe(paths, found, prober))


class Probing:
    """One port, and what becomes of it."""

    def __init__(self, paths: Paths, path: str, prober: Prober) -> None:
        self.path = path
        self.error = ""
        self.has_speed = has_speed(paths, path)
        self._paths = paths
        self._prober = prober

    @property
    def found(self) -> Found:
        """What is known by now."""
        return self._prober.found

    async def run(self, lender: str | None) -> None:
        """Probe, with a port that the agent calls so, or that it does not have; `error` says what went wrong."""
        try:
            async with AsyncExitStack() as stack:
                if lender is not None:
                    await stack.enter_async_context(borrowing.borrowed(self._paths.runtime / SOCKET, lender))
                await self._prober.run()
        except PortError as error:
            self.error = wording.of_port(error)
        except ControlError as error:
            self.error = str(error)


def has_speed(paths: Paths, path: str) -> bool:
    """Tell whether a port is a real one."""
    return not str(paths.under(path).resolve()).startswith(PSEUDO)


async def _probe(
    paths: Paths, ports: Sequence[str], prober: Callable[[str, Callable[[str, float], None]], Prober]
) -> int:
    held = await _held(paths)
    lenders = {paths.under(path).resolve(): path for path in held}

    def lender(path: str) -> str | None:
        """Return what the agent calls a port that it has."""
        return lenders.get(paths.under(path).resolve())

    with _progress() as told:
        probings = [Probing(paths, path, prober(path, told(path))) for path in ports]
        await _until_ended([asyncio.create_task(one.run(lender(one.path)), name=one.path) for one in probings])
    names = block.Names({device: driver for devices in held.values() for device, driver in devices.items()})
    for one in probings:
        if one.error:
            click.echo(one.error, err=True)
            continue
        for name, driver in held.get(lender(one.path) or "", {}).items():
            click.echo("# " + _("configured there: {device} ({driver})").format(device=name, driver=driver))
        click.echo("\n".join(block.lines(one.path, one.found, names, has_speed=one.has_speed)) + "\n")
    if any(one.error for one in probings):
        return NOT_PROBED
    return 0 if any(one.found.anything for one in probings) else NOTHING_FOUND


async def _held(paths: Paths) -> dict[str, dict[str, str]]:
    """Return the ports of the running agent; none if none is running."""
    control = paths.runtime / SOCKET
    if not control.exists():
        return {}
    try:
        return await borrowing.held(control)
    except ControlError as error:
        click.echo(str(error), err=True)
        return {}


async def _until_ended(tasks: list[asyncio.Task[None]]) -> None:
    """Wait for all, or for somebody who has seen enough: then what is known by now counts."""
    loop = asyncio.get_running_loop()

    def end() -> None:
        for task in tasks:
            task.cancel()

    for number in ENDINGS:
        loop.add_signal_handler(number, end)
    try:
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        for number in ENDINGS:
            loop.remove_signal_handler(number)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


@contextmanager
def _progress() -> Iterator[Callable[[str], Callable[[str, float], None]]]:
    """Yield what makes a progress bar for a port; without a terminal none is shown."""
    if not sys.stderr.isatty():
        yield lambda _port: lambda _doing, _share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    columns = TextColumn("{task.description}", markup=False), BarColumn(), TextColumn("{task.percentage:3.0f} %")
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def bar(port: str) -> Callable[[str, float], None]:
            task = progress.add_task(port, total=1.0)
            return lambda doing, share: progress.update(task, description=f"{port}: {doing}", completed=share)

        yield bar
