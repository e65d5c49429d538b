"""Finding sentences of NMEA 0183 in a stream that was cut anywhere and may hold noise, or the UBX binary of u-blox.

Source: NMEA 0183 4.11, "sentence structure"; UBX: u-blox interface descriptions, "UBX frame structure".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from drivers.contract import Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from drivers.contract import Item

LONGEST = 128  # bytes of text in a sentence; the standard says 82 in all, but receivers do not keep to it
SENTENCE = re.compile(rb"\$[ -#%%-~]{0,%d}(\r?\n)?" % LONGEST)  # printable characters, but no other "$"
UBX = b"\xb5\x62"  # what every UBX frame begins with
NOISE_LIMIT = 4096  # bytes without a sentence that make one fault; longer than any burst of UBX between two sentences


class SentenceDecoder:
    """Splits a stream into sentences and reads them; a `drivers.contract.Decoder`.

    `read` is given a line with its end, whether its checksum is good or not. It returns what the line says, nothing for
    a sentence of no interest, or what is wrong with it.
    """

    def __init__(self, read: Callable[[bytes], list[Item] | FaultKind]) -> None:
        self._read = read
        self._buffer = bytearray()  # begins behind the last sentence, so with what may be noise
        self._offset = 0  # of the first byte of the buffer in the stream
        self._searched = 0  # bytes of the buffer in which no sentence begins

    def feed(self, data: bytes) -> list[Item]:
        """Take the next bytes and return what they complete."""
        buffer = self._buffer
        buffer += data
        items: list[Item] = []
        while (start := buffer.find(b"$", self._searched)) >= 0:
            self._skip(start, items)
            start = self._searched
            found = SENTENCE.match(buffer, start)
            end = found.end() if found else start
            if buffer.endswith(b"\n", start, end):
                self._take(end, self._read(bytes(buffer[start:end])), items)
            elif buffer.startswith(b"$", end):
                self._take(end, FaultKind.TRUNCATED, items)
            elif bytes(buffer[end:]) in {b"", b"\r"}:
                return items  # the rest is still to come
            else:
                self._searched += 1
        self._skip(len(buffer), items)
        return items

    def end(self) -> list[Item]:
        """Take the end of a recording: a sentence may lack the end of its line."""
        line = bytes(self._buffer[self._searched :]).rstrip(b"\r")
        said = self._read(line + b"\r\n") if line else []
        items: list[Item] = []
        self._take(len(self._buffer), FaultKind.TRUNCATED if said is FaultKind.MALFORMED else said, items)
        return items

    def _take(self, end: int, said: list[Item] | FaultKind, items: list[Item]) -> None:
        """Take the line up to `end` out of the buffer, and the noise in front of it."""
        start = self._searched
        noise = bytes(self._buffer[:start]).partition(UBX)[0]
        if noise.strip(b"\r\n\0"):
            items.append(Fault(FaultKind.GARBAGE, self._offset, f"{len(noise)} B"))
        if isinstance(said, FaultKind):
            line = bytes(self._buffer[start:end])
            items.append(Fault(said, self._offset + start, line.decode("ascii").strip()))
        else:
            items += said
        self._drop(end)

    def _skip(self, until: int, items: list[Item]) -> None:
        """Note that no sentence begins before `until`; only very long noise is told about before it ends."""
        self._searched = until
        while self._searched >= NOISE_LIMIT:
            kind = "UBX binary" if UBX in self._buffer[:NOISE_LIMIT] else "noise"
            items.append(Fault(FaultKind.GARBAGE, self._offset, f"{NOISE_LIMIT} B of {kind} without an NMEA sentence"))
            searched = self._searched
            self._drop(NOISE_LIMIT)
            self._searched = searched - NOISE_LIMIT

    def _drop(self, size: int) -> None:
        del self._buffer[:size]
        self._offset += size
        self._searched = 0
