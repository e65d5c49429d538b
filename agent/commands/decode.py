"""`roadside decode`: recorded bytes to JSON lines, without configuration, hardware or root."""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

import click

from agent import decoding
from agent.commands import INVALID_CONFIGURATION, pairs
from agent.config.problems import OVERRIDE, ConfigError, printable
from agent.i18n import _
from agent.notations import Escaped, Hex, NotationError, Raw
from drivers import registry
from drivers.contract import InputDriver

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from agent.config.problems import Problem
    from agent.notations import Notation
    from drivers.contract import Decoder, Item

NOT_AS_SAID = 65  # EX_DATAERR of sysexits(3): the text is not in the notation that was named
STANDARD_INPUT = 0  # not sys.stdin, which is not there if it was closed
PIECE = 1 << 16  # bytes read at once
NOTATIONS: Mapping[str | None, type[Notation]] = {None: Raw, "hex": Hex, "escaped": Escaped}

HELP = _(
    "Decode what a device sent: the raw bytes of FILE or standard input become lines of JSON, one a measurement or"
    " fault. DRIVER is a name from `roadside drivers`; devices at GPIO inputs take edges, 'milliseconds:level ...'."
)


@click.command(help=HELP)
@click.argument("name", metavar="[DRIVER]", required=False)
@click.argument("file", type=click.Path(allow_dash=True), default="-")
@click.option(
    "--recording",
    type=click.Path(),
    metavar="FILE",
    help=_("Decode what `roadside watch --record` wrote, which says the driver and its settings."),
)
@click.option(
    "--set", "given", multiple=True, metavar="KEY=VALUE", callback=pairs, help=_("Give a setting of the driver.")
)
@click.option("--hex", "notation", flag_value="hex", help=_("The bytes are written as hexadecimal digits."))
@click.option("--escaped", "notation", flag_value="escaped", help=_(r"The bytes are written as text with \r, \x1b ..."))
@click.option(
    "--for",
    "played_on",
    type=click.FloatRange(min=0),
    default=None,
    metavar="SECONDS",
    help=_(
        "How long nothing happens after the last edge; {seconds:g} s, and until something is said of the edges,"
        " unless given."
    ).format(seconds=decoding.PLAYED_ON),
)
@click.option("--detail", is_flag=True, help=_("Say of each fault what was seen."))
def command(
    name: str | None,
    file: str,
    recording: str | None,
    given: Mapping[str, str],
    notation: str | None,
    played_on: float | None,
    detail: bool,
) -> int:
    """Decode a recording."""
    try:
        if recording is not None:
            if notation:
                raise click.UsageError(
                    _("a recording is text of its own: leave out --{notation}").format(notation=notation)
                )
            return _recorded(recording, name, given, played_on, detail=detail)
        if name is None:
            raise click.UsageError(_("name a DRIVER, or a --recording that does"))
        reader = Reader(name, given, played_on, detail=detail)
        if notation and isinstance(reader.driver, InputDriver):
            raise click.UsageError(_("edges are text of their own: leave out --{notation}").format(notation=notation))
        _decode(file, NOTATIONS[notation](), reader.decoder, reader.line)
    except registry.UnknownDriverError as error:
        from agent.config.devices import unknown_driver

        return _fail(INVALID_CONFIGURATION, unknown_driver(error.name))
    except ConfigError as error:
        return _fail(INVALID_CONFIGURATION, *map(_told, error.problems))
    except (registry.DriverError, decoding.NothingToDecodeError) as error:
        return _fail(INVALID_CONFIGURATION, str(error))
    except NotationError as error:
        return _fail(NOT_AS_SAID, f"{file}: {error}")
    return 0


class Reader:
    """A driver made ready to decode; raises what the registry and `agent.decoding` raise."""

    def __init__(self, name: str, given: Mapping[str, str], played_on: float | None, *, detail: bool) -> None:
        self.driver = registry.load(name)
        settings = decoding.settings(self.driver, given)
        self.decoder = decoding.decoder(self.driver, settings, played_on=played_on)
        self.line = partial(decoding.line, units=self.driver.quantities(settings), detailed=detail)


def _recorded(file: str, name: str | None, given: Mapping[str, str], played_on: float | None, *, detail: bool) -> int:
    """Decode the recordings in a file, each by itself; what is given counts more than what it says."""
    from agent.recording import RecordingError, recordings

    try:
        for one in recordings(b"".join(_pieces(file)).decode("utf-8", "replace")):
            driver = name or one.facts.get("driver")
            if driver is None:
                raise click.UsageError(_("{file} does not say its driver: name a DRIVER").format(file=file))
            seconds = one.played_on if played_on is None else played_on
            reader = Reader(driver, {**one.given, **given}, seconds, detail=detail)
            for piece in one.pieces:
                _print(map(reader.line, reader.decoder.feed(piece.data)))
            _print(map(reader.line, reader.decoder.end()))
    except (RecordingError, NotationError) as error:
        return _fail(NOT_AS_SAID, f"{file}: {error}")
    return 0


def _decode(file: str, notation: Notation, decoder: Decoder, line: Callable[[Item], str]) -> None:
    """Print what comes of a file as it comes; raises NotationError and ClickException."""
    for piece in _pieces(file):
        _print(map(line, decoder.feed(notation.feed(piece))))
    _print(map(line, [*decoder.feed(notation.end()), *decoder.end()]))


def _print(lines: Iterable[str]) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()  # somebody may be watching a port


def _pieces(file: str) -> Iterator[bytes]:
    """Yield what can be read at once of a file or, for "-", standard input; raises ClickException."""
    try:
        with open(STANDARD_INPUT if file == "-" else file, "rb", buffering=0, closefd=file != "-") as source:
            while piece := source.read(PIECE):
                yield piece
    except OSError as error:
        text = _("{file} cannot be read: {error}").format(file=file, error=error.strerror)
        raise click.ClickException(text) from None


def _told(problem: Problem) -> str:
    if problem.place != OVERRIDE:  # in a file that a setting names
        return str(problem)
    return f"--set {problem.key}: {problem.text}" if problem.key else problem.text


def _fail(status: int, *texts: str) -> int:
    for text in texts:
        click.echo(printable(text), err=True)
    return status
