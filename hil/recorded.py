"""Captures from the field: what passed on a line, with its times, and what a driver made of it.

`roadside watch --record` writes them; docs/watch-and-probe.md shows one. What is read here is what the rig needs: whose
it is, how its line is set, every byte with its time and direction, and the values.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TITLE = re.compile(r"# Roadside [^,]+, ([a-z0-9-]+) \((.*)\) at (\S+), (\S+); recorded")
FACT = re.compile(r"# (driver|line): (\S.*)")
SETTING = re.compile(r"--set (?:'([^']*)'|(\S+))")
PASSED = re.compile(r"hex ([0-9A-Fa-f ]+)# (\d+\.\d+)( sent)?")
MISSED = re.compile(r"# (\d+) entries are missing here")


class CaptureError(Exception):
    """A file is no capture that can be played; the message says what is missing."""


class Piece(NamedTuple):
    """Bytes that passed at once."""

    at: float  # seconds since the capture began
    data: bytes
    sent: bool = False  # to the device


@dataclass(slots=True)
class Capture:
    """What passed on the line of one device."""

    device: str = ""
    title: str = ""  # maker and model
    recorded: str = ""  # the moment at which it began, ISO 8601
    driver: str = ""
    line: str = ""  # such as "9600 8N1"
    settings: dict[str, str] = field(default_factory=dict)  # of the driver, as they are written behind `--set`
    pieces: list[Piece] = field(default_factory=list)
    values: list[tuple[str, Any]] = field(default_factory=list)  # quantity and value, in the order in which they came
    missing: int = 0  # entries that whoever watched was too slow for

    @property
    def asked(self) -> bool:
        """Whether something was sent to the device."""
        return any(piece.sent for piece in self.pieces)

    @property
    def said(self) -> list[Piece]:
        """What came from the device."""
        return [piece for piece in self.pieces if not piece.sent]

    def of(self, quantity: str) -> list[Any]:
        """Return the values of one quantity."""
        return [value for name, value in self.values if name == quantity]

    def lacking(self, received: Iterable[tuple[str, Any]]) -> list[tuple[str, Any]]:
        """Return the values that are not among those received, each quantity in its order."""
        came = list(received)
        return [
            (quantity, value)
            for quantity in dict.fromkeys(name for name, _ in self.values)
            for value in _left(self.of(quantity), (value for name, value in came if name == quantity))
        ]


def _left(wanted: list[Any], came: Iterable[Any]) -> list[Any]:
    left = list(wanted)
    for value in came:
        if left and value == left[0]:
            del left[0]
    return left


def read(path: Path) -> Capture:
    """Return the capture in a file; raises CaptureError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise CaptureError(f"{path}: cannot be read: {error}") from error
    capture = Capture()
    for number, line in enumerate(map(str.rstrip, lines), 1):
        try:
            _take(capture, line)
        except ValueError as error:
            raise CaptureError(f"{path}:{number}: {error}") from error
    if not capture.said:
        raise CaptureError(
            f"{path}: holds nothing with its time that a device said; `roadside watch --record` makes it"
        )
    if not capture.driver:
        raise CaptureError(f"{path}: does not say '# driver: ...', the driver that reads it")
    capture.device = capture.device or f"{capture.driver}-1".replace("_", "-")
    return capture


def _take(capture: Capture, line: str) -> None:
    """Take one line; raises ValueError."""
    if found := PASSED.fullmatch(line):
        _pass(capture.pieces, Piece(float(found[2]), bytes.fromhex(found[1]), bool(found[3])))
    elif line.startswith("{"):
        shown = json.loads(line)
        if shown.get("value") is not None:
            capture.values.append((shown["quantity"], shown["value"]))
    elif line.startswith("--set"):
        for quoted, plain in SETTING.findall(line):
            key, _, value = (quoted or plain).partition("=")
            capture.settings[key] = value
    elif found := FACT.fullmatch(line):
        setattr(capture, found[1], found[2])
    elif found := MISSED.fullmatch(line):
        capture.missing += int(found[1])
    elif found := TITLE.fullmatch(line):
        capture.device, capture.title, _, capture.recorded = found.groups()


def _pass(pieces: list[Piece], piece: Piece) -> None:
    """Add a piece; what passed at once stands in lines of 64 bytes."""
    last = pieces[-1] if pieces else None
    if last is not None and (last.at, last.sent) == (piece.at, piece.sent):
        pieces[-1] = last._replace(data=last.data + piece.data)
    else:
        pieces.append(piece)
