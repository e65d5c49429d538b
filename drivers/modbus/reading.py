"""Profiles from their files: what is not right is one error. The agent, before it uses a file, tells all of it."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from drivers.contract import SerialLine
from drivers.modbus.mistakes import mistakes
from drivers.modbus.profile import Channels, Connection, Flash, Group, Health, Outputs, Profile, Value

FOLDER = Path(__file__).parents[1] / "profiles"
SUFFIX = ".toml"
LINE = r"(\d+) ([5-8])([NEO])([12])"


class ProfileError(ValueError):
    """A profile cannot be used."""


def shipped() -> list[str]:
    """Return the names of the profiles that Roadside brings along, sorted."""
    return sorted(path.stem for path in FOLDER.glob(f"*{SUFFIX}"))


def is_path(name_or_path: str) -> bool:
    """Tell the path of a file from the name of a shipped profile."""
    return "/" in name_or_path or name_or_path.endswith(SUFFIX)


@cache
def read(name_or_path: str) -> Profile:
    """Return a profile that Roadside brings along, or that of a file; raises ProfileError."""
    path = Path(name_or_path) if is_path(name_or_path) else FOLDER / f"{name_or_path}{SUFFIX}"
    try:
        return made(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        if is_path(name_or_path):
            raise ProfileError(f"{path}: there is no such file") from None
        raise ProfileError(f"{name_or_path!r} is no profile; known: {', '.join(shipped())}") from None
    except (OSError, ValueError, TypeError, AttributeError) as error:  # of whatever shape it is
        raise ProfileError(f"{path}: {error}; `roadside check` says where") from error


def made(document: dict[str, Any]) -> Profile:
    """Return the profile of a document; raises ValueError, TypeError or ProfileError."""
    tables = dict(document)
    tables["values"] = {name: Value(**_frozen(value)) for name, value in document.get("values", {}).items()}
    tables["groups"] = tuple(Group(**group) for group in document.get("groups", ()))
    tables["wiring"] = tuple(Connection(**wire) for wire in document.get("wiring", ()))
    for key, kind in {"health": Health, "channels": Channels}.items():
        if key in document:
            tables[key] = kind(**_frozen(document[key]))
    if outputs := document.get("outputs"):
        flash = {"flash": Flash(**outputs["flash"])} if "flash" in outputs else {}
        tables["outputs"] = Outputs(**{**outputs, **flash})
    if "line" in document:
        tables["line"] = _line(document["line"])
    profile = Profile(**_frozen(tables))
    for path, text, fields in mistakes(profile):
        raise ProfileError(f"{'.'.join(map(str, path))}: {text.format(**fields)}")
    return profile


def _frozen(table: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}


def _line(text: str) -> SerialLine:
    match = re.fullmatch(LINE, text, re.ASCII)
    if match is None:
        raise ValueError(f"line: {text!r} is no line settings such as '9600 8N1'")
    return SerialLine(int(match[1]), int(match[2]), match[3], int(match[4]))
