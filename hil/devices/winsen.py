"""Winsen modules: ZE (one gas) and ZH (dust), on their UART.

Source: Winsen manuals of the ZE07-CO, ZE07-CH2O, ZE08-CH2O and ZH03B: 9600 8N1, 9 bytes; a ZH sends 24 by itself. They
speak once a second until command 78 41 switches them to questions, 78 40 back; A7 01 lets a ZH sleep, A7 00 wakes it.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from drivers.contract import Reason
from hil.devices.ear import Ear
from hil.devices.talker import Frame, Talker
from hil.emissions import Said
from hil.walk import Walk

if TYPE_CHECKING:
    import random

    from hil.wires.wire import Wire

SIZE = 9
READ, MODE, SLEEP = 0x86, 0x78, 0xA7
BY_ITSELF, ASKED = 0x40, 0x41
PPM, PPB = 0x03, 0x04
FAILED = 0x8000


class Gas(NamedTuple):
    """One kind of ZE module."""

    quantity: str
    type: int
    unit: int
    decimals: int
    full_scale: int
    ug_per_ppb: float | None  # None: answers in its own steps

    @property
    def step(self) -> float:
        """Return one step in ppb."""
        return float(10**-self.decimals * (1000 if self.unit == PPM else 1))


GASES = {
    "ze07_co": Gas("co", 0x04, PPM, 1, 5000, None),
    "ze08_ch2o": Gas("hcho", 0x17, PPB, 0, 5000, 30.03 / 22.4),
    "ze25_o3": Gas("o3", 0x2A, PPB, 0, 10000, 48.0 / 22.4),
}


def frame(*data: int) -> bytes:
    """Return the frame of seven bytes."""
    return bytes((0xFF, *data, -sum(data) & 0xFF))


def unasked(type_: int, unit: int, decimals: int, steps: int, full_scale: int) -> bytes:
    """Return what a ZE sends by itself."""
    return frame(type_, unit, decimals, *struct.pack(">HH", steps, full_scale))


def answer(first: int, second: int, third: int) -> bytes:
    """Return the answer of three words: ug/m3, 0 and ppb of a ZE; PM2.5, PM10 and PM1 of a ZH."""
    return frame(READ, *struct.pack(">3H", first, second, third))


def dust(pm1: int, pm2_5: int, pm10: int) -> bytes:
    """Return what a ZH sends by itself."""
    body = b"\x42\x4d" + struct.pack(">10H", 20, 0, 0, 0, pm1, pm2_5, pm10, 0, 0, 0)
    return body + struct.pack(">H", sum(body))


class Winsen(Talker):
    """A module, of the kinds of `GASES` or "zh03b"; its `fan`, its health and clean air can be taken away."""

    def __init__(
        self,
        name: str,
        wire: Wire,
        chance: random.Random,
        *,
        every: float = 1.0,
        kind: str = "ze07_co",
        asked: bool = False,
    ) -> None:
        super().__init__(name, wire, chance, every=every)
        self.fan = True
        self.failed = False
        self.foul = False
        self.asked = asked
        self.asleep = False
        self._gas = GASES.get(kind)
        self._walk = Walk(chance, 5, 60, 1)
        Ear(wire, lambda heard: SIZE if b"\xff\x01".startswith(heard[:2]) else 0, self._obey)

    def compose(self) -> list[Frame]:
        """Report by itself, or answer."""
        return [self._dust() if self._gas is None else self._of_gas(self._gas)]

    def speak(self) -> None:
        """Make a report if it speaks by itself."""
        if not self.asked and not self.asleep:
            super().speak()

    def _dust(self) -> Frame:
        fine = self._walk.step() if self.fan else 0.0
        values = {name: round(fine * share) for name, share in (("pm1", 0.7), ("pm2_5", 1.0), ("pm10", 1.3))}
        said = tuple(
            Said(name, value, 1) if self.fan else Said(name, None, reason=Reason.WARMING_UP)
            for name, value in values.items()
        )
        words = values["pm2_5"], values["pm10"], values["pm1"]
        return Frame(answer(*words) if self.asked else dust(*values.values()), said)

    def _of_gas(self, gas: Gas) -> Frame:
        steps = gas.full_scale if self.foul else round(self._walk.step())
        if self.failed:
            said = Said(gas.quantity, None, reason=Reason.INVALID)
            steps |= FAILED
        elif self.foul and not self.asked:
            said = Said(gas.quantity, None, reason=Reason.OUT_OF_RANGE)
        else:
            said = Said(gas.quantity, steps * gas.step, gas.step)
        if not self.asked:
            return Frame(unasked(gas.type, gas.unit, gas.decimals, steps, gas.full_scale), (said,))
        words = (steps, 0, 0) if gas.ug_per_ppb is None else (int(steps * gas.ug_per_ppb), 0, steps)
        return Frame(answer(*words), (said,))

    def _obey(self, command: bytes) -> None:
        if sum(command[1:]) & 0xFF:
            return
        code, value = command[2], command[3]
        if code == READ and self.asked and not self.asleep:
            self.utter(self.compose())
        elif code == MODE and value in {BY_ITSELF, ASKED}:
            self.asked = value == ASKED
            self.utter([Frame(frame(MODE, 1, 0, 0, 0, 0, 0))])
        elif code == SLEEP:
            self.asleep = bool(value)
            self.utter([Frame(frame(SLEEP, 1, 0, 0, 0, 0, 0))])
