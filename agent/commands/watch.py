"""`roadside watch`: what devices measure, and the bytes on their lines, as it comes; --record keeps them for a test."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import ExitStack, aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from agent import VERSION
from agent.commands import INVALID_CONFIGURATION, pairs, root_option, view, wording
from agent.control import SOCKET, ControlError, follow
from agent.host.environment import environment
from agent.host.paths import Paths
from agent.i18n import _, retold
from drivers.contract import SerialDriver
from drivers.seams import PortError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from agent.control import Answers
    from agent.recording import Piece

NOT_WATCHED = 1  # no agent, no such device, the port is gone
REFRESH = 4  # times a second that the table is drawn
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

HELP = _(
    "Show what the running agent's DEVICE measures, or all its devices, until Ctrl-C; with --port what the device of"
    " DRIVER at a port says that no agent holds."
)


@click.command(help=HELP)
@root_option
@click.argument("name", metavar="[DEVICE | DRIVER]", required=False)
@click.option("--raw", is_flag=True, help=_("Show the bytes on the line, too: < came in, > was sent."))
@click.option(
    "--record",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help=_("Keep the bytes with their times in a new file, for `roadside decode --recording` and for tests."),
)
@click.option("--port", metavar="PATH", help=_("Watch this port, without an agent."))
@click.option("--line", "line", metavar="LINE", help=_("With --port: its settings, such as '9600 8E1'."))
@click.option(
    "--set",
    "given",
    multiple=True,
    metavar="KEY=VALUE",
    callback=pairs,
    help=_("With --port: a setting of the driver."),
)
@click.option("--plain", is_flag=True, help=_("Print lines also on a terminal."))
@click.option("--for", "seconds", type=float, metavar="SECONDS", help=_("End by itself."))
def command(
    root: Path,
    name: str | None,
    raw: bool,
    record: Path | None,
    port: str | None,
    line: str | None,
    given: Mapping[str, str],
    plain: bool,
    seconds: float | None,
) -> int:
    """Watch."""
    if port is None and (line or given):
        raise click.UsageError(_("--line and --set are for --port alone"))
    if record is not None and name is None:
        raise click.UsageError(_("name the one device that is to be recorded"))
    paths = Paths(root, environment())
    if port is None:
        request = {"do": "watch", "devices": [name] if name else [], "raw": raw or record is not None}
        answers = follow(paths.runtime / SOCKET, request)
    else:
        if name is None:
            raise click.UsageError(_("name the driver of what is at {port}").format(port=port))
        made = _at_port(paths, port, name, line, given)
        if isinstance(made, int):
            return made
        answers = made
    show = _lines if plain or not sys.stdout.isatty() else _table
    try:
        with ExitStack() as stack:
            recorder = stack.enter_context(_recorder(record)) if record is not None else None
            asyncio.run(_watch(answers, show, recorder, raw=raw, seconds=seconds))
    except (ControlError, PortError) as error:
        click.echo(wording.of_port(error) if isinstance(error, PortError) else str(error), err=True)
        return NOT_WATCHED
    return 0


async def _watch(
    answers: Answers,
    show: Callable[[Mapping[str, Any], bool], AbstractContextManager[Callable[[Mapping[str, Any]], None]]],
    recorder: Recorder | None,
    *,
    raw: bool,
    seconds: float | None,
) -> None:
    """Show and record what comes until somebody ends it; raises ControlError and PortError."""
    watching = asyncio.current_task()
    loop = asyncio.get_running_loop()
    for number in ENDINGS:
        loop.add_signal_handler(number, lambda: watching.cancel() if watching else None)
    try:
        async with aclosing(answers), asyncio.timeout(seconds):
            header = await anext(answers)
            if recorder is not None:
                recorder.begin(header)
            with show(header, raw) as take:
                async for answer in answers:
                    if recorder is not None:
                        recorder.take(answer)
                    take(answer)
            raise ControlError(_("the agent has stopped"))
    except (asyncio.CancelledError, TimeoutError):
        pass  # as it was asked to
    finally:
        for number in ENDINGS:
            loop.remove_signal_handler(number)


# --- what is watched --------------------------------------------------------------------------------------------------


def _at_port(paths: Paths, port: str, name: str, line: str | None, given: Mapping[str, str]) -> Answers | int:
    """Return what watches a port, or the exit status."""
    from agent import decoding
    from agent.config.problems import ConfigError, printable
    from agent.config.units import serial_line
    from agent.host.clock import SystemClock
    from agent.watching_port import watch_port
    from drivers import registry
    from drivers.ports.serial import PosixSerialPorts

    try:
        driver = registry.load(name)
        settings = decoding.settings(driver, given)
        if not isinstance(driver, SerialDriver):
            raise click.UsageError(_("'{driver}' is at no serial line").format(driver=name))
        setting = driver.line if line is None else serial_line(line)
    except registry.UnknownDriverError:
        from agent.config.devices import unknown_driver

        click.echo(unknown_driver(name), err=True)
        return INVALID_CONFIGURATION
    except ConfigError as error:
        click.echo("\n".join(printable(problem.text) for problem in error.problems), err=True)
        return INVALID_CONFIGURATION
    except (registry.DriverError, ValueError) as error:
        click.echo(retold(str(error)), err=True)
        return INVALID_CONFIGURATION
    ports, clock = PosixSerialPorts(paths.root), SystemClock(paths.root)
    return watch_port(ports, clock, path=port, line=setting, driver=driver, settings=settings)


# --- how it is shown --------------------------------------------------------------------------------------------------


@contextmanager
def _lines(header: Mapping[str, Any], raw: bool) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Yield what prints what came, line by line."""
    moment = view.Moment(header["boottime"], header["utc"])

    def take(answer: Mapping[str, Any]) -> None:
        if answer["missed"]:
            click.echo(view.missed_text(answer["missed"]))
        for entry in answer["entries"]:
            if raw or "hex" not in entry:
                click.echo(view.line(entry, moment))

    yield take


@contextmanager
def _table(header: Mapping[str, Any], raw: bool) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Yield what shows what came in a table."""
    from rich.live import Live

    table = view.Table(header["devices"], view.Moment(header["boottime"], header["utc"]))
    with Live(get_renderable=table.rendered, refresh_per_second=REFRESH, vertical_overflow="ellipsis"):

        def take(answer: Mapping[str, Any]) -> None:
            table.take((one for one in answer["entries"] if raw or "hex" not in one), answer["missed"])

        yield take


# --- recording --------------------------------------------------------------------------------------------------------


class Recorder:
    """Writes what passes on the line of one device into an open file, so that it is whole after each line."""

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._start = 0.0  # boottime in seconds

    def begin(self, header: Mapping[str, Any]) -> None:
        """Write what device it is; raises ControlError if it is at no serial line."""
        from agent import recording

        ((name, described),) = header["devices"].items()
        if "line" not in described:
            raise ControlError(_("{device} is at no serial line: there are no bytes to record").format(device=name))
        self._start = header["boottime"]
        began = view.Moment(header["boottime"], header["utc"]).day_and_time(self._start)
        remark = f"Roadside {VERSION}, {name} ({described['title']}) at {described['port']}, {began}; recorded"
        self._write(recording.head(remark, described["driver"], described["line"], described["settings"]))

    def take(self, answer: Mapping[str, Any]) -> None:
        """Write what passed; raises OSError."""
        from agent import recording

        if answer["missed"]:
            self._write([f"# {answer['missed']} entries are missing here"])
        for entry in answer["entries"]:
            if "hex" in entry:
                self._write(recording.body(self._piece(entry)))

    def _piece(self, entry: Mapping[str, Any]) -> Piece:
        from agent.recording import Piece

        return Piece(bytes.fromhex(entry["hex"]), max(0.0, entry["at"] - self._start), entry["sent"])

    def _write(self, lines: Iterable[str]) -> None:
        self._file.write("".join(f"{line}\n" for line in lines))
        self._file.flush()


@contextmanager
def _recorder(path: Path) -> Iterator[Recorder]:
    """Yield a recorder; at the end the file gets what `roadside decode` makes of it. Raises ClickException."""
    try:
        file = path.open("x", encoding="utf-8")
    except OSError as error:
        raise _unwritten(path, error) from None
    try:
        with file:
            yield Recorder(file)
    except OSError as error:
        raise _unwritten(path, error) from None
    finally:
        if path.stat().st_size:
            expect(path)
        else:
            path.unlink()


def _unwritten(path: Path, error: OSError) -> click.ClickException:
    text = _("{file} cannot be written: {error}").format(file=path, error=retold(error.strerror or str(error)))
    return click.ClickException(text)


def expect(path: Path) -> None:
    """Add to a recording the lines that are decoded from it; one of nothing stays as it is."""
    from agent import decoding, recording
    from agent.config.problems import ConfigError
    from drivers import registry

    made: list[str] = []
    for one in recording.recordings(path.read_text("utf-8")):
        try:
            driver = registry.load(one.facts["driver"])
            settings = decoding.settings(driver, one.given)
            decoder = decoding.decoder(driver, settings)
        except (ConfigError, registry.DriverError, decoding.NothingToDecodeError) as error:
            made.append(f"# not decoded: {' '.join(str(error).split())}")
            continue
        items = [*(item for piece in one.pieces for item in decoder.feed(piece.data)), *decoder.end()]
        units = driver.quantities(settings)
        made += (decoding.line(item, units) for item in items)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in made)
