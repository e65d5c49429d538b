"""Nova Fitness SDS011 particle sensor, and the SDS198.

Source: Nova Fitness, Laser Dust Sensor Control Protocol V1.3: 9600 8N1; reports of 10 bytes once a second, low byte
first, in 0.1 ug/m3; commands of 19 bytes to a device id or to all, answered with 10 bytes.
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

    from hil.wires.wire import Wire

HEAD, TAIL = 0xAA, 0xAB
REPORT, REPORT_SDS198, COMMAND, REPLY = 0xC0, 0xCF, 0xB4, 0xC5
COMMAND_SIZE = 19
MODE, QUERY, DEVICE_ID, SLEEP_OR_WORK, WORKING_PERIOD, FIRMWARE = 2, 4, 5, 6, 8, 7
EVERYBODY = 0xFFFF
TENTH = 0.1


def frame(kind: int, first: int, second: int, device: int) -> bytes:
    """Return the frame of two words and a device id."""
    return _closed(kind, struct.pack("<HH", first, second) + struct.pack(">H", device))


def _closed(kind: int, data: bytes) -> bytes:
    return bytes((HEAD, kind)) + data + bytes((sum(data) & 0xFF, TAIL))


class Sds011(Talker):
    """A sensor in slowly changing air. `fan` can be taken away; `coarse` makes it an SDS198."""

    def __init__(
        self,
        name: str,
        wire: Wire,
        chance: random.Random,
        *,
        every: float = 1.0,
        coarse: bool = False,
        id_: int = 0xA160,
    ) -> None:
        super().__init__(name, wire, chance, every=every)
        self.fan = True
        self.period = 0  # minutes, as it was set
        self._coarse = coarse
        self._id = id_
        self._asked_only = False
        self._working = True
        self._pm2_5 = Walk(chance, 3, 90, 1.5)
        Ear(wire, self._size, self._obey)

    def compose(self) -> list[Frame]:
        """Report the concentrations."""
        fine = self._pm2_5.step()
        if self._coarse:
            first, second, kind = (0x0E, round(2 * fine), REPORT_SDS198) if self.fan else (0, 0, REPORT_SDS198)
            said: tuple[Said, ...] = (_said("pm100", second, 1),)
        else:
            first, second, kind = (round(10 * fine), round(13 * fine), REPORT) if self.fan else (0, 0, REPORT)
            said = (_said("pm2_5", first, TENTH), _said("pm10", second, TENTH))
        return [Frame(frame(kind, first, second, self._id if self.fan else 0), said)]

    def speak(self) -> None:
        """Make a report if it works and speaks unasked."""
        if self._working and not self._asked_only:
            super().speak()

    def _size(self, heard: bytes) -> int | None:
        return COMMAND_SIZE if bytes((HEAD, COMMAND)).startswith(heard[:2]) else 0

    def _obey(self, command: bytes) -> None:
        data = command[2:17]
        (device,) = struct.unpack(">H", data[13:15])
        if command[17:] != bytes((sum(data) & 0xFF, TAIL)) or device not in {self._id, EVERYBODY}:
            return
        what, setting, value = data[0], bool(data[1]), data[2]
        if not self._working and what != SLEEP_OR_WORK:
            return  # asleep it hears nothing but the command to wake
        if what == QUERY:
            self.utter(self.compose())
            return
        if setting and what == MODE:
            self._asked_only = bool(value)
        elif setting and what == SLEEP_OR_WORK:
            self._working = bool(value)
        elif setting and what == WORKING_PERIOD:
            self.period = value
        now = {MODE: self._asked_only, SLEEP_OR_WORK: self._working, WORKING_PERIOD: self.period}
        if what in now:
            said = bytes((what, data[1], int(now[what]), 0)) + struct.pack(">H", self._id)
        elif what == DEVICE_ID:
            (self._id,) = struct.unpack(">H", data[11:13])
            said = bytes((what, 0, 0, 0)) + struct.pack(">H", self._id)
        elif what == FIRMWARE:
            said = bytes((what, 15, 7, 10)) + struct.pack(">H", self._id)
        else:
            return
        self.utter([Frame(_closed(REPLY, said))])


def _said(name: str, steps: int, step: float) -> Said:
    return Said(name, steps * step, step) if steps else Said(name, None, reason=Reason.WARMING_UP)
