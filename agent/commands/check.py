"""`roadside check`: says all that is wrong with a configuration, and what is odd about it on this machine."""

from __future__ import annotations

import tomllib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from agent.commands import refuse, root_option, set_option
from agent.i18n import _, ngettext

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.config.locate import KeyPath
    from agent.config.model import Config

PINS_OF_THE_PI = {0: "ID EEPROM", 1: "ID EEPROM", 2: "I2C", 3: "I2C", 14: "UART", 15: "UART"}  # GPIO -> its first use
OF_THE_SYSTEM = 2  # parts of a path: / and /var are of everybody
MANY_SECONDS = 1000  # whoever writes so many without a unit may mean milliseconds


@click.command(help=_("Check a configuration without running it; exit status 78 if it cannot be used."))
@click.argument("file", type=click.Path(path_type=Path))
@root_option
@set_option
def command(file: Path, root: Path, overrides: dict[str, str]) -> int:
    """Check a file."""
    from agent.config.load import build, read_file
    from agent.config.overrides import override
    from agent.config.problems import ConfigError, printable

    try:
        source = read_file(file)
        config = build(source, overrides=overrides)
    except ConfigError as error:
        return refuse(error)
    document = tomllib.loads(source.text)
    for key, value in overrides.items():
        override(document, source, key, value)
    for path, text in warnings(config, document, root):
        click.echo(source.problem(path, _("warning: {text}").format(text=text)), err=True)
    devices = ngettext("{count} device", "{count} devices", len(config.devices)).format(count=len(config.devices))
    uplinks = ngettext("{count} uplink", "{count} uplinks", len(config.uplinks)).format(count=len(config.uplinks))
    text = _("{file} is right: {devices}, {uplinks}").format(file=file, devices=devices, uplinks=uplinks)
    click.echo(printable(text))
    return 0


def warnings(config: Config, document: Mapping[str, Any], root: Path) -> Iterator[tuple[KeyPath, str]]:
    """Tell what may be meant so and may not: none of it stops a gateway. `document` is the configuration as written."""
    if not config.devices:
        yield ("gateway",), _("no device is configured")
    yield from _journal(config, root)
    yield from _ports(config, root)
    yield from _uplinks(config, root)
    yield from _pins(config)
    yield from _durations(config, document)


def _journal(config: Config, root: Path) -> Iterator[tuple[KeyPath, str]]:
    from agent.host.mounts import IN_MEMORY, file_system

    folder = config.journal.folder
    if len(PurePosixPath(folder).parts) <= OF_THE_SYSTEM:
        text = _(
            "{path} is a folder of the system; the journal needs one of its own, such as /var/lib/roadside/journal"
        )
        yield ("journal", "folder"), text.format(path=folder)
    if below(root, folder).exists() and not below(root, folder).is_dir():
        yield ("journal", "folder"), _("{path} is not a folder").format(path=folder)
    # Below another root it says nothing of the machine that is meant.
    elif root == Path("/") and file_system(Path(folder)) in IN_MEMORY:
        text = _("{path} is in memory: with the power goes all that has not been sent; it belongs on the card")
        yield ("journal", "folder"), text.format(path=folder)


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
        for key in ("password_file", "ca_file", "certificate_file", "key_file"):
            path = getattr(uplink, key)
            secret = key in {"password_file", "key_file"}
            if path is not None and (doubt := _doubt(below(root, path), path, secret=secret)):
                yield ("uplinks", name, key), doubt
        if uplink.username is not None and not uplink.tls and uplink.host not in {"localhost", "127.0.0.1", "::1"}:
            yield ("uplinks", name, "url"), _("the password goes over the network unencrypted; mqtts:// encrypts it")


def _doubt(file: Path, path: str, *, secret: bool) -> str:
    """Return what is odd about a file that the configuration names; "" if nothing is."""
    try:
        status = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return _("{path} does not exist now").format(path=path)
    except OSError as error:
        return _("{path} cannot be looked at: {error}").format(path=path, error=error.strerror)
    if not file.is_file():
        return _("{path} is not a file").format(path=path)
    if status.st_size == 0:
        return _("{path} is empty").format(path=path)
    if secret and status.st_mode & 0o004:
        return _("everybody on this machine can read {path}; chmod o= {path} mends it").format(path=path)
    return ""


def _pins(config: Config) -> Iterator[tuple[KeyPath, str]]:
    for name, device in config.devices.items():
        pin = getattr(device.settings, "pin", None)
        if pin in PINS_OF_THE_PI:
            text = _("GPIO {pin} is the Pi's own for its {use}; 4 to 13 and 16 to 27 are free")
            yield ("devices", name, "pin"), text.format(pin=pin, use=PINS_OF_THE_PI[pin])


def _durations(config: Config, document: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str]]:
    from agent.config.hints import help_of, hints

    for path, cls, table in _tables(config, document):
        for key, value in table.items():
            number = isinstance(value, int | float) and value >= MANY_SECONDS
            if number and help_of(hints(cls).get(key)).unit == "s":
                text = _('{value} without a unit is seconds: write "{value} s", or "{value} ms" if that is meant')
                yield (*path, key), text.format(value=f"{value:.15g}")


def _tables(config: Config, document: Mapping[str, Any]) -> Iterator[tuple[KeyPath, Any, Mapping[str, Any]]]:
    """Yield where each table stands, the dataclass it was read as, and the table."""
    from agent.config.devices import Common
    from agent.config.model import AlarmRule, Journal, Rules, Uplink

    yield ("journal",), Journal, document.get("journal", {})
    for name in config.uplinks:
        yield ("uplinks", name), Uplink, document["uplinks"][name]
    for name, device in config.devices.items():
        path, table = ("devices", name), document["devices"][name]
        yield path, Common, table
        yield path, device.driver.settings, table
        for quantity in device.rules:
            yield (*path, quantity), Rules, table[quantity]
        for index, alarm in enumerate(table.get("alarms", ())):
            yield (*path, "alarms", index), AlarmRule, alarm


def below(root: Path, path: str) -> Path:
    """Return an absolute path below another root."""
    return root / path.lstrip("/")
