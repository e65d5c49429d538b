"""Devices on an RS-485 line that speak Modbus RTU, several to a line, and all that goes wrong on one.

Sources: Modbus application protocol V1.1b3, sections 6.1 to 6.5, 6.11 and 7; Modbus over serial line V1.02, section 2.5
and 6.2 (CRC); Waveshare, Modbus RTU Relay, for the board's timers.
"""

from __future__ import annotations

import abc
import asyncio
import struct
import time
import tomllib
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drivers import quantities
from hil.devices.talker import GARBAGE, Ailment
from hil.emissions import Said
from hil.walk import Walk

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from hil.emissions import Emission
    from hil.wires.wire import Wire

READ_COILS, READ_DISCRETE, READ_HOLDING, READ_INPUT, WRITE_COIL, WRITE_COILS = 1, 2, 3, 4, 5, 15
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, BUSY = 1, 2, 3, 6
HEAD = struct.Struct(">BBHH")
SHORT = 8  # bytes of all requests but those that write many
LONGEST = 256
MOST_REGISTERS = 125
LATE = 1.5  # seconds: after whoever asked has given up
FORMS = {"u16": ">H", "s16": ">h", "u32": ">I", "s32": ">i", "f32": ">f"}
PROFILES = Path(quantities.__file__).parent / "profiles"


class LineAilment(StrEnum):
    """What may be wrong with a device on a bus, besides `Ailment`."""

    LATE = "late"
    REFUSES = "refuses"  # answers everything with an exception
    BUSY = "busy"  # says that it is busy, each other time
    WEDGED = "wedged"  # holds the line low: nobody else is heard


def crc(data: bytes) -> bytes:
    """Return the CRC of a frame in the order in which it goes on the wire, low byte first."""
    register = 0xFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = (register >> 1) ^ 0xA001 if register & 1 else register >> 1
    return register.to_bytes(2, "little")


class Refusal(Exception):  # noqa: N818 - the answer to a request, and no mistake of ours
    """The device answers with an exception code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Server(abc.ABC):
    """One device on a line. Set `ailment`, `leading_zero`, `trailing_zero` and `echo` to make it or its line ill."""

    # A reader asks for what a device has in several requests and makes readings when the last is answered.
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
        self.ailment: Ailment | LineAilment | None = None
        self.leading_zero = False
        self.trailing_zero = False
        self.echo = False
        self.emitted: list[Emission] = []
        self._wire = wire
        self._chance = chance
        self._address = address
        self._delay = delay
        self._received = b""
        self._was_busy = False
        self._requests: asyncio.Queue[bytes] = asyncio.Queue()
        wire.listen(self._hear)

    @abc.abstractmethod
    def serve(self, function: int, first: int, number: int, data: bytes) -> tuple[bytes, list[Said]]:
        """Return what follows the function code in the reply, and what it says; raises Refusal."""

    async def run(self) -> None:
        """Answer until cancelled."""
        while True:
            request = await self._requests.get()
            late = LATE if self.ailment is LineAilment.LATE else 0.0
            await asyncio.sleep(self._chance.uniform(*self._delay) + late)
            self.answer(request)

    def answer(self, request: bytes) -> None:
        """Put the answer to one good request of ours on the wire."""
        reply, said = self._compose(request)
        match self.ailment:
            case Ailment.SILENT:
                return
            case LineAilment.WEDGED:
                reply, said = bytes(64), []
            case Ailment.GARBAGE:
                reply, said = bytes(self._chance.choices(GARBAGE, k=9)), []
            case Ailment.CHECKSUM:
                reply, said = reply[:-1] + bytes([reply[-1] ^ 0x01]), []
            case Ailment.TRUNCATED:
                reply, said = reply[: len(reply) // 2], []
            case LineAilment.LATE:
                said = []  # nobody waits for it
            case _:
                pass
        before = (request if self.echo else b"") + (b"\x00" if self.leading_zero else b"")
        after = b"\x00" if self.trailing_zero else b""
        end = self._wire.write(before + reply + after) - len(after)
        at = time.time()
        self.emitted += [item.emitted(self.name, at, end - len(reply), end) for item in said]

    def _hear(self, data: bytes) -> None:
        """Find the request that ends what has come in. A device on a bus hears much that is not for it."""
        self._received = (self._received + data)[-LONGEST:]
        for start in range(len(self._received) - SHORT, -1, -1):
            request = self._received[start:]
            if len(request) == _size(request) and crc(request[:-2]) == request[-2:]:
                self._received = b""
                if request[0] == self._address:
                    self._requests.put_nowait(request)
                return

    def _compose(self, request: bytes) -> tuple[bytes, list[Said]]:
        _, function, first, number = HEAD.unpack(request[: HEAD.size])
        try:
            if self.ailment is LineAilment.REFUSES:
                raise Refusal(ILLEGAL_ADDRESS)
            self._was_busy = self.ailment is LineAilment.BUSY and not self._was_busy
            if self._was_busy:
                raise Refusal(BUSY)
            body, said = self.serve(function, first, number, request[HEAD.size + 1 : -2])
        except Refusal as refusal:
            function, body, said = function | 0x80, bytes([refusal.code]), []
        frame = bytes([self._address, function]) + body
        return frame + crc(frame), said


def _size(request: bytes) -> int:
    if request[1] in (WRITE_COILS, 16):
        return 9 + request[6] if len(request) > 6 else 0
    return SHORT


class Meter(Server):
    """Anything that is read: it has what a profile says, and nothing in between. Values wander between two ends."""

    def __init__(self, name: str, wire: Wire, chance: random.Random, *, profile: str, **more: Any) -> None:  # noqa: ANN401 - of Server
        """Take the name of a shipped profile, or the path of any."""
        super().__init__(name, wire, chance, **more)
        path = Path(profile) if "/" in profile else PROFILES / f"{profile}.toml"
        document = tomllib.loads(path.read_text("utf-8"))
        self._function: int = document.get("function", READ_HOLDING)
        self._low_first = document.get("words") == "low first"
        self._values: Mapping[str, dict[str, Any]] = document["values"]
        self._wandering = {quantity: Walk(chance, 10.0, 40.0, 1.0) for quantity in self._values}
        self._registers: dict[int, int] = {}
        if "health" in document:
            self._registers[document["health"]["register"]] = 1
        for quantity in self._values:
            self._load(quantity, self._wandering[quantity].value)

    def set(self, first: int, data: bytes) -> None:
        """Fill registers with bytes; they stay so until the values wander on."""
        for offset in range(0, len(data), 2):
            self._registers[first + offset // 2] = int.from_bytes(data[offset : offset + 2], "big")

    def wander(self) -> None:
        """Let the values change."""
        for quantity, walk in self._wandering.items():
            self._load(quantity, walk.step())

    def serve(self, function: int, first: int, number: int, data: bytes) -> tuple[bytes, list[Said]]:
        """Read registers."""
        del data
        if function != self._function:
            raise Refusal(ILLEGAL_FUNCTION)
        if not 1 <= number <= MOST_REGISTERS:
            raise Refusal(ILLEGAL_VALUE)
        asked = range(first, first + number)
        body = b"".join(self._registers.get(register, 0).to_bytes(2, "big") for register in asked)
        said = [
            self._said(quantity)
            for quantity, value in self._values.items()
            if value["register"] in asked and value["register"] + self._width(quantity) - 1 in asked
        ]
        return bytes([len(body)]) + body, said

    def _width(self, quantity: str) -> int:
        return struct.calcsize(self._form(quantity)) // 2

    def _form(self, quantity: str) -> str:
        return FORMS[self._values[quantity].get("type", "u16")]

    def _load(self, quantity: str, value: float) -> None:
        entry, form = self._values[quantity], self._form(quantity)
        number: float = (value - entry.get("offset", 0.0)) / entry.get("scale", 1.0)
        if "true" in entry:
            number = entry["true"] if value > 25.0 else 0
        data = struct.pack(form, number if form == ">f" else round(number))
        self.set(entry["register"], data[2:] + data[:2] if self._low_first and len(data) > 2 else data)

    def _said(self, quantity: str) -> Said:
        entry, form = self._values[quantity], self._form(quantity)
        numbers = range(entry["register"], entry["register"] + self._width(quantity))
        data = b"".join(self._registers.get(register, 0).to_bytes(2, "big") for register in numbers)
        if self._low_first and len(data) > 2:
            data = data[2:] + data[:2]
        (number,) = struct.unpack(form, data)
        if "true" in entry:
            return Said(quantity, number == entry["true"])
        scale = entry.get("scale", 1.0)
        return Said(quantity, number * scale + entry.get("offset", 0.0), 1e-5 * abs(number) if form == ">f" else scale)


class Board(Server):
    """A relay board: coils that are read and written, off when it has its power again. Some count the time."""

    def __init__(
        self,
        name: str,
        wire: Wire,
        chance: random.Random,
        *,
        relays: int = 8,
        flash: int | None = None,
        **more: Any,  # noqa: ANN401 - of Server
    ) -> None:
        """Take how many relays it has, and the coil by which the first is switched on for tenths of a second."""
        super().__init__(name, wire, chance, **more)
        self.coils = [False] * relays
        self._flash = flash
        self._timers: dict[int, asyncio.TimerHandle] = {}

    def lose_power(self) -> None:
        """Go off and forget everything."""
        self._received = b""
        for coil in range(len(self.coils)):
            self._put(coil, on=False)

    def serve(self, function: int, first: int, number: int, data: bytes) -> tuple[bytes, list[Said]]:
        """Read and write coils."""
        if function == READ_COILS:
            self._check(first, number)
            bits = sum(on << place for place, on in enumerate(self.coils[first : first + number]))
            size = (number + 7) // 8
            return bytes([size]) + bits.to_bytes(size, "little"), []
        if function == WRITE_COIL:
            self._write(first, number)
            return struct.pack(">HH", first, number), []
        if function == WRITE_COILS:
            self._check(first, number)
            for place in range(number):
                self._put(first + place, on=bool(data[place // 8] >> place % 8 & 1))
            return struct.pack(">HH", first, number), []
        raise Refusal(ILLEGAL_FUNCTION)

    def _check(self, first: int, number: int) -> None:
        if number < 1 or first + number > len(self.coils):
            raise Refusal(ILLEGAL_ADDRESS)

    def _write(self, coil: int, value: int) -> None:
        if self._flash is not None and self._flash <= coil < self._flash + len(self.coils):
            self._put(coil - self._flash, on=True)
            loop = asyncio.get_running_loop()
            self._timers[coil - self._flash] = loop.call_later(value / 10, self._put, coil - self._flash, False)
            return
        self._check(coil, 1)
        if value not in (0x0000, 0xFF00):
            raise Refusal(ILLEGAL_VALUE)
        self._put(coil, on=value == 0xFF00)

    def _put(self, coil: int, on: bool) -> None:
        if timer := self._timers.pop(coil, None):
            timer.cancel()
        self.coils[coil] = on
