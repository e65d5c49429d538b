"""`roadside check`: says all that is wrong with a configuration, and what is odd about it on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from agent.commands import refuse, root_option, set_option
from agent.i18n import _, ngettext

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agent.config.locate import KeyPath
    from agent.config.model import Config


@click.command(help=_("Check a configuration without running it; exit status 78 if it cannot be used."))
@click.argument("file", type=click.Path(path_type=Path))
@root_option
@set_option
def command(file: Path, root: Path, overrides: dict[str, str]) -> int:
    """Check a file."""
    from agent.config.load import build, read_file
    from agent.config.problems import ConfigError, printable

    try:
        source = read_file(file)
        config = build(source, overrides=overrides)
    except ConfigError as error:
        return refuse(error)
    for path, text in warnings(config, root):
        click.echo(source.problem(path, _("warning: {text}").format(text=text)), err=True)
    devices = ngettext("{count} device", "{count} devices", len(config.devices)).format(count=len(config.devices))
    uplinks = ngettext("{count} uplink", "{count} uplinks", len(config.uplinks)).format(count=len(config.uplinks))
    text = _("{file} is right: {devices}, {uplinks}").format(file=file, devices=devices, uplinks=uplinks)
    click.echo(printable(text))
    return 0


def warnings(config: Config, root: Path) -> Iterator[tuple[KeyPath, str]]:
    """Tell what may be meant so and may not: none of it stops a gateway."""
    if not config.devices:
        yield ("gateway",), _("no device is configured")
    yield from _ports(config, root)
    yield from _uplinks(config, root)


def _ports(config: Config, root: Path) -> Iterator[tuple[KeyPath, str]]:
    from drivers.ports.serial import existing

    wanted: dict[KeyPath, str] = {("ports", name, "path"): port.path for name, port in config.ports.items()}
    for name, device in config.devices.items():
        if device.port is not None:
            wanted["devices", name, "port"] = device.port.path
    there = existing(root)
    users: dict[Path, str] = {}
    for key, path in wanted.items():
        real = below(root, path)
        if not real.exists():
            choice = _("there are: {ports}").format(ports=", ".join(there)) if there else _("there is none at all")
            yield key, _("{path} does not exist now; {choice}").format(path=path, choice=choice)
        elif (other := users.setdefault(real.resolve(), path)) != path:
            yield key, _("{path} is the same port as {other} now").format(path=path, other=other)


def _uplinks(config: Config, root: Path) -> Iterator[tuple[KeyPath, str]]:
    for name, uplink in config.uplinks.items():
        for key, path in (("password_file", uplink.password_file), ("ca_file", uplink.ca_file)):
            if path is not None and not below(root, path).is_file():
                yield ("uplinks", name, key), _("this file does not exist now")
        if uplink.username is not None and not uplink.tls and uplink.host not in {"localhost", "127.0.0.1", "::1"}:
            yield ("uplinks", name, "url"), _("the password goes over the network unencrypted; mqtts:// encrypts it")


def below(root: Path, path: str) -> Path:
    """Return an absolute path below another root."""
    return root / path.lstrip("/")
