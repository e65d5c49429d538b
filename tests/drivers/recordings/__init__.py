"""Recordings of devices with what Roadside makes of them; README.md has the format."""

from __future__ import annotations

import ast
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agent import decoding
from agent.notations import Hex
from drivers import registry
from drivers.contract import InputDriver

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from drivers.contract import Decoder, Driver, Item

FOLDER = Path(__file__).parent


class Recording(NamedTuple):
    """What one device sent once."""

    place: str  # file and line
    driver: str
    head: list[str]  # the lines in front of what is expected, as they are written
    given: dict[str, str]  # settings
    played_on: float  # seconds
    data: bytes
    expected: list[str]

    @property
    def loaded(self) -> Driver:
        """The driver."""
        return registry.load(self.driver)

    @property
    def settings(self) -> object:
        """The driver's settings."""
        return decoding.settings(self.loaded, self.given)

    def decoder(self) -> Decoder:
        """Return a new decoder for it."""
        return decoding.decoder(self.loaded, self.settings, played_on=self.played_on)

    def items(self, chunks: Iterable[bytes]) -> list[Item]:
        """Return what a new decoder makes of these chunks."""
        decoder = self.decoder()
        return [*(item for chunk in chunks for item in decoder.feed(chunk)), *decoder.end()]

    def lines(self, chunks: Iterable[bytes] | None = None) -> list[str]:
        """Return what is printed of it, or of other chunks."""
        units = self.loaded.quantities(self.settings)
        return [decoding.line(item, units) for item in self.items([self.data] if chunks is None else chunks)]


def names() -> list[str]:
    """Return the drivers that have recordings."""
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def serial_names() -> list[str]:
    """Return those of them that are at a serial line, and read bytes."""
    return [name for name in names() if not isinstance(registry.load(name), InputDriver)]


def recordings(name: str) -> list[Recording]:
    """Return the recordings of a driver; raises ValueError."""
    path = FOLDER / f"{name}.txt"
    return [
        recording
        for number, block in _blocks(path.read_text("utf-8"))
        if (recording := _recording(name, f"{path.name}:{number}", block)).data
    ]


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each run of lines that are not blank, with the number of its first line."""
    block: list[str] = []
    for number, line in enumerate([*text.splitlines(), ""], 1):
        if line.strip():
            block.append(line)
        elif block:
            yield number - len(block), block
            block = []


def _recording(name: str, place: str, block: list[str]) -> Recording:
    given, played_on, data = {}, decoding.PLAYED_ON, b""
    head = [line for line in block if not line.startswith("{")]
    for line in head:
        kind, _, rest = line.partition(" ")
        if kind == "#":
            continue
        if kind.startswith("--"):
            words = shlex.split(line)
            for option, value in zip(words[::2], words[1::2], strict=True):
                if option == "--set":
                    key, _, given[key] = value.partition("=")
                elif option == "--for":
                    played_on = float(value)
                else:
                    raise ValueError(f"{place}: {option} is no option of a recording")
        elif kind in READERS:
            data += READERS[kind](rest)
        else:
            raise ValueError(f"{place}: {line!r} is neither a comment, an option, hex, text, edges nor JSON")
    return Recording(place, name, head, given, played_on, data, [line for line in block if line.startswith("{")])


def _hex(text: str) -> bytes:
    notation = Hex()
    return notation.feed(text.encode()) + notation.end()


READERS = {
    "hex": _hex,
    "text": lambda text: ast.literal_eval(f"b{text.strip()}"),
    "edges": lambda text: f"{text}\n".encode(),
}
