"""Plantower PMS5003, PMS7003 and PMSA003 particle sensors in active mode.

Source: Plantower, PMS5003 series data manual V2.3, appendix I (transport protocol): 9600 8N1, 32 bytes a frame.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from hil.devices.talker import Frame, Talker
from hil.emissions import Said
from hil.walk import Walk

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from hil.wires.wire import Wire

HEAD = b"\x42\x4d"
LENGTH = 28  # of thirteen data words and the checksum
VERSION = 0x97  # of a PMS5003; the low byte of the same word is the error code, 0 in good health


def frame(words: Sequence[int]) -> bytes:
    """Return the frame of twelve data words; version, error code and checksum are added."""
    body = HEAD + struct.pack(">H12HBB", LENGTH, *words, VERSION, 0)
    return body + struct.pack(">H", sum(body))


class Plantower(Talker):
    """A sensor in slowly changing air."""

    def __init__(self, name: str, wire: Wire, chance: random.Random, *, every: float = 1.0) -> None:
        super().__init__(name, wire, chance, every=every)
        self._pm2_5 = Walk(chance, 3, 90, 1.5)

    def compose(self) -> list[Frame]:
        """Report the concentrations in air (words 4 to 6) as integers in ug/m3."""
        fine = self._pm2_5.step()
        pm1, pm2_5, pm10 = (round(fine * share) for share in (0.7, 1.0, 1.3))
        # Under "CF=1", the factory's own conditions, dense air reads half as much again; counts are per 0.1 litre.
        dense = 1.0 if fine < 30 else 1.5
        counts = [round(fine * share) for share in (150, 44, 9, 2, 0.5, 0.2)]
        words = [*(round(value * dense) for value in (pm1, pm2_5, pm10)), pm1, pm2_5, pm10, *counts]
        said = (Said("pm1", pm1, 1), Said("pm2_5", pm2_5, 1), Said("pm10", pm10, 1))
        return [Frame(frame(words), said)]
