"""Recordings of devices with what Roadside makes of them; README.md has the format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agent import decoding, recording
from drivers import registry
from drivers.contract import InputDriver

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drivers.contract import Decoder, Driver, Item

FOLDER = Path(__file__).parent


class Recording(NamedTuple):
    """What one device sent once."""

    place: str  # file and line
    driver: str
    head: list[str]  # the lines in front of what is expected, as they are written
    given: dict[str, str]  # settings
    played_on: float | None  # seconds
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
        Recording(
            f"{path.name}:{one.number}",
            name,
            one.head,
            one.given,
            one.played_on,
            one.data,
            one.expected,
        )
        for one in recording.recordings(path.read_text("utf-8"))
    ]
