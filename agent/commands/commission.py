"""`roadside commission`: walks a technician through the mounted cabinet, and sends a signed report."""

from __future__ import annotations

import asyncio
import io
import json
import signal
import sys
from typing import TYPE_CHECKING, Any

import click

from agent.commands import root_option, view
from agent.commissioning import report
from agent.commissioning.walk import OUTCOMES, Gone, Outcome, Walk
from agent.control import SOCKET, ControlError, ask
from agent.host.disk import Folder
from agent.host.environment import environment
from agent.host.paths import Paths
from agent.i18n import _, language, pad, retold, width
from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

NOT_COMMISSIONED = 1
TROUBLED = 2
FILE = "commissioning.json"  # in the state folder
CREDENTIALS = "/run/credentials/roadside.service"  # systemd.exec(5): where the unit's credentials are
READ_SIZE = 4096  # bytes
ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

HELP = _(
    "Walk through the mounted cabinet with the running agent: for each device it says what to do, shows what arrives,"
    " and whether that is enough. Meanwhile everything is marked as a test: no alarm reaches anybody, no siren wails."
    " The report is signed, kept, and sent up. Exit status: 0 all devices passed, 2 some did not, 1 there is no report."
)


@click.command(help=HELP)
@root_option
@click.option("--by", metavar="NAME", help=_("Who does it; asked for unless given."))
def command(root: Path, by: str | None) -> int:
    """Commission."""
    try:
        return asyncio.run(_commission(Paths(root, environment()), by))
    except ControlError as error:
        click.echo(str(error), err=True)
    except Gone:
        click.echo(_("broken off: there is no report"), err=True)
    return NOT_COMMISSIONED


class Terminal:
    """A technician at standard input: a terminal, or a pipe."""

    def __init__(self) -> None:
        """Begin to listen; raises ControlError for what cannot be waited for, such as a file."""
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._rest = b""
        self._input = io.FileIO(sys.stdin.fileno(), closefd=False)
        try:
            asyncio.get_running_loop().add_reader(self._input, self._read)
        except PermissionError:
            raise ControlError(_("somebody has to answer: start it on a terminal")) from None

    def say(self, text: str) -> None:
        """Show a line."""
        click.echo(text)

    async def answer(self) -> str:
        """Wait for a line; raises Gone."""
        line = await self._lines.get()
        if line is None:
            self._lines.put_nowait(None)
            raise Gone
        return line.strip()

    def _read(self) -> None:
        try:
            data = self._input.read(READ_SIZE)
        except OSError:  # the terminal is gone
            data = b""
        if not data:
            asyncio.get_running_loop().remove_reader(self._input)
            self._lines.put_nowait(None)
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._lines.put_nowait(line.decode("utf-8", "replace"))


async def _commission(paths: Paths, by: str | None) -> int:
    control = paths.runtime / SOCKET
    began = await ask(control, {"do": "status"})
    terminal = Terminal()
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    for number in ENDINGS:
        loop.add_signal_handler(number, lambda: task.cancel() if task else None)
    try:
        if by is None:
            terminal.say(_("Who commissions this cabinet?"))
            by = await terminal.answer()
        walk = Walk(control, terminal, view.said, language(environment()))
        await walk.run()
        terminal.say("")
        for line in _summary(walk):
            terminal.say(line)
        terminal.say(_("Enter: sign the report and send it   q: leave without one"))
        if (await terminal.answer()) == "q":
            raise Gone
        document = await _document(paths, walk, by, began, await ask(control, {"do": "status"}))
        await ask(control, {"do": "commissioned", **document})
    except asyncio.CancelledError:
        raise Gone from None
    _keep(paths, document, terminal)
    return 0 if all(one.outcome is Outcome.PASSED for one in walk.results.values()) else TROUBLED


def _summary(walk: Walk) -> list[str]:
    broad = max(map(width, walk.results), default=0)
    rows = []
    for name, result in walk.results.items():
        why = f": {retold(result.remark)}" if result.remark else ""
        rows.append(f"{pad(name, broad)}  {_(OUTCOMES[result.outcome])}{why}")
    return rows


async def _document(
    paths: Paths, walk: Walk, by: str, began: Mapping[str, Any], ended: Mapping[str, Any]
) -> dict[str, str]:
    """Return the report with its signature, or with the reason why it has none."""
    moments = [{key: status.get(key) for key in ("boot", "boottime", "utc")} for status in (began, ended)]
    text = report.text(
        gateway=ended["gateway"],
        version=ended["version"],
        by=by,
        began=moments[0],
        ended=moments[1],
        devices=[result.plain() for result in walk.results.values()],
    )
    try:
        return {"report": text, **report.sign(text, _key(paths, walk.keys))}
    except report.UnsignedError as error:
        return {"report": text, "unsigned": str(error)}


def _key(paths: Paths, keys: list[dict[str, str]]) -> bytes:
    """Return the key by which the city knows this gateway; raises UnsignedError."""
    places = [
        paths.under(each["file"]) if "file" in each else paths.under(CREDENTIALS) / each["credential"]
        for each in keys
        if each
    ]
    if not places:
        raise report.UnsignedError(N_("no uplink has a key"))
    try:
        return places[0].read_bytes()
    except OSError as error:
        text = N_("{file}: {error}; commission as root")
        raise report.UnsignedError(text.format(file=places[0], error=error.strerror)) from None


def _keep(paths: Paths, document: Mapping[str, str], terminal: Terminal) -> None:
    """Keep the report on the card, and tell where."""
    if "unsigned" in document:
        terminal.say(_("The report is sent up, but not signed: {why}").format(why=retold(document["unsigned"])))
    else:
        terminal.say(_("The report is signed and sent up."))
    try:
        Folder(paths.state).replace(FILE, json.dumps(document, ensure_ascii=False).encode())
        terminal.say(_("It is kept in {file}.").format(file=paths.state / FILE))
    except OSError as error:
        terminal.say(_("The agent keeps it; {file}: {error}").format(file=paths.state / FILE, error=error.strerror))
