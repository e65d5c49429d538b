"""Eastron SDM120 energy meter on an RS-485 bus: a Modbus RTU server.

Sources: Eastron SDM120-Modbus protocol implementation V2.4, table of input registers (function 04, each parameter two
registers, IEEE 754 single precision, most significant register first, at most 40 parameters a request; registers in
between that hold nothing read as zero); Modbus over serial line V1.02 for framing and CRC.
"""

from __future__ import annotations

import asyncio
import math
import struct
import time
from typing import TYPE_CHECKING

from hil.devices.talker import GARBAGE, Ailment
from hil.emissions import Emission, Said
from hil.walk import Walk

if TYPE_CHECKING:
    import random

    from hil.wires.wire import Wire

READ_INPUT_REGISTERS = 0x04
ILLEGAL_FUNCTION = 0x01
ILLEGAL_DATA_ADDRESS = 0x02
ILLEGAL_DATA_VALUE = 0x03
MOST_REGISTERS = 80
LAST_REGISTER = 0x0158  # total reactive energy, the last parameter of the table
REQUEST = struct.Struct(">BBHH")
STEP = 0.001  # what the simulated meter rounds to; a float32 carries it exactly enough

# register: quantity, low, high, the most it changes from one request to the next
PARAMETERS = {
    0x0000: ("voltage", 218.0, 242.0, 0.6),
    0x0006: ("current", 0.2, 4.0, 0.1),
    0x000C: ("active_power", 0.0, 1000.0, 0.0),  # what the three others make of it
    0x001E: ("power_factor", 0.8, 1.0, 0.01),
    0x0046: ("frequency", 49.9, 50.1, 0.02),
    0x0048: ("energy_import", 1200.0, 1300.0, 0.0),
}


def crc(data: bytes) -> bytes:
    """Return the CRC of a frame in the order in which it goes on the wire, low byte first."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ 0xA001 if register & 1 else register >> 1
    return register.to_bytes(2, "little")


class Sdm120:
    """A meter. Of its line's faults it can show a leading 00, an echo of the request, and the ailments of `Ailment`."""

    # A reader asks for the meter's parameters in several requests and makes readings when the last is answered.
    settles = 0.5

    def __init__(
        self,
        name: str,
        wire: Wire,
        chance: random.Random,
        *,
        address: int = 1,
        delay: tuple[float, float] = (0.02, 0.06),
    ) -> None:
        self.name = name
        self.ailment: Ailment | None = None
        self.leading_zero = False
        self.echo = False
        self.emitted: list[Emission] = []
        self._wire = wire
        self._chance = chance
        self._address = address
        self._delay = delay
        self._walks = {at: Walk(chance, low, high, stride) for at, (_, low, high, stride) in PARAMETERS.items()}
        self._received = b""
        self._requests: asyncio.Queue[bytes] = asyncio.Queue()
        wire.listen(self._hear)

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            request = await self._requests.get()
            await asyncio.sleep(self._chance.uniform(*self._delay))
            self.answer(request)

    def answer(self, request: bytes) -> None:
        """Put the answer to one good request of ours on the wire."""
        reply, said = self._compose(request)
        match self.ailment:
            case Ailment.SILENT:
                return
            case Ailment.GARBAGE:
                reply, said = bytes(self._chance.choices(GARBAGE, k=9)), []
            case Ailment.CHECKSUM:
                reply, said = reply[:-1] + bytes([reply[-1] ^ 0x01]), []
            case Ailment.TRUNCATED:
                reply, said = reply[: len(reply) // 2], []
            case None:
                pass
        noise = (request if self.echo else b"") + (b"\x00" if self.leading_zero else b"")
        end = self._wire.write(noise + reply)
        at = time.time()
        self.emitted += [item.emitted(self.name, at, end - len(reply), end) for item in said]

    def _hear(self, data: bytes) -> None:
        """Find the request that ends what has come in. A meter on a bus hears much that is not for it."""
        self._received = (self._received + data)[-256:]
        request = self._received[-8:]
        if len(request) == 8 and crc(request[:6]) == request[6:]:
            self._received = b""
            if request[0] == self._address:
                self._requests.put_nowait(request)

    def _compose(self, request: bytes) -> tuple[bytes, list[Said]]:
        _, function, first, count = REQUEST.unpack(request[:6])
        if function != READ_INPUT_REGISTERS:
            return self._exception(function, ILLEGAL_FUNCTION), []
        if count == 0 or count > MOST_REGISTERS or count % 2:
            return self._exception(function, ILLEGAL_DATA_VALUE), []
        if first % 2 or first + count > LAST_REGISTER + 2:
            return self._exception(function, ILLEGAL_DATA_ADDRESS), []
        body, said = bytearray(), []
        for register in range(first, first + count, 2):
            value = self._read(register)
            body += struct.pack(">f", value)
            if register in PARAMETERS:
                said.append(Said(PARAMETERS[register][0], struct.unpack(">f", struct.pack(">f", value))[0], STEP))
        frame = bytes([self._address, function, len(body)]) + body
        return frame + crc(frame), said

    def _read(self, register: int) -> float:
        if register not in self._walks:
            return 0.0
        walk = self._walks[register]
        if PARAMETERS[register][0] == "energy_import":
            walk.value += STEP  # energy only ever grows
        if PARAMETERS[register][0] == "active_power":
            return round(math.prod(self._walks[at].value for at in (0x0000, 0x0006, 0x001E)), 3)
        return round(walk.step(), 3)

    def _exception(self, function: int, code: int) -> bytes:
        frame = bytes([self._address, function | 0x80, code])
        return frame + crc(frame)
