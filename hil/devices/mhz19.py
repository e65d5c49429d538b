"""Winsen MH-Z19B carbon dioxide sensor, on its UART.

Source: Winsen, MH-Z19B user's manual V1.6: 9600 8N1, questions and answers of 9 bytes. What it says while it boots:
esphome/esphome, pull request 588.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from drivers.contract import Reason
from hil.devices.ear import Asked, Ear
from hil.devices.talker import Frame
from hil.emissions import Said
from hil.walk import Walk

if TYPE_CHECKING:
    import random

    from hil.wires.wire import Wire

SIZE = 9
READ, BASELINE, SPAN, RANGE = 0x86, 0x79, 0x88, 0x99
BOOTING = 15000
FIRST = 410  # ppm, while it boots


def frame(*data: int) -> bytes:
    """Return the frame of seven bytes."""
    return bytes((0xFF, *data, -sum(data) & 0xFF))


def reading(ppm: int, *, temperature: int = 26, status: int = 0, last: int = 0) -> bytes:
    """Return the answer with this concentration and temperature (Cel)."""
    return frame(READ, *struct.pack(">HBBH", ppm, temperature + 40, status, last))


class Mhz19(Asked):
    """A sensor in slowly changing air; it is still `booting` if so set."""

    settles = 0.2

    def __init__(self, name: str, wire: Wire, chance: random.Random, *, every: float = 5.0, limit: int = 5000) -> None:
        super().__init__(name, wire, chance, every=every)
        self.booting = False
        self.limit = limit
        self.baseline = True  # whether it corrects itself every 24 hours
        self._ppm = Walk(chance, 400, 900, 8)
        self._temperature = Walk(chance, 25, 40, 0.2)
        Ear(wire, lambda heard: SIZE if b"\xff\x01".startswith(heard[:2]) else 0, self._obey)

    def compose(self) -> list[Frame]:
        """Answer the question for the concentration."""
        temperature = round(self._temperature.step())
        inside = Said("device_temperature", temperature, 1)
        if self.booting:
            data = reading(FIRST, temperature=temperature, last=BOOTING)
            return [Frame(data, (Said("co2", None, reason=Reason.WARMING_UP), inside))]
        ppm = min(round(self._ppm.step()), self.limit)
        said = Said("co2", ppm, 1) if ppm < self.limit else Said("co2", None, reason=Reason.OUT_OF_RANGE)
        return [Frame(reading(ppm, temperature=temperature), (said, inside))]

    def _obey(self, command: bytes) -> None:
        if sum(command[1:]) & 0xFF:
            return
        if command[2] == READ:
            self.utter(self.compose())
        elif command[2] == BASELINE:
            self.baseline = command[3] == 0xA0
            self.utter([Frame(frame(BASELINE, 1, 0, 0, 0, 0, 0))])
        elif command[2] == RANGE:
            self.limit = command[6] << 8 | command[7]
            self.utter([Frame(frame(RANGE, 1, 0, 0, 0, 0, 0))])
