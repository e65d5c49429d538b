"""What of a pack a receiver is given, all at once or in parts: whole records are taken out of its body.

Its numbers say which are in it.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from agent import senml
from agent.journal.pack import Pack
from agent.readings import Stream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from agent.config.model import Uplink

# Between two records. Within a text the quotation mark would be escaped, so this stands nowhere else.
_BETWEEN = b'},{"n":"'
_BEGIN, _END = b'{"n":"', b"}]"


class Selection:
    """The devices, quantities and alarms that one uplink's receiver is given."""

    def __init__(self, uplink: Uplink) -> None:
        self._uplink = uplink.id
        self._devices = uplink.devices
        self._quantities = uplink.quantities
        self._alarms = uplink.alarms
        self.all_alarms = uplink.alarms and uplink.quantities is None  # those of its devices
        self._keeps_name = lru_cache(maxsize=4096)(self._judge)

    def has(self, device: str, quantity: str = "") -> bool:
        """Return whether a quantity of a device is given away; without a quantity, the device as a whole."""
        chosen = self._devices is None or device in self._devices
        return chosen and (not quantity or self._quantities is None or quantity in self._quantities)

    def of(self, pack: Pack) -> Pack:
        """Return what is left of a pack, perhaps without any number; the pack itself if that is all of it."""
        if pack.stream is Stream.ANCHOR:
            return pack
        if pack.stream is Stream.ALARM and not self._alarms:
            return replace(pack, numbers=())
        records = zlib.decompress(pack.body, -zlib.MAX_WBITS)[len(_BEGIN) : -len(_END)].split(_BETWEEN)
        keeps = self._keeps_entry if pack.stream is Stream.LEDGER else self._keeps
        kept = [number for number, record in enumerate(records, pack.first) if keeps(record)]
        if len(kept) == len(records):
            return pack
        return _with(pack, [records[number - pack.first] for number in kept], tuple(_runs(kept)))

    def _keeps(self, record: bytes) -> bool:
        return self._keeps_name(record[: record.index(b'"')])

    def _judge(self, name: bytes) -> bool:
        """Judge `air-1/pm2_5`, `air-1/pm1:mean`, `level-1/water_level:alarm`, or `level-1:alarm`."""
        device, _, quantity = name.decode().partition(":")[0].partition("/")
        return self.has(device, quantity)

    def _keeps_entry(self, record: bytes) -> bool:
        """Judge an entry of the ledger: what speaks of another device, or of another uplink, is not for this one."""
        entry = json.loads(_BEGIN + record + b"}")
        if "device" in entry:
            return self.has(entry["device"], entry["quantity"])
        return bool(entry.get("uplink", self._uplink) == self._uplink)


def covering(pack: Pack, first: int, last: int) -> Pack:
    """Return a pack that covers more numbers than its own, and holds nothing of the others."""
    return replace(pack, first=first, last=last, numbers=pack.numbers or ((pack.first, pack.last),))


def covers_alone(stream: Stream, epoch: str, boot: str, base: int, first: int, last: int) -> Pack:
    """Return a pack of no record, which says that these numbers are not for its receiver."""
    empty = Pack(stream, epoch, boot, base, first, last, b"", 0, 0)
    return _with(empty, [], ())


def count(pack: Pack) -> int:
    """Return how many records there are in a pack."""
    return sum(last - first + 1 for first, last in _numbers(pack))


def halves(pack: Pack) -> tuple[Pack, Pack]:
    """Return a pack of two records or more as two, with half of them each; together they cover what it covers."""
    records = zlib.decompress(pack.body, -zlib.MAX_WBITS)[len(_BEGIN) : -len(_END)].split(_BETWEEN)
    numbers = [number for first, last in _numbers(pack) for number in range(first, last + 1)]
    middle = len(records) // 2
    border = numbers[middle]
    before = replace(pack, last=border - 1)
    after = replace(pack, first=border)
    if pack.numbers is None:
        return _with(before, records[:middle], None), _with(after, records[middle:], None)
    return (
        _with(before, records[:middle], tuple(_runs(numbers[:middle]))),
        _with(after, records[middle:], tuple(_runs(numbers[middle:]))),
    )


def _numbers(pack: Pack) -> Sequence[tuple[int, int]]:
    return ((pack.first, pack.last),) if pack.numbers is None else pack.numbers


def _with(pack: Pack, records: Sequence[bytes], numbers: tuple[tuple[int, int], ...] | None) -> Pack:
    body = b",".join(_BEGIN + record + b"}" for record in records)
    size, adler = len(body) + 1, zlib.adler32(body + b"]")
    return replace(pack, body=senml.deflate(body), size=size, adler=adler, numbers=numbers)


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last of each run of ascending numbers."""
    first = 0
    for at, number in enumerate(numbers):
        if at + 1 == len(numbers) or numbers[at + 1] != number + 1:
            yield numbers[first], number
            first = at + 1
