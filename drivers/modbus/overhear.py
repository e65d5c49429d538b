"""Reading a recording of a Modbus line: replies, with or without the requests in front of them.

A frame carries no length of its own that could be trusted and no mark at its beginning, so a frame is whatever has a
good CRC. What begins like the reply that is awaited is waited for; anything else is looked through while more comes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from drivers.checksums import crc16_modbus
from drivers.contract import Fault, FaultKind
from drivers.modbus import frames
from drivers.modbus.frames import EXCEPTION, EXCEPTION_SIZE, FIXED_SIZE, READING, WRITE_COIL

if TYPE_CHECKING:
    from drivers.contract import Item, Measurement

NOISE_LIMIT = 256  # bytes of noise that make one fault


Groups = tuple[tuple[int, int], ...]  # first and count of what a device is asked for


class Meaning(Protocol):
    """What a device's replies mean."""

    function: int  # by which it is read
    groups: Groups
    sizes: frozenset[int]  # bytes of data of replies that it may well give
    writes: bool  # whether its coils are written

    def read(self, first: int, count: int, data: bytes) -> list[Measurement]:
        """Return what a reply says that holds so many registers or bits from the first on."""
        ...

    def written(self, coil: int, value: int) -> list[Measurement]:
        """Return what a coil was made to be; nothing if it is not this device's."""
        ...


class _Asked(NamedTuple):
    address: int
    function: int
    first: int
    number: int  # of registers or bits

    @property
    def data_size(self) -> int:
        return frames.data_size(self.function, self.number)


class Overheard:
    """Decodes a recording; a `drivers.contract.Decoder`.

    `address` is the device's; None: that of the first reply. `register` is the first register of a reply that no
    request tells anything about; None: it is the group that has so many. A write of a coil and its reply are the same
    bytes: the first of them counts, and one that follows at once is its reply.
    """

    def __init__(self, meaning: Meaning, address: int | None, register: int | None) -> None:
        self._meaning = meaning
        self._address = address
        self._register = register
        self._groups: dict[int, list[tuple[int, int]]] = {}  # by the bytes of their data
        for group in meaning.groups:
            self._groups.setdefault(frames.data_size(meaning.function, group[1]), []).append(group)
        self._asked: _Asked | None = None
        self._has_requests = False
        self._before = b""  # the last frame, if it wrote a coil
        self._buffer = bytearray()
        self._offset = 0  # of the first byte of the buffer in the stream
        self._told = 0  # offset up to which every byte was in a frame or a fault
        self._ended = False

    def feed(self, data: bytes) -> list[Item]:
        """Take the next bytes and return what they complete."""
        self._buffer += data
        items: list[Item] = []
        at, kept = 0, None  # kept: the first place where a frame may have begun that is not whole yet
        while at < len(self._buffer):
            size = self._judge(at, items)
            if size is None:
                break
            if size > 0:
                if self._told < self._offset + at:
                    self._noise(self._offset + at, items)
                items += self._take(bytes(self._buffer[at : at + size]), self._offset + at)
                at += size
                self._told = max(self._told, self._offset + at)
                kept = None
                continue
            if size < 0 and kept is None:
                kept = at
            at += 1
        self._drop(at if kept is None else kept, items)
        return items

    def end(self) -> list[Item]:
        """Take the end of the recording: what was waited for does not come."""
        self._ended = True
        items = self.feed(b"")
        self._noise(self._offset + len(self._buffer), items)
        return items

    # --- frames ---

    def _judge(self, at: int, items: list[Item]) -> int | None:
        """Return the size of the frame that begins there; 0 if none does, -1 if perhaps, None if it is waited for."""
        sizes = frames.sizes(self._buffer, at)
        if sizes is None:
            return 0 if self._ended else None
        if not sizes:
            return 0
        left = len(self._buffer) - at
        awaited = self._awaited(at)
        # The one that is awaited first: mostly it is that, and a CRC takes its time.
        if 0 < awaited <= left and not crc16_modbus(bytes(self._buffer[at : at + awaited])):
            return awaited
        for size in sizes:
            if size != awaited and size <= left and not crc16_modbus(bytes(self._buffer[at : at + size])):
                return size
        if awaited in sizes:
            if awaited > left and not self._ended:
                return None
            kind = FaultKind.TRUNCATED if awaited > left else FaultKind.CHECKSUM
            self._refuse(kind, at, min(awaited, left), items)
            return 0
        if sizes[-1] <= left:
            return 0
        if self._ended and self._buffer[at + 1] == self._meaning.function and self._is_ours(self._buffer[at]):
            self._refuse(FaultKind.TRUNCATED, at, left, items)
        return 0 if self._ended else -1

    def _awaited(self, at: int) -> int:
        """Return the size of the device's reply, if the bytes there begin as one does; 0 if not."""
        address, function = self._buffer[at], self._buffer[at + 1]
        asked = self._asked
        if not (self._is_ours(address) if asked is None else address == asked.address):
            return 0
        if function == self._meaning.function:
            size = self._buffer[at + 2]
            expected = size in self._meaning.sizes if asked is None else size == asked.data_size
            return frames.AROUND_DATA + size if expected else 0
        if function == self._meaning.function | EXCEPTION:
            return EXCEPTION_SIZE
        return FIXED_SIZE if function == WRITE_COIL and self._meaning.writes else 0

    def _is_ours(self, address: int) -> bool:
        return self._address in (None, address)

    def _take(self, frame: bytes, offset: int) -> list[Item]:
        """Return what a good frame says."""
        address, function = frame[0], frame[1]
        before, self._before = self._before, b""
        if function in READING and self._is_request(frame):
            self._asked = _Asked(address, function, *_two_numbers(frame))
            self._has_requests = True
            return []
        if function == WRITE_COIL:
            if not self._is_ours(address) or frame == before:
                return []
            self._before = frame
            return list(self._meaning.written(*_two_numbers(frame)))
        if function not in READING and not function & EXCEPTION:
            return []  # whoever sets the device up; none of it is measured
        asked = self._asked
        if address != asked.address if asked is not None else not self._is_ours(address):
            detail = f"reply of address {address} to function {function & ~EXCEPTION}"
            return [Fault(FaultKind.WRONG_DEVICE, offset, detail)]
        if function & EXCEPTION:
            self._asked = None
            return [Fault(FaultKind.REFUSED, offset, frames.refusal(frame[2]))] if self._is_ours(address) else []
        return self._reply(address, function, frame[3:-2], offset)

    def _is_request(self, frame: bytes) -> bool:
        """Tell a request from a reply of the same size, which has three bytes of data."""
        is_awaited = self._asked is not None and self._asked.data_size == frame[2]
        return len(frame) == FIXED_SIZE and not (frame[2] == FIXED_SIZE - frames.AROUND_DATA and is_awaited)

    def _reply(self, address: int, function: int, data: bytes, offset: int) -> list[Item]:
        asked, meaning = self._asked, self._meaning
        if asked is not None and (function, len(data)) == (asked.function, asked.data_size):
            self._asked = None
            if not self._is_ours(address):
                return []  # somebody else's, to somebody else's request
            self._address = address
            return list(meaning.read(asked.first, asked.number, data)) if function == meaning.function else []
        if asked is not None or self._has_requests:
            return [Fault(FaultKind.GARBAGE, offset, f"late or doubled reply to function {function}")]
        self._address = address
        place = self._place(len(data)) if function == meaning.function else None
        if place is None:
            detail = f"function {function}, {len(data)} bytes: which registers is not told, by a request or a setting"
            return [Fault(FaultKind.MALFORMED, offset, detail)]
        return list(meaning.read(*place, data))

    def _place(self, size: int) -> tuple[int, int] | None:
        """Return first and count of a reply without a request."""
        if self._register is not None:
            return self._register, size * 8 if self._meaning.function in frames.OF_BITS else size // 2
        fitting = self._groups.get(size, ())
        return fitting[0] if len(fitting) == 1 else None

    # --- what is no frame ---

    def _drop(self, at: int, items: list[Item]) -> None:
        """Forget the bytes before a place; of a long run of noise, something is told at once."""
        while self._offset + at - self._told >= NOISE_LIMIT:
            self._noise(self._told + NOISE_LIMIT, items)
        del self._buffer[:at]
        self._offset += at

    def _noise(self, end: int, items: list[Item]) -> None:
        while self._told < end:
            size = min(end - self._told, NOISE_LIMIT)
            items.append(Fault(FaultKind.GARBAGE, self._told, f"{size} B"))
            self._told += size

    def _refuse(self, kind: FaultKind, at: int, size: int, items: list[Item]) -> None:
        start = self._offset + at
        if start < self._told:
            return  # it began within another one
        self._noise(start, items)
        items.append(Fault(kind, start, self._buffer[at : at + size].hex(" ")))
        self._told = start + size


def _two_numbers(frame: bytes) -> tuple[int, int]:
    return int.from_bytes(frame[2:4], "big"), int.from_bytes(frame[4:6], "big")
