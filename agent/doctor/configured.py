"""The configuration as it may be passed on: only what is known to be a setting, and no comment."""

from __future__ import annotations

import tomllib
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from agent.config.devices import Common
from agent.config.model import AlarmRule, Clock, Commands, Gateway, Journal, Port, Rules, Uplink
from drivers import registry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

LEFT_OUT = "(left out)"
SECTIONS: dict[str, type] = {"gateway": Gateway, "journal": Journal, "clock": Clock, "commands": Commands}
NAMED_SECTIONS: dict[str, type] = {"uplinks": Uplink, "ports": Port}


def passable(file: Path) -> dict[str, Any]:
    """Return what may be passed on of a configuration; raises OSError, or ValueError if it is no TOML."""
    document = tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    return {section: _section(section, content) for section, content in document.items()}


def _section(name: str, content: object) -> object:
    if not isinstance(content, dict):
        return LEFT_OUT
    if name in SECTIONS:
        return _table(content, SECTIONS[name])
    if name in NAMED_SECTIONS:
        return {one: _table(table, NAMED_SECTIONS[name]) for one, table in content.items()}
    return {one: _device(table) for one, table in content.items()} if name == "devices" else LEFT_OUT


def _table(table: object, *kinds: type) -> object:
    """Return the settings of a table that one of these dataclasses has."""
    if not isinstance(table, dict):
        return LEFT_OUT
    known = {field.name for kind in kinds if is_dataclass(kind) for field in fields(kind)}
    return {key: _value(key, value) if key in known else LEFT_OUT for key, value in table.items()}


def _device(table: object) -> object:
    if not isinstance(table, dict):
        return LEFT_OUT
    try:
        kinds: tuple[type, ...] = (Common, registry.load(str(table.get("driver"))).settings)
    except registry.DriverError:
        kinds = (Common,)
    shown = _table({key: value for key, value in table.items() if not _is_rules(key, value)}, *kinds)
    rules: dict[str, object] = {key: _table(value, Rules) for key, value in table.items() if _is_rules(key, value)}
    if "port" in table:
        rules["port"] = table["port"] if _is_path(table["port"]) else _table(table["port"], Port)
    alarms = [_table(one, AlarmRule) for one in _list(table.get("alarms"))]
    return {**(shown if isinstance(shown, dict) else {}), **rules, **({"alarms": alarms} if alarms else {})}


def _is_rules(key: str, value: object) -> bool:
    return isinstance(value, dict) and key not in {"label", "port"}


def _is_path(value: object) -> bool:
    return isinstance(value, str) and value.startswith("/")


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _value(key: str, value: object) -> object:
    """Return a value, unless somebody has written a secret where its file belongs, or into an address."""
    if key.endswith("_file") and not str(value).startswith("/"):
        return LEFT_OUT
    if key in {"url", "backup_url"}:
        return value if _is_plain(str(value)) else LEFT_OUT
    return value


def _is_plain(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return "@" not in url and not parts.query and not parts.fragment


def count(document: Mapping[str, Any]) -> int:
    """Return how many values were left out."""
    return sum(count(one) if isinstance(one, dict) else one == LEFT_OUT for one in document.values())
