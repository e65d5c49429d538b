"""Finding binary frames in a stream that was cut anywhere and may hold noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drivers.contract import Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drivers.contract import Item, Measurement

NOISE_LIMIT = 256  # bytes of noise that make one fault: endless noise is a fault every so often, not one or thousands


@dataclass(frozen=True, slots=True)
class Framing:
    """How one kind of frames is recognised."""

    head: bytes  # what every frame begins with
    header_size: int  # bytes that `size` needs to see, the head included
    size: Callable[[bytes], int]  # header -> bytes of the whole frame; 0 if no frame has such a header
    intact: Callable[[bytes], bool]  # whole frame -> whether its checksum is good
    # Intact frame -> what it says, nothing for an acknowledgement; or a fault, whose offset is given to it later.
    decode: Callable[[bytes], Sequence[Measurement] | Fault]
    spoiled: FaultKind = FaultKind.CHECKSUM  # what a frame that is not intact is called


class FrameDecoder:
    """Decodes a stream of frames, of one or more kinds; a `drivers.contract.Decoder`.

    Whatever turns out not to be a frame is stepped over by one byte only, so that a frame hidden behind a false head
    is found. No byte is told about twice: it was part of a frame, of a damaged frame, or of a run of noise. Where
    a frame with a false length ends, nobody knows: what follows it up to the next head is part of its fault.
    """

    def __init__(self, *framings: Framing) -> None:
        self._framings = framings
        self._longest_head = max(len(framing.head) for framing in framings)
        self._buffer = bytearray()
        self._offset = 0  # of the first byte of the buffer in the stream
        self._told = 0  # offset up to which every byte was in a frame or a fault
        self._spoilt = 0  # offset up to which what is no frame is part of the last fault, which was a false length

    def feed(self, data: bytes) -> list[Item]:
        """Take the next bytes and return what they complete."""
        self._buffer += data
        return self._scan(ended=False)

    def end(self) -> list[Item]:
        """Take the end of a recording: a frame that is not whole is none, but may hide one that is."""
        items = self._scan(ended=True)
        self._end_noise(len(self._buffer), items)
        return items

    def _scan(self, *, ended: bool) -> list[Item]:
        items: list[Item] = []
        position = 0
        while position < len(self._buffer):
            position, framing = self._find_head(position)
            self._skip(position, items)
            if framing is None:
                break
            seen, fault = self._look(framing, position)
            if fault is None:
                self._end_noise(position, items)
                says = framing.decode(seen)
                if isinstance(says, Fault):
                    items.append(says._replace(offset=self._offset + position))
                else:
                    items += says
                position += len(seen)
                self._told = max(self._told, self._offset + position)
                self._spoilt = 0
            elif fault is FaultKind.TRUNCATED and not ended:
                break
            else:
                self._refuse(fault, position, seen, items)
                position += 1
        del self._buffer[:position]
        self._offset += position
        return items

    def _look(self, framing: Framing, position: int) -> tuple[bytes, FaultKind | None]:
        """Return the frame that begins there, or what was looked at and what is wrong with it."""
        header = bytes(self._buffer[position : position + framing.header_size])
        if len(header) < framing.header_size:
            return header, FaultKind.TRUNCATED
        size = framing.size(header)
        if not size:
            return header, FaultKind.BAD_LENGTH
        frame = bytes(self._buffer[position : position + size])
        if len(frame) < size:
            return frame, FaultKind.TRUNCATED
        return frame, None if framing.intact(frame) else framing.spoiled

    def _find_head(self, position: int) -> tuple[int, Framing | None]:
        """Return where the next head begins and whose it is; None if the rest of it is still to come."""
        buffer = self._buffer
        for framing in self._framings:
            if buffer.startswith(framing.head, position):  # as after each good frame
                return position, framing
        first, owner = len(buffer), None
        for framing in self._framings:
            found = buffer.find(framing.head, position, first + len(framing.head) - 1)
            if found >= 0:
                first, owner = found, framing
        for start in range(max(position, len(buffer) - self._longest_head + 1), first):
            if any(framing.head.startswith(buffer[start:]) for framing in self._framings):
                return start, None
        return first, owner

    def _skip(self, position: int, items: list[Item]) -> None:
        """Pass over bytes before `position`, which belong to no frame; only a long run is told about before it ends."""
        self._pass_spoilt(position)
        while self._offset + position - self._told >= NOISE_LIMIT:
            self._noise(NOISE_LIMIT, items)

    def _pass_spoilt(self, position: int) -> None:
        self._told = max(self._told, min(self._spoilt, self._offset + position))

    def _end_noise(self, position: int, items: list[Item]) -> None:
        self._pass_spoilt(position)
        if (size := self._offset + position - self._told) > 0:
            self._noise(size, items)

    def _noise(self, size: int, items: list[Item]) -> None:
        items.append(Fault(FaultKind.GARBAGE, self._told, f"{size} B"))
        self._told += size

    def _refuse(self, kind: FaultKind, position: int, seen: bytes, items: list[Item]) -> None:
        start = self._offset + position
        if start < self._told:
            return  # it began within a damaged frame: a false head in it, or a frame that is told about as noise
        self._end_noise(position, items)
        items.append(Fault(kind, start, seen.hex(" ")))
        self._told = start + len(seen)
        self._spoilt = start + NOISE_LIMIT if kind is FaultKind.BAD_LENGTH else 0
