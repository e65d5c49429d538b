"""Modbus RTU as a client: requests, and finding the one reply to each in what an RS-485 line brings.

A line without fail-safe bias adds 00 or FF around each reply, some adapters echo the request, and late replies and
replies of other devices happen. So the reply that is expected is searched for, at every byte, until its CRC is right.
Source: Modbus application protocol V1.1b3, 6.1 to 6.5 and 7; Modbus over serial line V1.02, 2.5.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from drivers.checksums import crc16_modbus
from drivers.contract import Answer, Ask, Fault, FaultKind
from drivers.modbus import frames
from drivers.modbus.frames import BUSY, EXCEPTION, EXCEPTION_SIZE, FIXED_SIZE, WRITE_COIL

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator


class Reply(NamedTuple):
    """What came of a request: the data, or none and a fault that says why."""

    data: bytes  # registers, two bytes each, high byte first; or bits, eight a byte; empty if nothing usable came
    faults: list[Fault]


class Request:
    """One request, and the search for its reply."""

    def __init__(self, frame: bytes, reply_head: bytes, reply_size: int) -> None:
        """Take the whole frame of the request, what its reply begins with and how long that is."""
        self.frame = frame
        self._address, function = frame[0], frame[1]
        self._reply_head = reply_head
        self._reply_size = reply_size
        self._exception_head = bytes((self._address, function | EXCEPTION))
        self._heard = b""

    @classmethod
    def reading(cls, address: int, function: int, first: int, count: int) -> Request:
        """Return the request to read so many registers or bits."""
        size = frames.data_size(function, count)
        head = bytes((address, function, size))
        return cls(frames.request(address, function, first, count), head, frames.AROUND_DATA + size)

    @classmethod
    def writing(cls, address: int, coil: int, value: int) -> Request:
        """Return the request to write a coil: FF00 is on, 0000 is off, others are the maker's own."""
        frame = frames.request(address, WRITE_COIL, coil, value)
        return cls(frame, frame[:-2], FIXED_SIZE)

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
                    return Answer(heard[start + frames.AROUND_DATA - 2 : end - 2], strays)
                return Answer(b"", strays, Fault(FaultKind.REFUSED, start, frames.refusal(heard[start + 2])))
        return None

    def missed(self) -> list[Fault]:
        """Say what was wrong with what was heard, when no reply was found in time."""
        heard = self._heard
        for start in _everywhere(heard, self._reply_head[:3]):
            if heard.startswith(self.frame, start):
                continue  # an echo
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
            elif size := frames.intact_size(heard, position, min(end, position + frames.LONGEST)):
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


def ask(wanted: Request, *, within: float) -> Generator[Ask, Answer | None, Reply]:
    """Put one request as a part of a poll; a device that says it is busy is asked once more.

    `within` is in seconds from the sending of the request to the last byte of the reply.
    """
    faults: list[Fault] = []
    for last in (False, True):
        answer = yield Ask(wanted.frame, wanted.find, within)
        if answer is None:
            return Reply(b"", [*faults, *wanted.missed()])
        faults += answer.faults
        if answer.refused is None:
            return Reply(answer.payload, faults)
        faults.append(answer.refused)
        if last or answer.refused.detail != frames.refusal(BUSY):
            break
    return Reply(b"", faults)


def read(address: int, function: int, first: int, count: int, *, within: float) -> Generator[Ask, Answer | None, Reply]:
    """Read registers or bits: `reply = yield from client.read(address, function, first, count, within=1.0)`."""
    return (yield from ask(Request.reading(address, function, first, count), within=within))


def write(address: int, coil: int, value: int, *, within: float) -> Generator[Ask, Answer | None, Reply]:
    """Write a coil; an empty reply leaves open whether it was done, and only reading it tells.

    An adapter that echoes what we send makes it look done: the reply to a write is the request itself.
    """
    return (yield from ask(Request.writing(address, coil, value), within=within))


def _everywhere(data: bytes, head: bytes) -> Iterator[int]:
    """Yield each place where `head` is in `data`."""
    start = data.find(head)
    while start >= 0:
        yield start
        start = data.find(head, start + 1)


def _garbage(heard: bytes, start: int, end: int) -> Fault:
    return Fault(FaultKind.GARBAGE, start, heard[start:end].hex(" "))
