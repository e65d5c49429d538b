"""Plantower particle sensors: PMS5003, PMS7003 and PMSA003, PMS3003, and those with temperature or formaldehyde.

Source: Plantower, PMS5003 series data manual V2.3, appendix I (transport protocol): 9600 8N1; frames of 32 bytes, of a
PMS3003 24 and of a PMS5003ST 40; commands of 7 bytes for passive and active mode, for one frame, for sleep and waking.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from drivers.contract import Reason
from hil.devices.ear import Ear
from hil.devices.talker import Frame, Talker
from hil.emissions import Said
from hil.walk import Walk

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from hil.wires.wire import Wire

HEAD = b"\x42\x4d"
VERSION = 0x97  # of a PMS5003; the low byte of the same word is the error code, 0 in good health
PASSIVE_OR_ACTIVE, READ, SLEEP_OR_WAKE = 0xE1, 0xE2, 0xE4
COMMAND_SIZE = 7
WAKING = 3  # frames of zeros after waking, until the fan has its speed
COUNTS = {"n0_3": 150, "n0_5": 44, "n1": 9, "n2_5": 2, "n5": 0.5, "n10": 0.2}  # in 0.1 l, each ug/m3 of PM2.5
CLIMATE = ("temperature", "humidity")


def packed(words: Sequence[int]) -> bytes:
    """Return the frame of so many data words."""
    body = HEAD + struct.pack(f">{len(words) + 1}H", 2 * len(words) + 2, *words)
    return body + struct.pack(">H", sum(body))


class Plantower(Talker):
    """A sensor in slowly changing air; `error` may be set."""

    def __init__(
        self, name: str, wire: Wire, chance: random.Random, *, every: float = 1.0, kind: str = "pms5003"
    ) -> None:
        super().__init__(name, wire, chance, every=every)
        self.error = 0
        self._kind = kind
        self._pm2_5 = Walk(chance, 3, 90, 1.5)
        self._temperature = Walk(chance, 24, 36, 0.1)
        self._humidity = Walk(chance, 45, 95, 0.3)
        self._formaldehyde = Walk(chance, 5, 60, 1)
        self._active = True
        self._awake = True
        self._waking = 0
        Ear(wire, self._size, self._obey)

    def compose(self) -> list[Frame]:
        """Report the concentrations in air (words 4 to 6) as integers in ug/m3, and what else the kind measures."""
        if self._waking:
            self._waking -= 1
        return [self._report(waking=bool(self._waking))]

    def speak(self) -> None:
        """Make a report if it is awake and speaks unasked."""
        if self._awake and self._active:
            super().speak()

    def _report(self, *, waking: bool) -> Frame:
        fine = self._pm2_5.step()
        masses = {name: round(fine * share) for name, share in (("pm1", 0.7), ("pm2_5", 1.0), ("pm10", 1.3))}
        counts = {name: round(fine * share) for name, share in COUNTS.items()}
        climate = {"temperature": round(10 * self._temperature.step()), "humidity": round(10 * self._humidity.step())}
        formaldehyde = round(self._formaldehyde.step())  # ug/m3
        # Under "CF=1", the factory's own conditions, dense air reads half as much again; counts are per 0.1 litre.
        dense = 1.0 if fine < 30 else 1.5
        words = [*(round(value * dense) for value in masses.values()), *masses.values()]
        status = VERSION << 8 | self.error
        match self._kind:
            case "pms3003":
                words, steps = [*words, 0x33D2, 0x0F28, 0x003F], masses
            case "pms5003t":
                steps = {**masses, **dict(list(counts.items())[:4]), **climate}
                words = [*words, *list(steps.values())[3:], status]
            case "pms5003s":
                words, steps = [*words, *counts.values(), formaldehyde], {**masses, **counts, "hcho": formaldehyde}
            case "pms5003st":
                words = [*words, *counts.values(), formaldehyde, *climate.values(), 0, status]
                steps = {**masses, **counts, **climate, "hcho": formaldehyde}
            case _:
                words, steps = [*words, *counts.values(), status], {**masses, **counts}
        if waking:
            return Frame(packed([0] * len(words)), self._nothing(masses, Reason.WARMING_UP))
        if self.error:
            return Frame(packed(words), self._nothing(steps, Reason.INVALID))
        return Frame(packed(words), tuple(said(name, value) for name, value in steps.items()))

    def _nothing(self, names: Sequence[str] | dict[str, int], reason: Reason) -> tuple[Said, ...]:
        return tuple(Said(name, None, reason=reason) for name in names)

    def _size(self, heard: bytes) -> int | None:
        return COMMAND_SIZE if HEAD.startswith(heard[:2]) else 0

    def _obey(self, command: bytes) -> None:
        kind, value = command[2], command[4]
        if struct.pack(">H", sum(command[:-2])) != command[-2:] or (not self._awake and kind != SLEEP_OR_WAKE):
            return
        if kind == READ and not self._active:
            self.utter(self.compose())
        elif kind == PASSIVE_OR_ACTIVE:
            self._active = bool(value)
            self._acknowledge(kind, value)
        elif kind == SLEEP_OR_WAKE:
            if value and not self._awake:
                self._waking = WAKING
            self._awake = bool(value)
            if not value:
                self._acknowledge(kind, value)

    def _acknowledge(self, kind: int, value: int) -> None:
        body = HEAD + bytes((0, 4, kind, value))
        self.utter([Frame(body + struct.pack(">H", sum(body)))])


def said(name: str, steps: int) -> Said:
    """Return what so many steps of the device are in the unit of the quantity."""
    if name in COUNTS:
        return Said(name, steps / 100, 0.01)
    if name in CLIMATE:
        return Said(name, steps / 10, 0.1)
    if name == "hcho":
        return Said(name, round(steps * 24.45 / 30.03, 1), 0.1)  # ppb, of ug/m3 at 25 Cel and 1013 hPa
    return Said(name, steps, 1)
