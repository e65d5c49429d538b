r"""Recordings: what a device sent once, in a text file that a person can read, write and send by mail.

    # Roadside 0.5.0, air-1
    # driver: plantower
    # line: 9600 8N1
    --set mount_height=5.0
    hex 42 4D 00 1C 00 00 ... # 0.0000
    hex 42 4D 00 1C 00 00 ... # 1.0021
    {"quantity": "pm1", "value": 0, "unit": "ug/m3"}

Recordings are separated by blank lines. Each has comments, of which those that say driver and line are read; the
options `--set KEY=VALUE` and `--for SECONDS` of `roadside decode` in one line; what passed on the line as `hex`, `text`
with Python's escapes in quotes, or `edges`, perhaps with the seconds since the beginning behind a `#`, and `sent` if it
was we who sent it; and the lines that `roadside decode` makes of it.
"""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from agent.i18n import _
from agent.notations import Hex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from drivers.contract import SerialLine

FACT = re.compile(r"# (driver|line): (\S.*)")
STAMP = re.compile(r"#\s*(\d+(?:\.\d+)?)( sent)?\s*$")
PLAIN = re.compile(r"(?!(?:true|false|inf|nan)$)[A-Za-z_][\w-]*", re.ASCII)  # a text that TOML takes for nothing else
MOST_IN_A_LINE = 64  # bytes


class RecordingError(ValueError):
    """A file is no recording; the message says where."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(_("line {line}: {text}").format(line=line, text=text))


class Piece(NamedTuple):
    """Bytes that passed at once."""

    data: bytes
    at: float | None = None  # seconds since the beginning, if they were noted
    sent: bool = False  # by us, to the device


class Recording(NamedTuple):
    """What passed on one line."""

    number: int  # of its first line in the file
    head: list[str]  # its lines, but for the last
    facts: dict[str, str]  # "driver" and "line", if they are said
    given: dict[str, str]  # settings of the driver, as they are written behind `--set`
    played_on: float | None  # `--for`, in seconds
    pieces: list[Piece]
    expected: list[str]  # lines of JSON

    @property
    def data(self) -> bytes:
        """All that passed, in either direction."""
        return b"".join(piece.data for piece in self.pieces)


# --- reading ----------------------------------------------------------------------------------------------------------


def recordings(text: str) -> Iterator[Recording]:
    """Yield the recordings in a text; what holds comments alone is none. Raises RecordingError."""
    block: list[str] = []
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.strip():
            block.append(line)
        elif block:
            recording = _recording(number - len(block), block)
            if recording.pieces:
                yield recording
            block = []


def _recording(number: int, block: list[str]) -> Recording:
    read = Recording(number, [], {}, {}, None, [], [])
    for place, line in enumerate(block, number):
        if line.startswith("{"):
            read.expected.append(line)
            continue
        read.head.append(line)
        try:
            if line.startswith("--"):
                read = _with_options(read, line)
            elif line.startswith("#"):
                read.facts.update(FACT.findall(line))
            else:
                read.pieces.append(_piece(line))
        except (ValueError, SyntaxError) as error:
            raise RecordingError(place, f"{line[:60]!r}: {error}") from None
    return read


def _with_options(recording: Recording, line: str) -> Recording:
    words = shlex.split(line)
    for option, value in zip(words[::2], words[1::2], strict=True):
        key, equals, rest = value.partition("=")
        if option == "--set" and equals:
            recording.given[key] = rest
        elif option == "--for":
            recording = recording._replace(played_on=float(value))
        else:
            raise ValueError(_("is no option of a recording"))
    return recording


def _piece(line: str) -> Piece:
    kind, _space, rest = line.partition(" ")
    if kind == "edges":
        return Piece(f"{rest}\n".encode())
    stamp = STAMP.search(rest)
    at, sent = (float(stamp[1]), bool(stamp[2])) if stamp else (None, False)
    if kind == "hex":
        notation = Hex()
        return Piece(notation.feed(rest.encode()) + notation.end(), at, sent)
    if kind == "text":
        from ast import literal_eval

        data = literal_eval(f"b{rest.strip()}")
        if isinstance(data, bytes):
            return Piece(data, at, sent)
    raise ValueError(_("is neither a comment, an option, hex, text, edges nor JSON"))


# --- writing ----------------------------------------------------------------------------------------------------------


def head(remark: str, driver: str, line: SerialLine | str, settings: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines with which a recording begins; `settings` are as `given` returns them."""
    yield f"# {remark}"
    yield f"# driver: {driver}"
    yield f"# line: {line}"
    if settings:
        yield " ".join(f"--set {shlex.quote(f'{key}={value}')}" for key, value in settings.items())


def body(piece: Piece) -> Iterator[str]:
    """Yield the lines for bytes that passed, with their time."""
    for start in range(0, len(piece.data), MOST_IN_A_LINE):
        digits = piece.data[start : start + MOST_IN_A_LINE].hex(" ").upper()
        stamp = "" if piece.at is None else f" # {piece.at:.4f}{' sent' if piece.sent else ''}"
        yield f"hex {digits}{stamp}"


def given(settings: object) -> dict[str, str]:
    """Return the settings of a device that are not as they would be anyway, as they are written behind `--set`."""
    fields = dataclasses.fields(settings) if dataclasses.is_dataclass(settings) else ()
    return {
        each.name: _toml(value)
        for each in fields
        if (value := getattr(settings, each.name)) is not None
        and value != each.default
        and (each.default_factory is dataclasses.MISSING or value != each.default_factory())
    }


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return str(value) if PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_inner, value))}]"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _table((each.name, getattr(value, each.name)) for each in dataclasses.fields(value))
    return _table(value.items()) if isinstance(value, Mapping) else str(value)


def _table(pairs: Iterable[tuple[str, object]]) -> str:
    return f"{{ {', '.join(f'{key} = {_inner(value)}' for key, value in pairs if value is not None)} }}"


def _inner(value: object) -> str:
    """Return a value within another, where a text needs its quotes."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else _toml(value)
