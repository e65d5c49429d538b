"""Where each key of a TOML text stands. tomllib says what a text means but not where; this says where and never what.

It is tolerant: of a text that is not TOML it finds what it can, and it never raises.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

KeyPath = tuple[str | int, ...]  # table names and keys; the positions within arrays, counted from 0

DEEPEST = 50  # arrays and inline tables within each other

_BLANK = re.compile(r"[ \t]*")
_SKIP = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BASIC = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_LITERAL = re.compile(r"'([^'\n]*)'")
_LONG = re.compile(r'"""(?:[^"\\]|\\.|""?(?!"))*"{3,5}|' + r"'''(?:[^']|''?(?!'))*'{3,5}", re.DOTALL)
_SCALAR = re.compile(r"[^,\]}#\n]*")
_REST = re.compile(r"[^\n]*")
_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([btnfre"\\]))')
_ESCAPES = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", "e": "\x1b", '"': '"', "\\": "\\"}


class Repeat(NamedTuple):
    """A key that stands twice."""

    path: KeyPath
    first: int
    again: int


@dataclass(slots=True)
class Located:
    """The lines of a text's keys, counted from 1. A table that several headers make is where its first one stands."""

    lines: dict[KeyPath, int] = field(default_factory=dict)
    repeats: list[Repeat] = field(default_factory=list)


def locate(text: str) -> Located:
    """Find the line of each key, table and array element."""
    return _Scanner(text.replace("\r\n", "\n")).scan()


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.found = Located()
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._headers: set[KeyPath] = set()  # tables that had a [header] of their own
        self._arrays: dict[KeyPath, int] = {}  # how many elements each [[array of tables]] has so far

    def scan(self) -> Located:
        table: KeyPath = ()
        while self._skip() < len(self.text):
            if self._take("[["):
                table = self._array_header()
            elif self._take("["):
                table = self._header()
            else:
                self._pair(table, 0)
            self._match(_REST)
        return self.found

    # --- lines ---

    def _header(self) -> KeyPath:
        line = self._line()
        table = self._within_arrays(self._key())
        if table in self._headers:
            self.found.repeats.append(Repeat(table, self.found.lines.get(table, line), line))
        self._headers.add(table)
        self._note(table, line)
        return table

    def _array_header(self) -> KeyPath:
        line = self._line()
        array = self._within_arrays(self._key(), whole=False)
        self._note(array, line)
        count = self._arrays.get(array, 0)
        self._arrays[array] = count + 1
        element = (*array, count)
        self._note(element, line)
        return element

    def _pair(self, table: KeyPath, depth: int) -> bool:
        line = self._line()
        key = self._key()
        if not key or not self._take("="):
            return False
        path = (*table, *key)
        if path in self.found.lines:
            self.found.repeats.append(Repeat(path, self.found.lines[path], line))
        for end in range(len(table) + 1, len(path) + 1):
            self._note(path[:end], line)
        self._value(path, depth)
        return True

    # --- values ---

    def _value(self, path: KeyPath, depth: int) -> None:
        self._match(_BLANK)
        if depth > DEEPEST:
            self.at = len(self.text)
        elif self._take("["):
            self._array(path, depth + 1)
        elif self._take("{"):
            self._inline_table(path, depth + 1)
        elif not (self._match(_LONG) or self._match(_BASIC) or self._match(_LITERAL)):
            self._match(_SCALAR)

    def _array(self, path: KeyPath, depth: int) -> None:
        index = 0
        while self._skip() < len(self.text) and not self._take("]"):
            self._note((*path, index), self._line())
            before = self.at
            self._value((*path, index), depth)
            self._skip()
            index += 1
            if not self._take(",") and self.at == before:
                return

    def _inline_table(self, path: KeyPath, depth: int) -> None:
        while self._skip() < len(self.text) and not self._take("}"):
            before = self.at
            self._pair(path, depth)
            self._skip()
            if not self._take(",") and self.at == before:
                return

    # --- keys ---

    def _key(self) -> KeyPath:
        parts: list[str] = []
        while True:
            self._match(_BLANK)
            if match := self._match(_BARE):
                parts.append(match[0])
            elif match := self._match(_BASIC):
                parts.append(_ESCAPE.sub(_unescape, match[1]))
            elif match := self._match(_LITERAL):
                parts.append(match[1])
            else:
                return tuple(parts)
            self._match(_BLANK)
            if not self._take("."):
                return tuple(parts)

    def _within_arrays(self, key: KeyPath, *, whole: bool = True) -> KeyPath:
        """Put the position of the latest element behind each part of a header that names an array of tables."""
        path: KeyPath = ()
        for position, part in enumerate(key, 1):
            path = (*path, part)
            if path in self._arrays and (whole or position < len(key)):
                path = (*path, self._arrays[path] - 1)
        return path

    # --- the text ---

    def _note(self, path: KeyPath, line: int) -> None:
        for end in range(1, len(path) + 1):
            self.found.lines.setdefault(path[:end], line)

    def _line(self) -> int:
        return bisect_right(self._starts, self.at)

    def _skip(self) -> int:
        self._match(_SKIP)
        return self.at

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        if match := pattern.match(self.text, self.at):
            self.at = match.end()
        return match

    def _take(self, token: str) -> bool:
        self._match(_BLANK)
        if not self.text.startswith(token, self.at):
            return False
        self.at += len(token)
        return True


def _unescape(match: re.Match[str]) -> str:
    if match[3]:
        return _ESCAPES[match[3]]
    code = int(match[1] or match[2], 16)
    return chr(code) if code <= 0x10FFFF else "\ufffd"
