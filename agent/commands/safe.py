"""`roadside safe`: switches off what a dead agent may have left on, and notes how it ended.

systemd runs it whenever the agent has ended (ExecStopPost=) and says in $SERVICE_RESULT how.
"""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING

import click

from agent import outputs
from agent.commands import root_option, wording
from agent.host.breadcrumb import note_end
from agent.host.disk import Folder
from agent.host.environment import environment
from agent.host.lock import TakenError, held
from agent.host.paths import Paths
from agent.i18n import _
from drivers.seams import PortError

if TYPE_CHECKING:
    from pathlib import Path

RUNNING = 75  # EX_TEMPFAIL of sysexits(3), as `roadside run` says it
FAILED = 1


@click.command(
    help=_(
        "Switch all outputs off after the agent has ended, however it ended. It needs no configuration: the agent "
        "writes down what it drives. systemd runs this (ExecStopPost=)."
    )
)
@root_option
def command(root: Path) -> int:
    """Make the outputs safe."""
    paths = Paths(root, environment())
    try:
        with held(paths.runtime):
            note_end(paths.runtime, environment().get("SERVICE_RESULT", ""))
            return _make_all_safe(paths)
    except TakenError as error:
        text = _("the agent is running (process {process}), and its outputs are its own; nothing was done")
        click.echo(text.format(process=error.process), err=True)
        return RUNNING
    except (OSError, ValueError) as error:
        click.echo(_("cannot find out which outputs there are: {error}").format(error=error), err=True)
        return FAILED


def _make_all_safe(paths: Paths) -> int:
    noted = outputs.noted(Folder(paths.runtime / "young"))
    pins = [output for output in noted if isinstance(output, outputs.Pin)]
    relays = [output for output in noted if isinstance(output, outputs.Relay)]
    return max(_make_pins_safe(paths, pins), _make_relays_safe(paths, relays))


def _make_pins_safe(paths: Paths, pins: list[outputs.Pin]) -> int:
    if not pins:
        return 0
    from drivers.ports.gpio import GpiozeroPorts  # slow to import

    status = 0
    # No time is ever asked for: nothing here is an input.
    with closing(GpiozeroPorts(lambda: 0.0, devices=paths.under("/dev"))) as gpio:
        for pin in pins:
            try:
                outputs.make_safe(gpio, pin)
            except PortError as error:
                click.echo(f"{pin.device}: {wording.of_port(error)}", err=True)
                status = FAILED
            else:
                click.echo(_("{device}: off (GPIO {pin})").format(device=pin.device, pin=pin.pin))
    return status


def _make_relays_safe(paths: Paths, relays: list[outputs.Relay]) -> int:
    if not relays:
        return 0
    from drivers.ports.serial import PosixSerialPorts

    ports = PosixSerialPorts(paths.root)
    status = 0
    for relay in relays:
        try:
            asyncio.run(outputs.make_relay_safe(ports, relay))
        except PortError as error:
            click.echo(f"{relay.device}: {error}", err=True)
            status = FAILED
        else:
            click.echo(_("{device}: off ({port})").format(device=relay.device, port=relay.path))
    return status
