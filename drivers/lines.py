"""Finding lines of text in a stream that was cut anywhere and may hold noise."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from drivers.contract import Fault, FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from drivers.contract import Item, Measurement

NOISE_LIMIT = 256  # bytes of noise that make one fault
SHOWN = 80  # characters of a line in a fault's detail
FAULTS = (FaultKind.TRUNCATED, FaultKind.MALFORMED, FaultKind.GARBAGE, FaultKind.OVERRUN)  # what a line may have


class LineDecoder:
    """Splits a stream into lines of ASCII text and reads them; a `drivers.contract.Decoder`.

    `read` is given a line without its end, and whether it is known to be whole: a line may lack its beginning behind
    noise or when we joined in the middle, and its end when a recording ends. It returns what the line says, nothing for
    a line of no interest, or what is wrong with it. `begin` is how a line begins: what stands in front of its last
    match is another line, which was cut. `joined`: the stream may begin within a line. `hint` is said of noise.
    """

    def __init__(
        self,
        read: Callable[[str, bool], Sequence[Measurement] | FaultKind],
        *,
        longest: int,
        end: bytes = b"\n",
        begin: str | None = None,
        joined: bool = False,
        hint: str = "",
    ) -> None:
        self._read = read
        self._longest = longest
        self._end = end
        # The other one of CR and LF may stand beside the end; it is stripped with the blanks.
        self._stop = re.compile(rb"[^\t\r -~]" if end == b"\n" else rb"[^\t\n -~]")
        self._begin = re.compile(begin) if begin else None
        self._hint = hint
        self._buffer = bytearray()  # begins with a line, or behind noise in one
        self._offset = 0  # of the first byte of the buffer in the stream
        self._cut = joined  # the line in the buffer lacks its beginning
        self._told = joined  # that is known already
        self._any = False  # there was a line
        self._noise_until = 0  # offset up to which noise has been told about

    def feed(self, data: bytes) -> list[Item]:
        """Take the next bytes and return what they complete."""
        searched = len(self._buffer)
        self._buffer += data
        items: list[Item] = []
        while found := self._stop.search(self._buffer, searched):
            ended = found[0] == self._end
            size = self._shorten(found.start(), items)
            if ended:
                self._line(size, items, whole=not self._cut)
                self._cut = self._told = False
                self._any = True
            else:
                self._noise(size, items)
            self._drop(size + 1)
            searched = 0
        self._shorten(len(self._buffer), items)
        return items

    def end(self) -> list[Item]:
        """Take the end of a recording, which may have been stopped within a line: a fault if there is no other."""
        items: list[Item] = []
        if self._buffer:
            self._told |= self._any
            self._line(len(self._buffer), items, whole=False)
        return items

    def _line(self, size: int, items: list[Item], *, whole: bool) -> None:
        text = self._buffer[:size].decode("ascii").strip()
        starts = [found.start() for found in self._begin.finditer(text)] if self._begin else []
        if starts and starts[-1]:
            self._refuse(FaultKind.TRUNCATED, text[: starts[-1]], items)
            text = text[starts[-1] :]
            self._told = True
        said = self._read(text, whole)
        if isinstance(said, FaultKind):
            self._refuse(said, text, items)
        else:
            items += said

    def _refuse(self, kind: FaultKind, text: str, items: list[Item]) -> None:
        if not self._told:
            items.append(Fault(kind, self._offset, repr(text[:SHOWN])))

    def _noise(self, size: int, items: list[Item]) -> None:
        at = self._offset + size
        if not self._told or at >= self._noise_until:
            items.append(Fault(FaultKind.GARBAGE, self._offset, self._hint))
            self._noise_until = at + NOISE_LIMIT
        self._cut = self._told = True

    def _shorten(self, size: int, items: list[Item]) -> int:
        """Throw away what is too long of the line of that size; return the size of the rest."""
        while size > self._longest:
            self._refuse_overrun(items)
            self._drop(self._longest)
            size -= self._longest
        return size

    def _refuse_overrun(self, items: list[Item]) -> None:
        items.append(Fault(FaultKind.OVERRUN, self._offset, f"no end of line in {self._longest} B"))
        self._cut = self._told = True

    def _drop(self, size: int) -> None:
        del self._buffer[:size]
        self._offset += size
