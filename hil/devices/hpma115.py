"""Honeywell HPM particle sensors: HPMA115S0 (standard) and HPMA115C0 (compact).

Source: Honeywell, HPM Series datasheet 32322550, tables 4 to 7: 9600 8N1; after power-on it sends 32 bytes a second by
itself, until it is told not to; commands of 68, length, code, data, checksum; A5 A5 is yes and 96 96 is no.
"""

from __future__ import annotations

import asyncio
import struct
from typing import TYPE_CHECKING

from drivers.contract import Reason
from hil.devices.ear import Ear
from hil.devices.talker import Frame, Talker
from hil.emissions import Said
from hil.walk import Walk

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence

    from hil.wires.wire import Wire

YES, NO = b"\xa5\xa5", b"\x96\x96"
READ, START, STOP, READ_FACTOR, SET_FACTOR, BE_SILENT, SPEAK = 0x04, 0x01, 0x02, 0x10, 0x08, 0x20, 0x40
SHARES = {"pm1": 0.7, "pm2_5": 1.0, "pm4": 1.1, "pm10": 1.3}


def answer(code: int, data: bytes) -> bytes:
    """Return the answer with this data."""
    body = bytes((0x40, len(data) + 1, code)) + data
    return body + bytes((-sum(body) & 0xFF,))


def asked(values: Sequence[int]) -> bytes:
    """Return the answer with two concentrations of a standard, or four of a compact sensor and four bytes more."""
    return answer(READ, struct.pack(f">{len(values)}H", *values) + bytes(4 if len(values) == 4 else 0))


def unasked(values: Sequence[int]) -> bytes:
    """Return what it sends by itself."""
    words = list(values) if len(values) == 4 else [0, *values]
    body = b"\x42\x4d" + struct.pack(">14H", 28, *words, *[0] * (13 - len(words)))
    return body + struct.pack(">H", sum(body))


class Hpma115(Talker):
    """A sensor in slowly changing air; it refuses to be read unless `measuring`.

    It speaks by itself only if `speaks`: whoever asks does not hear all that comes unasked.
    """

    settles = 0.2

    def __init__(
        self,
        name: str,
        wire: Wire,
        chance: random.Random,
        *,
        every: float = 1.0,
        compact: bool = False,
        speaks: bool = False,
    ) -> None:
        super().__init__(name, wire, chance, every=every)
        self.speaks = speaks
        self.measuring = True
        self.fan = True
        self._compact = compact
        self._factor = 100
        self._pm2_5 = Walk(chance, 3, 90, 1.5)
        Ear(wire, lambda heard: (heard[1] + 3 if len(heard) > 1 else None) if heard[0] == 0x68 else 0, self._obey)

    def compose(self) -> list[Frame]:
        """Report by itself if it may, else as if it were asked."""
        return [self._report(unasked if self.speaks else asked)]

    async def run(self) -> None:
        """Speak by itself until cancelled."""
        while True:
            if self.speaks and self.measuring:
                self.speak()
            await asyncio.sleep(self._every)

    def _report(self, framed: Callable[[Sequence[int]], bytes]) -> Frame:
        fine = self._pm2_5.step() if self.fan else 0.0
        names = SHARES if self._compact else ("pm2_5", "pm10")
        values = {name: round(fine * SHARES[name] * self._factor / 100) for name in names}
        if self.fan:
            return Frame(framed(list(values.values())), tuple(Said(name, value, 1) for name, value in values.items()))
        # What sends zeros by itself does not show which of the two it is.
        silent = values if framed is asked else ("pm2_5", "pm10")
        return Frame(
            framed(list(values.values())), tuple(Said(name, None, reason=Reason.WARMING_UP) for name in silent)
        )

    def _obey(self, command: bytes) -> None:
        if sum(command) & 0xFF:
            return
        code = command[2]
        if code == READ:
            self.utter([self._report(asked) if self.measuring else Frame(NO)])
        elif code == READ_FACTOR:
            self.utter([Frame(answer(READ_FACTOR, bytes((self._factor,))))])
        else:
            self.utter([Frame(YES if self._change(code, command[3:-1]) else NO)])

    def _change(self, code: int, data: bytes) -> bool:
        """Do what a command says; return whether it was done."""
        if code in {START, STOP}:
            self.measuring = code == START
        elif code in {BE_SILENT, SPEAK}:
            self.speaks = code == SPEAK
        elif code == SET_FACTOR and 30 <= data[0] <= 200:
            self._factor = data[0]
        else:
            return False
        return True
