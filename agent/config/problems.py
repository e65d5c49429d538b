"""What is wrong with a configuration, and where: `gateway.toml:14: devices.air-1.driver: 'x' is not a driver`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING

from agent.config.locate import KeyPath, locate
from agent.i18n import _

if TYPE_CHECKING:
    from collections.abc import Iterable

LONGEST_SHOWN = 60  # characters of a wrong value that are shown


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    place: str  # a file's name, or "--set"
    line: int | None  # counted from 1; None if it is not about a line
    key: str  # dotted; "" for the file as a whole
    text: str
    excerpt: str = ""  # the line itself and a mark below it, for a terminal

    def __str__(self) -> str:
        where = self.place if self.line is None else f"{self.place}:{self.line}"
        if self.place == OVERRIDE:
            return printable(f"{where} {self.key}: {self.text}")
        return printable(f"{where}: {self.key}: {self.text}" if self.key else f"{where}: {self.text}")


OVERRIDE = "--set"


class ConfigError(Exception):
    """A configuration that cannot be used, with all that is wrong with it, in the order of its lines."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems, key=_order)
        super().__init__("\n".join(map(str, self.problems)))


def _order(problem: Problem) -> tuple[bool, str, int]:
    return problem.place == OVERRIDE, problem.place, problem.line or 0


@dataclass(slots=True)
class Source:
    """Where a configuration came from: a text with its name, and what was set over it."""

    name: str
    text: str
    overrides: set[KeyPath] = field(default_factory=set)
    names: dict[KeyPath, str] = field(default_factory=dict)  # of tables in lists, such as alarms
    _lines: dict[KeyPath, int] | None = None

    def line(self, path: KeyPath) -> int:
        """Return the line of a key, or of the nearest table around it."""
        if self._lines is None:
            self._lines = locate(self.text).lines
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def problem(self, path: KeyPath, text: str) -> Problem:
        """Return what is wrong with one key."""
        if any(path[: len(override)] == override for override in self.overrides):
            return Problem(OVERRIDE, None, dotted(path), text)
        return Problem(self.name, self.line(path), self.key(path), text)

    def key(self, path: KeyPath) -> str:
        """Return a key for people: what stands in a list by its name, or else counted from 1."""
        key = ""
        for position, part in enumerate(path, 1):
            if isinstance(part, int):
                key += f" ({self.names.get(path[:position], part + 1)})"
            else:
                key += ("." if key else "") + dotted((part,))
        return key

    def place(self, path: KeyPath) -> str:
        """Return where a key stands, to be named in the problem of another: `devices.rain-1.pin (line 31)`."""
        problem = self.problem(path, "")
        if problem.line is None:
            return f"{problem.key} ({OVERRIDE})"
        return _("{key} (line {line})").format(key=problem.key, line=problem.line)


@dataclass(slots=True)
class Problems:
    """Gathers what is wrong with one source, at most one problem a key."""

    source: Source
    found: dict[KeyPath, Problem] = field(default_factory=dict)
    elsewhere: list[Problem] = field(default_factory=list)  # in files that this one names

    def add(self, path: KeyPath, text: str) -> None:
        """Note what is wrong with a key; the first word about a key stands."""
        self.found.setdefault(path, self.source.problem(path, text))

    def include(self, problems: Iterable[Problem]) -> None:
        """Note what is wrong with a file that this one names."""
        self.elsewhere += problems

    def check(self) -> None:
        """Raise ConfigError if anything was wrong."""
        if self.found or self.elsewhere:
            raise ConfigError([*self.found.values(), *self.elsewhere])


def dotted(path: KeyPath) -> str:
    """Return a key as it is written in TOML and after `--set`."""
    return ".".join(
        part if re.fullmatch(r"[A-Za-z0-9_-]+", part) else json.dumps(part, ensure_ascii=False)
        for part in map(str, path)
    )


def shown(value: object) -> str:
    """Return a wrong value for a message, never long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if len(text) > LONGEST_SHOWN:
        text = text[:LONGEST_SHOWN] + "..."
    return f"'{text}'" if isinstance(value, str) else text


def printable(text: str) -> str:
    """Return a text as one line that cannot play tricks with a terminal."""
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in text)


def nearest(word: str, known: Iterable[str], *, or_list: bool = True) -> str:
    """Return `; did you mean 'plantower'?`, or else what there is to choose from, or nothing if there is nothing."""
    choice = sorted(known)
    if close := get_close_matches(word, choice, n=1):
        return _("; did you mean '{name}'?").format(name=close[0])
    return _("; known: {names}").format(names=", ".join(choice)) if choice and or_list else ""
