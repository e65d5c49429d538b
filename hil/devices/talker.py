"""A serial device that speaks unasked, and the ways in which it goes wrong."""

from __future__ import annotations

import abc
import asyncio
import time
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import random

    from hil.emissions import Emission, Said
    from hil.wires.wire import Wire

# What a UART makes of a line at the wrong speed: few values, over and over, none of which begins a frame or a sentence.
GARBAGE = bytes.fromhex("98 e6 80 00 66 86 1e 78 f8 06")


class Ailment(StrEnum):
    """What may be wrong with a device."""

    SILENT = "silent"
    GARBAGE = "garbage"
    CHECKSUM = "checksum"
    TRUNCATED = "truncated"


class Frame(NamedTuple):
    """Bytes on the wire, and what they say to a correct reader."""

    data: bytes
    said: tuple[Said, ...] = ()


class Talker(abc.ABC):
    """Speaks at a steady pace and remembers what it said. Set `ailment` to make it ill."""

    # Seconds after a frame within which a reader that is killed may not have made readings of it yet.
    settles: float = 0.05

    def __init__(self, name: str, wire: Wire, chance: random.Random, *, every: float) -> None:
        self.name = name
        self.ailment: Ailment | None = None
        self.emitted: list[Emission] = []
        self._wire = wire
        self._chance = chance
        self._every = every

    @abc.abstractmethod
    def compose(self) -> list[Frame]:
        """Return the frames of one report, each with what it says."""

    def spoil(self, data: bytes) -> bytes:
        """Return a frame whose checksum is wrong."""
        return data[:-1] + bytes([data[-1] ^ 0x01])

    async def run(self) -> None:
        """Speak until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            self.speak()
            due = max(due + self._every, loop.time())  # after a stall it goes on, and does not catch up
            await asyncio.sleep(due - loop.time())

    def speak(self) -> None:
        """Make one report, in good health or not."""
        self.utter(self.compose())

    def utter(self, frames: list[Frame]) -> None:
        """Put frames on the wire, as the device's health lets it."""
        match self.ailment:
            case None:
                self._say(frames)
            case Ailment.SILENT:
                pass
            case Ailment.GARBAGE:
                self._wire.write(bytes(self._chance.choices(GARBAGE, k=32)))
            case Ailment.CHECKSUM:
                self._wire.write(b"".join(self.spoil(frame.data) for frame in frames))
            case Ailment.TRUNCATED:
                self._wire.write(b"".join(frame.data[: len(frame.data) // 2] for frame in frames))

    def _say(self, frames: list[Frame]) -> None:
        # One write, so that the wire sees one burst and not a reader's progress between two frames of it.
        end = self._wire.write(b"".join(frame.data for frame in frames))
        at = time.time()
        start = end - sum(len(frame.data) for frame in frames)
        for frame in frames:
            stop = start + len(frame.data)
            self.emitted += [said.emitted(self.name, at, start, stop) for said in frame.said]
            start = stop
