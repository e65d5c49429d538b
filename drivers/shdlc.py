"""Sensirion's SHDLC on a UART: frames between flags, with the bytes that mean something to a line escaped.

Source: Sensirion SPS30 datasheet, section 5.2: 7E, address, command, (state of an answer,) length, data, checksum, 7E.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from drivers.checksums import sum8
from drivers.contract import Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drivers.contract import Item, Measurement

FLAG = b"\x7e"
ESCAPED = {b"\x7e": b"\x7d\x5e", b"\x7d": b"\x7d\x5d", b"\x11": b"\x7d\x31", b"\x13": b"\x7d\x33"}
MEANT = {escape: byte for byte, escape in ESCAPED.items()}
MUST_ESCAPE = re.compile(rb"[\x7e\x7d\x11\x13]")
ESCAPE = re.compile(rb"\x7d[\x5e\x5d\x31\x33]")
SHORTEST = 4  # bytes: address, command, length, checksum
LONGEST = 128  # bytes between two flags; the longest answer of an SPS30 is 45, each perhaps escaped


def framed(body: bytes) -> bytes:
    """Return the frame of address, command, length and data; the checksum is made before the escaping."""
    summed = body + bytes((~sum8(body) & 0xFF,))
    return FLAG + MUST_ESCAPE.sub(lambda found: ESCAPED[found[0]], summed) + FLAG


def unescape(data: bytes) -> bytes:
    """Return what was meant, in one pass: 7D 5D 31 are the two bytes 7D 31, and not 11."""
    return ESCAPE.sub(lambda found: MEANT[found[0]], data) if b"\x7d" in data else data


class ShdlcDecoder:
    """Decodes a stream of frames; a `drivers.contract.Decoder`.

    A flag may both end a frame and begin the next, so that what stands between any two flags is tried.
    """

    def __init__(self, decode: Callable[[bytes], Sequence[Measurement] | Fault]) -> None:
        """`decode` gets address to data of an intact frame; the offset of a fault is given to it later."""
        self._decode = decode
        self._buffer = bytearray()
        self._offset = 0  # of the first byte of the buffer in the stream
        self._within = False  # whether that follows a flag, and not what is noise in any case

    def feed(self, data: bytes) -> list[Item]:
        """Take the next bytes and return what they complete."""
        buffer = self._buffer
        buffer += data
        items: list[Item] = []
        position = 0
        while True:
            end = buffer.find(FLAG, position, position + LONGEST + 1)
            if end < 0 and len(buffer) - position <= LONGEST:
                break
            if end < 0:
                end = position + LONGEST
                items.append(self._garbage(position, end))
                self._within = False
                position = end
                continue
            if end > position:
                items += self._between(position, end)
            self._within = True
            position = end + 1
        del buffer[:position]
        self._offset += position
        return items

    def end(self) -> list[Item]:
        """Take the end of a recording: a frame without its second flag is none."""
        if not self._buffer:
            return []
        if self._within:
            return [Fault(FaultKind.TRUNCATED, self._offset - 1, self._buffer.hex(" "))]
        return [self._garbage(0, len(self._buffer))]

    def _between(self, start: int, end: int) -> Sequence[Item]:
        """Return what stood before a flag."""
        seen = bytes(self._buffer[start:end])
        frame = unescape(seen)
        if not self._within or len(frame) < SHORTEST:
            return [self._garbage(start, end)]
        offset = self._offset + start - 1  # of the flag
        if sum8(frame) != 0xFF:
            return [Fault(FaultKind.CHECKSUM, offset, seen.hex(" "))]
        says = self._decode(frame[:-1])
        return [says._replace(offset=offset)] if isinstance(says, Fault) else says

    def _garbage(self, start: int, end: int) -> Fault:
        return Fault(FaultKind.GARBAGE, self._offset + start, f"{end - start} B")
