"""Modbus RTU as a client, for reading registers: the request, and finding its one reply in what an RS-485 line brings.

A line without fail-safe bias adds 00 or FF around each reply, some adapters echo the request, and late replies and
replies of other devices happen. So the reply that is expected is searched for, at every byte, until its CRC is right.
Source: Modbus application protocol V1.1b3, 6.3, 6.4 and 7; Modbus over serial line V1.02, 2.5.1.
"""

from collections.abc import Generator, Iterator
from typing import NamedTuple

from drivers.checksums import crc16_modbus
from drivers.contract import Answer, Ask, Fault, FaultKind

READ_HOLDING_REGISTERS = 3
READ_INPUT_REGISTERS = 4
EXCEPTION = 0x80  # set in the function code of an exception reply
EXCEPTION_SIZE = 5
LONGEST = 256  # bytes of a frame on a serial line
AROUND_DATA = 5  # address, function, byte count; CRC
REPLIES_WITH_BYTE_COUNT = range(1, 5)  # function codes
EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "server device failure",
    5: "acknowledge",
    6: "server device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target device failed to respond",
}


def framed(body: bytes) -> bytes:
    """Return a whole frame: the body with its CRC."""
    return body + crc16_modbus(body).to_bytes(2, "little")


class Reply(NamedTuple):
    """What came of a request: the registers, or none and a fault that says why."""

    registers: bytes  # two bytes a register, high byte first; empty if there is no usable reply
    faults: list[Fault]


class Request:
    """One request to read `count` registers from `first` on, and the search for its reply."""

    def __init__(self, address: int, function: int, first: int, count: int) -> None:
        self.frame = framed(bytes((address, function)) + first.to_bytes(2, "big") + count.to_bytes(2, "big"))
        self._address = address
        self._reply_head = bytes((address, function, 2 * count))
        self._reply_size = AROUND_DATA + 2 * count
        self._exception_head = bytes((address, function | EXCEPTION))
        self._heard = b""

    def find(self, heard: bytes) -> Answer | None:
        """Look for the reply in all bytes since the request; None if it is not there yet."""
        self._heard = heard
        for head, size in ((self._reply_head, self._reply_size), (self._exception_head, EXCEPTION_SIZE)):
            for start in _everywhere(heard, head):
                end = start + size
                if end > len(heard) or crc16_modbus(heard[start:end]):
                    continue
                strays = (*self._strays(heard, 0, start), *self._strays(heard, end, len(heard)))
                if head is self._reply_head:
                    return Answer(heard[start + len(head) : end - 2], strays)
                code = heard[start + 2]
                detail = f"exception {code}: {EXCEPTIONS.get(code, 'unknown')}"
                return Answer(b"", strays, Fault(FaultKind.REFUSED, start, detail))
        return None

    def missed(self) -> list[Fault]:
        """Say what was wrong with what was heard, when no reply was found in time."""
        heard = self._heard
        for start in _everywhere(heard, self._reply_head):
            reply = heard[start : start + self._reply_size]
            kind = FaultKind.CHECKSUM if len(reply) == self._reply_size else FaultKind.TRUNCATED
            return [*self._strays(heard, 0, start), Fault(kind, start, reply.hex(" "))]
        nothing = Fault(FaultKind.NO_REPLY, len(heard), f"address {self._address}")
        return [*self._strays(heard, 0, len(heard)), nothing]

    def _strays(self, heard: bytes, start: int, end: int) -> Iterator[Fault]:
        """Yield a fault for each run of bytes that is not the reply; an echo of the request is not one."""
        noise = start
        position = start
        while position < end:
            if heard.startswith(self.frame, position, end):
                size, fault = len(self.frame), None
            elif size := _intact_reply_size(heard[position : min(end, position + LONGEST)]):
                fault = self._foreign(heard, position)
            else:
                position += 1
                continue
            if noise < position:
                yield _garbage(heard, noise, position)
            if fault:
                yield fault
            position += size
            noise = position
        if noise < end:
            yield _garbage(heard, noise, end)

    def _foreign(self, heard: bytes, position: int) -> Fault:
        address, function = heard[position], heard[position + 1]
        if address == self._address:
            return Fault(FaultKind.GARBAGE, position, f"late or doubled reply to function {function}")
        return Fault(FaultKind.WRONG_DEVICE, position, f"reply of address {address} to function {function}")


def read(
    address: int, first: int, count: int, *, within: float, function: int = READ_INPUT_REGISTERS
) -> Generator[Ask, Answer | None, Reply]:
    """Read registers as a part of a poll: `reply = yield from modbus.read(address, first, count, within=1.0)`.

    `within` is in seconds from the sending of the request to the last byte of the reply.
    """
    wanted = Request(address, function, first, count)
    answer = yield Ask(wanted.frame, wanted.find, within)
    if answer is None:
        return Reply(b"", wanted.missed())
    refused = [answer.refused] if answer.refused else []
    return Reply(answer.payload, [*answer.faults, *refused])


def _everywhere(data: bytes, head: bytes) -> Iterator[int]:
    """Yield each place where `head` is in `data`."""
    start = data.find(head)
    while start >= 0:
        yield start
        start = data.find(head, start + 1)


def _intact_reply_size(data: bytes) -> int:
    """Return the size of the reply that `data` begins with, whosever it is; 0 if it does not begin with one."""
    if len(data) < EXCEPTION_SIZE:
        return 0
    function = data[1]
    if function in REPLIES_WITH_BYTE_COUNT:
        size = AROUND_DATA + data[2]
    elif function & EXCEPTION:
        size = EXCEPTION_SIZE
    else:
        return 0
    return size if size <= len(data) and not crc16_modbus(data[:size]) else 0


def _garbage(heard: bytes, start: int, end: int) -> Fault:
    return Fault(FaultKind.GARBAGE, start, heard[start:end].hex(" "))
