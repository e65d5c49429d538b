"""Benewake TFmini Plus lidar on a UART.

Source: Benewake SJ-PM-TFmini Plus-T-01 A04, 5.3 (frame: 59 59, distance in cm, strength, temperature as 8 * (Celsius +
256), low byte of the sum; all low byte first), 5.4 (below a strength of 100, or at 65535, the distance is 0) and 6
(commands: 5A, length, id, data, sum). TFmini-S product manual: such distances may also be -1, -2 and -4.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from drivers.contract import Reason
from hil.devices.talker import Frame, Talker
from hil.emissions import Said
from hil.walk import Walk

if TYPE_CHECKING:
    import random

    from hil.wires.wire import Wire

WEAK, OVEREXPOSED = 40, 0xFFFF  # strengths
GET_VERSION, SWITCH_OUTPUT = 0x01, 0x07  # command ids
VERSION = bytes((1, 9, 0))  # 0.9.1


def summed(body: bytes) -> bytes:
    """Return a frame or command with its sum."""
    return body + bytes([sum(body) & 0xFF])


def frame(centimetres: int, strength: int, celsius: float) -> bytes:
    """Return the frame of one measurement; a distance below 0 is a code."""
    return summed(b"\x59\x59" + struct.pack("<HHH", centimetres & 0xFFFF, strength, round((celsius + 256) * 8)))


class Tfmini(Talker):
    """A lidar above things that move slowly. `echo` can be taken away, which it says as `code`; `glare` blinds it."""

    def __init__(self, name: str, wire: Wire, chance: random.Random, *, every: float = 0.01, code: int = 0) -> None:
        super().__init__(name, wire, chance, every=every)
        self.echo = True
        self.glare = False
        self.output = True
        self._code = code
        self._centimetres = Walk(chance, 20, 1100, 3)
        self._strength = Walk(chance, 200, 9000, 50)
        self._celsius = Walk(chance, 25, 60, 0.1)
        wire.listen(self._hear)

    def speak(self) -> None:
        """Make one report unless output is switched off."""
        if self.output:
            super().speak()

    def compose(self) -> list[Frame]:
        """Report distance, strength and temperature."""
        eighths = round(self._celsius.step() * 8)
        warmth = Said("device_temperature", eighths / 8, 1 / 8)
        strength = round(self._strength.step())
        if self.glare:
            blind = [Said(quantity, None, reason=Reason.INVALID) for quantity in ("distance", "signal_strength")]
            return [Frame(frame(0, OVEREXPOSED, eighths / 8), (*blind, warmth))]
        if not self.echo:
            none = Said("distance", None, reason=Reason.NO_ECHO)
            return [Frame(frame(self._code, WEAK, eighths / 8), (none, Said("signal_strength", WEAK, 1), warmth))]
        centimetres = round(self._centimetres.step())
        said = (Said("distance", centimetres / 100, 0.01), Said("signal_strength", strength, 1), warmth)
        return [Frame(frame(centimetres, strength, eighths / 8), said)]

    def _hear(self, data: bytes) -> None:
        """Answer a command."""
        if len(data) < 4 or data[0] != 0x5A or summed(data[:-1]) != data:
            return
        if data[2] == GET_VERSION:
            self._wire.write(summed(bytes((0x5A, 7, GET_VERSION)) + VERSION))
        elif data[2] == SWITCH_OUTPUT:
            self.output = bool(data[3])
            self._wire.write(data)
