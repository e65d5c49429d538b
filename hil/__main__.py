"""The `hil` command: what a bench needs beside its tests. `python -m hil` is the same."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hil.record import ScenarioError, scenario
from hil.recorded import CaptureError, read
from hil.replay import Player
from hil.wires.port import Port, WireError
from hil.wires.pty import Pty

if TYPE_CHECKING:
    from collections.abc import Callable

    from hil.recorded import Capture

DEFAULT_LINE = "9600 8N1"
LOOKED_EVERY = 0.02  # seconds
DRAINED_WITHIN = 10.0  # seconds
PASSES_WITHIN = 0.3  # seconds in which the kernel passes on what was written, and only then counts it as waiting

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def hil() -> None:
    """Hardware in the loop: scenarios from the field, and devices that are played. hil/README.md teaches it."""


@hil.command()
@click.argument("capture", type=FILE)
@click.argument("folder", type=click.Path(path_type=Path))
def record(capture: Path, folder: Path) -> None:
    """Make a scenario in FOLDER of CAPTURE, which `roadside watch --record` made."""
    try:
        files = scenario(capture, folder)
    except (CaptureError, ScenarioError) as error:
        raise click.ClickException(str(error)) from error
    for file in files:
        click.echo(file)
    click.echo(f"\nRun it:  pytest -p hil.plugin --rig={folder / 'rig.toml'} {folder}")


@hil.command()
@click.argument("capture", type=FILE)
@click.argument("port", type=click.Path(path_type=Path))
@click.option("--speed", type=click.FloatRange(0, min_open=True), default=1.0, help="So many times as fast.")
@click.option("--line", metavar="LINE", help="Of a real port: its settings; those of the capture unless given.")
def replay(capture: Path, port: Path, speed: float, line: str | None) -> None:
    """Play CAPTURE as it came: to a serial PORT that is there, or to whoever opens PORT, which is made.

    A device that only answers is played until Ctrl-C.
    """
    try:
        played = read(capture)
        with contextlib.suppress(KeyboardInterrupt):
            if port.exists():
                asyncio.run(_to_port(played, port, line or played.line or DEFAULT_LINE, speed))
            else:
                asyncio.run(_to_pty(played, port, speed))
    except (CaptureError, WireError, OSError) as error:
        raise click.ClickException(str(error)) from error


async def _to_port(capture: Capture, port: Path, line: str, speed: float) -> None:
    with Port(str(port), line) as wire:
        await _play(Player(wire, capture, times=speed), capture)
        await _drained(wire.waiting)
        if wire.lost:
            raise WireError(f"{port}: {wire.lost} bytes were lost: the port is gone, or too slow at {line}")


async def _to_pty(capture: Capture, link: Path, speed: float) -> None:
    with Pty(link) as wire:
        click.echo(f"{link} waits for somebody to open it", err=True)
        while not wire.heard:
            wire.write(b"")
            await asyncio.sleep(LOOKED_EVERY)
        await _play(Player(wire, capture, times=speed), capture)
        await _drained(wire.unread)
        if wire.overrun:
            lost = sum(stop - start for start, stop in wire.overrun)
            raise WireError(f"{link}: {lost} bytes were lost: who has it open does not read")


async def _play(player: Player, capture: Capture) -> None:
    await player.run()
    if capture.asked:
        await asyncio.get_running_loop().create_future()  # as long as somebody asks


async def _drained(waiting: Callable[[], int]) -> None:
    """Wait until the last bytes are out: closed, a line forgets them."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + DRAINED_WITHIN
    await asyncio.sleep(PASSES_WITHIN)
    while waiting() and loop.time() < deadline:  # noqa: ASYNC110 - the kernel sets no event
        await asyncio.sleep(LOOKED_EVERY)


if __name__ == "__main__":
    hil(prog_name="hil")
