"""Eastron SDM120 energy meter on an RS-485 bus.

Source: Eastron SDM120-Modbus protocol implementation V2.4, table of input registers (function 04, each parameter two
registers, IEEE 754 single precision, most significant register first, at most 40 parameters a request; registers in
between that hold nothing read as zero).
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

from hil.devices.modbus import ILLEGAL_ADDRESS, ILLEGAL_FUNCTION, ILLEGAL_VALUE, READ_INPUT, Refusal, Server
from hil.emissions import Said
from hil.walk import Walk

if TYPE_CHECKING:
    import random

    from hil.wires.wire import Wire

MOST_REGISTERS = 80
LAST_REGISTER = 0x0158  # total reactive energy, the last parameter of the table
STEP = 0.001  # what the simulated meter rounds to; a float32 carries it exactly enough

# register: quantity, low, high, the most it changes from one request to the next
PARAMETERS = {
    0x0000: ("voltage", 218.0, 242.0, 0.6),
    0x0006: ("current", 0.2, 4.0, 0.1),
    0x000C: ("active_power", 0.0, 1000.0, 0.0),  # what the three others make of it
    0x0012: ("apparent_power", 0.0, 1000.0, 0.0),  # so is this
    0x0018: ("reactive_power", -200.0, 200.0, 5.0),
    0x001E: ("power_factor", 0.8, 1.0, 0.01),
    0x0046: ("frequency", 49.9, 50.1, 0.02),
    0x0048: ("energy_import", 1200.0, 1300.0, 0.0),
    0x004A: ("energy_export", 10.0, 20.0, 0.0),
    0x004C: ("reactive_energy_import", 100.0, 200.0, 0.0),
    0x004E: ("reactive_energy_export", 30.0, 40.0, 0.0),
}
COUNTERS = (0x0048, 0x004A, 0x004C, 0x004E)


class Sdm120(Server):
    """A meter."""

    def __init__(self, name: str, wire: Wire, chance: random.Random, **more: Any) -> None:  # noqa: ANN401 - of Server
        super().__init__(name, wire, chance, **more)
        self._walks = {at: Walk(chance, low, high, stride) for at, (_, low, high, stride) in PARAMETERS.items()}

    def serve(self, function: int, first: int, number: int, data: bytes) -> tuple[bytes, list[Said]]:
        """Read parameters."""
        del data
        if function != READ_INPUT:
            raise Refusal(ILLEGAL_FUNCTION)
        if number == 0 or number > MOST_REGISTERS or number % 2:
            raise Refusal(ILLEGAL_VALUE)
        if first % 2 or first + number > LAST_REGISTER + 2:
            raise Refusal(ILLEGAL_ADDRESS)
        body, said = bytearray(), []
        for register in range(first, first + number, 2):
            packed = struct.pack(">f", self._read(register))
            body += packed
            if register in PARAMETERS:
                said.append(Said(PARAMETERS[register][0], struct.unpack(">f", packed)[0], STEP))
        return bytes([len(body)]) + body, said

    def _read(self, register: int) -> float:
        if register not in self._walks:
            return 0.0
        walk = self._walks[register]
        if register in COUNTERS:
            walk.value += STEP  # energy only ever grows
        if PARAMETERS[register][0] == "active_power":
            return round(math.prod(self._walks[at].value for at in (0x0000, 0x0006, 0x001E)), 3)
        if PARAMETERS[register][0] == "apparent_power":
            return round(math.prod(self._walks[at].value for at in (0x0000, 0x0006)), 3)
        return round(walk.step(), 3)
