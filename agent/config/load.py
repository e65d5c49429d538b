"""Reads a configuration, whole: either all of it is right, or all that is wrong with it is said at once."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from agent.config import LARGEST, cross
from agent.config.devices import device
from agent.config.model import Clock, Commands, Config, Gateway, Journal, Port, Uplink
from agent.config.overrides import override
from agent.config.plain import plain
from agent.config.problems import ConfigError, Problem, Problems, Source, nearest
from agent.config.profiles import Profiles
from agent.config.syntax import not_toml
from agent.config.tables import read
from agent.config.wording import NOT_A_TABLE
from agent.i18n import _

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agent.config.locate import KeyPath

T = TypeVar("T")

SECTIONS = ("gateway", "uplinks", "journal", "clock", "commands", "ports", "devices")
IDENTIFIER = r"[a-z0-9]+(?:-[a-z0-9]+)*"  # fit for a topic, a file name and a SenML name (RFC 8428, 4.5.1)
LONGEST_IDENTIFIER = 63


def load(text_or_path: str | Path, *, overrides: Mapping[str, str] | None = None) -> Config:
    """Return the configuration of a text or, given a Path, of a file; raises ConfigError with all that is wrong.

    `overrides` are single keys, dotted, with values as they are written in TOML or as plain texts.
    """
    source = read_file(text_or_path) if isinstance(text_or_path, Path) else Source("gateway.toml", text_or_path)
    return build(source, overrides=overrides)


def read_file(path: Path) -> Source:
    """Return what stands in a file; raises ConfigError."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise _unreadable(path, _("there is no such file")) from None
    except IsADirectoryError:
        raise _unreadable(path, _("is a folder, not a file")) from None
    except PermissionError:
        raise _unreadable(path, _("cannot be read: permission denied")) from None
    except OSError as error:
        raise _unreadable(path, _("cannot be read: {error}").format(error=error.strerror)) from None
    if len(data) > LARGEST:
        raise _unreadable(path, _("is larger than 1 MiB and cannot be a configuration"))
    try:
        text = data.decode("utf-8-sig")  # some editors put a mark in front
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _unreadable(path, _("is not UTF-8 text; save it as UTF-8"), line) from None
    return Source(str(path), text)


def build(
    source: Source, *, overrides: Mapping[str, str] | None = None, profiles: Mapping[str, str] | None = None
) -> Config:
    """Return the configuration of a source; raises ConfigError.

    `profiles` are the texts of Modbus profiles by their paths, in place of the files.
    """
    problems = Problems(source)
    document = _parse(source)
    unfit = [problem for key, value in (overrides or {}).items() if (problem := override(document, source, key, value))]
    if not document and not unfit:
        raise ConfigError([Problem(source.name, None, "", _("is empty; it needs at least [gateway] and an uplink"))])
    document = plain(document, problems)
    source.names = _names(document)
    config = _config(document, Profiles(read_file, _parse, profiles), problems)
    if problems.found or unfit:
        raise ConfigError([*problems.found.values(), *problems.elsewhere, *unfit])
    if config is None:
        raise AssertionError("a configuration without problems is whole")
    return config


def check_profile(path: str) -> None:
    """Check a Modbus profile by itself; raises ConfigError with all that is wrong with it."""
    Profiles(read_file, _parse).read(path)


def _names(document: object, path: KeyPath = ()) -> dict[KeyPath, str]:
    """Return the names of tables in lists: a list's position says little to whoever reads a message."""
    names: dict[KeyPath, str] = {}
    if isinstance(document, dict | list):
        for key, value in document.items() if isinstance(document, dict) else enumerate(document):
            names |= _names(value, (*path, key))
            if isinstance(key, int) and isinstance(value, dict) and isinstance(value.get("name"), str):
                names[*path, key] = value["name"]
    return names


def _config(document: Mapping[str, Any], profiles: Profiles, problems: Problems) -> Config | None:
    for key in document.keys() - set(SECTIONS):
        problems.add((key,), _("is not a known section") + nearest(key, SECTIONS))
    gateway = _gateway(document, problems)
    uplinks = _each(
        document, "uplinks", problems, lambda name, table, path: read(Uplink, table, path, problems, id=name)
    )
    if not document.get("uplinks"):
        problems.add(("uplinks",), _("is missing: a gateway needs at least one, such as [uplinks.city]"))
    journal = read(Journal, _table(document, "journal", problems), ("journal",), problems)
    clock = read(Clock, _table(document, "clock", problems), ("clock",), problems)
    commands = read(Commands, _table(document, "commands", problems), ("commands",), problems)
    ports = _each(document, "ports", problems, lambda _name, table, path: read(Port, table, path, problems))
    shared = _table(document, "ports", problems).keys()
    devices = _each(
        document, "devices", problems, lambda name, table, path: device(name, table, path, shared, profiles, problems)
    )
    if gateway is not None:
        uplinks = {
            name: uplink if uplink.client_id else dataclasses.replace(uplink, client_id=gateway.id)
            for name, uplink in uplinks.items()
        }
    cross.check(document, uplinks, ports, devices, problems)
    if gateway is None or journal is None or clock is None or commands is None:
        return None
    return Config(
        gateway=gateway,
        uplinks=uplinks,
        journal=journal,
        clock=clock,
        commands=commands,
        ports=ports,
        devices=devices,
        profiles=profiles.texts,
    )


def _gateway(document: Mapping[str, Any], problems: Problems) -> Gateway | None:
    if "gateway" not in document:
        problems.add(("gateway",), _("is missing: a gateway needs at least an id"))
        return None
    table = _table(document, "gateway", problems)
    if isinstance(name := table.get("id"), str):
        _check_identifier(name, ("gateway", "id"), problems)
    return read(Gateway, table, ("gateway",), problems)


def _each(
    document: Mapping[str, Any],
    section: str,
    problems: Problems,
    make: Callable[[str, Mapping[str, Any], KeyPath], T | None],
) -> dict[str, T]:
    """Make something of each named table of a section; those that are wrong are left out."""
    made: dict[str, T] = {}
    tables = _table(document, section, problems)
    for name, table in tables.items():
        path = (section, name)
        _check_identifier(name, path, problems)
        if not isinstance(table, dict):
            problems.add(path, _(NOT_A_TABLE))
        elif (one := make(name, table, path)) is not None:
            made[name] = one
    return made


def _table(document: Mapping[str, Any], section: str, problems: Problems) -> Mapping[str, Any]:
    table = document.get(section, {})
    if isinstance(table, dict):
        return table
    problems.add((section,), _(NOT_A_TABLE))
    return {}


def _check_identifier(name: str, path: KeyPath, problems: Problems) -> None:
    if not re.fullmatch(IDENTIFIER, name) or len(name) > LONGEST_IDENTIFIER:
        problems.add(path, _("an id is made of lower-case letters, digits and single hyphens, such as 'air-1'"))


def _parse(source: Source) -> dict[str, Any]:
    try:
        return tomllib.loads(source.text)
    except RecursionError:
        raise ConfigError([Problem(source.name, None, "", _("is nested too deeply"))]) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([not_toml(source, str(error))]) from None
    except ValueError:  # Python's own limit on the digits of a number
        raise ConfigError([Problem(source.name, None, "", _("holds a number that is too large"))]) from None


def _unreadable(path: Path, text: str, line: int | None = None) -> ConfigError:
    return ConfigError([Problem(str(path), line, "", text)])
