"""Sensirion SPS30 particle sensor, on its UART.

Source: Sensirion SPS30 datasheet, version 1.0 (March 2020), section 5: 115200 8N1, SHDLC frames; idle after power-on,
measuring once started, asleep if told so in idle; ten big-endian floats once a second.
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
    from collections.abc import Sequence

    from hil.wires.wire import Wire

FLAG = 0x7E
STUFFED = {0x7E: 0x5E, 0x7D: 0x5D, 0x11: 0x31, 0x13: 0x33}
UNSTUFFED = {second: first for first, second in STUFFED.items()}
START, STOP, READ, SLEEP, WAKE, CLEAN, RESET = 0x00, 0x01, 0x03, 0x10, 0x11, 0x56, 0xD3
NOT_NOW, UNKNOWN, BAD_PARAMETER = 0x43, 0x02, 0x04
DEVICE_FAULT = 0x80
FLOATS = b"\x01\x03"
# Each value as a share of PM2.5, in the order of the datasheet; the last is a size.
SHARES = {
    "pm1": 0.8,
    "pm2_5": 1.0,
    "pm4": 1.1,
    "pm10": 1.15,
    "n0_5": 5.0,
    "n1": 6.2,
    "n2_5": 6.4,
    "n4": 6.5,
    "n10": 6.5,
}


def frame(*body: int) -> bytes:
    """Return the frame around address to data: checksum, stuffing, flags."""
    stuffed = bytearray()
    for byte in (*body, ~sum(body) & 0xFF):
        stuffed += bytes((0x7D, STUFFED[byte])) if byte in STUFFED else bytes((byte,))
    return bytes((FLAG, *stuffed, FLAG))


def values(numbers: Sequence[float]) -> bytes:
    """Return the answer that carries ten numbers."""
    return frame(0, READ, 0, 40, *struct.pack(">10f", *numbers))


class Sps30(Asked):
    """A sensor. `fresh` can be taken away: no new data; `fault` is the bit of the state that says fan or laser."""

    settles = 0.2

    def __init__(self, name: str, wire: Wire, chance: random.Random, *, every: float = 1.0) -> None:
        super().__init__(name, wire, chance, every=every)
        self.measuring = False
        self.asleep = False
        self.fresh = True
        self.fault = False
        self._woken = False  # by a pulse: the interface hears the next command
        self._pm2_5 = Walk(chance, 3, 90, 1.5)
        Ear(wire, self._size, self._obey)

    def spoil(self, data: bytes) -> bytes:
        """Return a frame whose checksum is wrong: a bit of its command is turned over."""
        return data[:2] + bytes([data[2] ^ 0x20]) + data[3:]

    def compose(self) -> list[Frame]:
        """Answer the question for the values."""
        if not self.fresh:
            return [Frame(frame(0, READ, 0, 0))]
        fine = self._pm2_5.step()
        wanted = {**{name: fine * share for name, share in SHARES.items()}, "particle_size": 0.75}
        packed = struct.pack(">10f", *wanted.values())
        exact = dict(zip(wanted, struct.unpack(">10f", packed), strict=True))
        state = DEVICE_FAULT if self.fault else 0
        said = tuple(
            Said(name, None, reason=Reason.INVALID) if self.fault else Said(name, value, 1e-4)
            for name, value in exact.items()
        )
        return [Frame(frame(0, READ, state, 40, *packed), said)]

    def _size(self, heard: bytes) -> int | None:
        if heard[0] == 0xFF:
            self._woken = True
        if heard[0] != FLAG:
            return 0
        end = heard.find(FLAG, 1)
        return None if end < 0 else 0 if end == 1 else end + 1

    def _obey(self, command: bytes) -> None:
        body = bytearray()
        stuffed = iter(command[1:-1])
        for byte in stuffed:
            body.append(UNSTUFFED[next(stuffed)] if byte == 0x7D else byte)
        if sum(body) & 0xFF != 0xFF or body[0] != 0 or len(body) != 4 + body[2]:
            return
        what, data = body[1], bytes(body[3:-1])
        if self.asleep and not (what == WAKE and self._woken):
            return
        if what == READ and self.measuring:
            self.utter(self.compose())
        else:
            self.utter([Frame(frame(0, what, self._change(what, data), 0))])

    def _change(self, what: int, data: bytes) -> int:
        """Do what a command says, and return the state of the answer."""
        if what == START and data != FLOATS:
            return BAD_PARAMETER
        allowed = {
            START: not self.measuring,
            STOP: self.measuring,
            READ: self.measuring,
            SLEEP: not self.measuring,
            WAKE: self.asleep,
            CLEAN: self.measuring,
            RESET: True,
        }
        if what not in allowed:
            return UNKNOWN
        if not allowed[what]:
            return NOT_NOW
        self.measuring = what in {START, CLEAN}
        self.asleep = what == SLEEP
        return 0
