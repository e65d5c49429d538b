"""The packs of a segment in memory, as they lie in its file: each becomes an object only when it is wanted.

A segment may hold thousands of small packs. As objects they would take three times as much, in pieces so small that
what lives on between them keeps the memory from being given back.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import defaultdict
from contextlib import suppress
from typing import TYPE_CHECKING

from agent.journal.packing import decode_pack, locate_packs

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from agent.journal.pack import Pack
    from agent.journal.packing import Located
    from agent.journal.state import Key


class Shelf:
    """Packs, found by their numbers; iterating makes all of them, one after the other."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        """Take what `packing.encode_packs` made; a block that it did not is left out."""
        good: list[bytes] = []
        offset = 0
        self._rows: dict[Key, _Row] = defaultdict(_Row)
        for block in blocks:
            with suppress(ValueError):  # a good checksum around nonsense: made by something else than this agent
                for located in locate_packs(block):
                    self._rows[located.span.key].put(located, offset)
                good.append(block)
                offset += len(block)
        self._data = b"".join(good)
        for row in self._rows.values():
            row.sort()

    def pack_with(self, key: Key, number: int) -> Pack | None:
        """Return the pack that has a number, or None."""
        if key not in self._rows:
            return None
        row = self._rows[key]
        at = bisect_right(row.firsts, number) - 1
        return self._pack(row, at) if at >= 0 and row.lasts[at] >= number else None

    def spans(self, key: Key) -> Iterator[tuple[int, int]]:
        """Yield the first and last number of each pack of an epoch and stream."""
        row = self._rows.get(key, _Row())
        return zip(row.firsts, row.lasts, strict=True)

    def __iter__(self) -> Iterator[Pack]:
        return (self._pack(row, at) for row in self._rows.values() for at in range(len(row.firsts)))

    def _pack(self, row: _Row, at: int) -> Pack:
        return decode_pack(self._data, row.heads[at], row.bodies[at])


class _Row:
    """Where the packs of one epoch and stream lie, in the order of their numbers."""

    __slots__ = ("bodies", "firsts", "heads", "lasts")

    def __init__(self) -> None:
        self.firsts = array("Q")
        self.lasts = array("Q")
        self.heads = array("I")  # offsets
        self.bodies = array("I")

    def put(self, located: Located, offset: int) -> None:
        """Take one more, of a block that begins at an offset."""
        self.firsts.append(located.span.first)
        self.lasts.append(located.span.last)
        self.heads.append(offset + located.head)
        self.bodies.append(offset + located.body)

    def sort(self) -> None:
        """Put them in order: what was moved here from an older segment lies behind what is newer."""
        order = sorted(range(len(self.firsts)), key=self.firsts.__getitem__)
        self.firsts = array("Q", map(self.firsts.__getitem__, order))
        self.lasts = array("Q", map(self.lasts.__getitem__, order))
        self.heads = array("I", map(self.heads.__getitem__, order))
        self.bodies = array("I", map(self.bodies.__getitem__, order))
