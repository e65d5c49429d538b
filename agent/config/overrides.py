"""`--set KEY=VALUE`: single keys over what the file says."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

from agent.config.problems import OVERRIDE, Problem
from agent.i18n import _

if TYPE_CHECKING:
    from agent.config.locate import KeyPath
    from agent.config.problems import Source


def override(document: dict[str, Any], source: Source, key: str, value: str) -> Problem | None:
    """Put a value into the document and note it at the source; returns what is wrong with the key, if anything."""
    parts = _parts(key)
    if not parts:
        return Problem(OVERRIDE, None, key, _("is not a key such as 'uplinks.city.url'"))
    node: Any = document
    path: KeyPath = ()
    for part in parts[:-1]:
        step = _step(node, part)
        if step is None:
            return _no_place(key, part)
        node = node.setdefault(step, {}) if isinstance(node, dict) else node[step]
        path = (*path, step)
    step = _step(node, parts[-1])
    if step is None:
        return _no_place(key, parts[-1])
    node[step] = _value(value)
    source.overrides.add((*path, step))
    return None


def _parts(key: str) -> list[str]:
    """Return the parts of a dotted key; quoted parts may hold dots."""
    try:
        node: Any = tomllib.loads(f"{key} = 0") if "\n" not in key and "=" not in key else {}
    except tomllib.TOMLDecodeError:
        return []
    parts = []
    while isinstance(node, dict) and node:
        part, node = next(iter(node.items()))
        parts.append(part)
    return parts


def _step(node: object, part: str) -> str | int | None:
    """Return how to go from a table or list to its part; None if that is not possible."""
    if isinstance(node, dict):
        return part
    if isinstance(node, list) and part in map(str, range(len(node))):
        return int(part)
    return None


def _no_place(key: str, part: str) -> Problem:
    text = _("there is no place for '{part}': what stands before it is no table, or a list that is shorter")
    return Problem(OVERRIDE, None, key, text.format(part=part))


def _value(text: str) -> object:
    """Return what a value means in TOML; what is not TOML is a plain text, so that quotes can be left away."""
    try:
        document = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return document["value"] if document.keys() == {"value"} else text
