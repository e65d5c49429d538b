"""The wire form of records: SenML (RFC 8428) JSON, deflated so that a stored body never has to be packed again.

A payload is one JSON array: the head, then the records. The records (the *body*) are deflated once, when their pack
closes, and stored so. The head is only known when a pack is sent: it goes in front as a *stored* deflate block
(RFC 1951, 3.2.4), and the Adler-32 sums of head and body are combined, so that a receiver sees one ordinary zlib stream
(RFC 1950). docs/wire.md is the specification.
"""

from __future__ import annotations

import json
import math
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agent.readings import Acknowledgement, AlarmEvent, Anchor, LedgerEntry, Reading, Stream

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.journal.pack import Pack
    from agent.readings import Record
    from agent.timekeeper import Dated
    from drivers.contract import Value

DEFLATE_LEVEL = 6  # 8.4 bytes a reading at 0.6 us; level 1 takes 10.0 bytes (measured with packs of 100)
_ADLER_MODULUS = 65521
_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode  # json.dumps makes one each time
_ZLIB_HEADER = b"\x78\x9c"


def encode(records: Iterable[Record], base: int) -> bytes:
    """Return records as JSON objects joined by commas; times are seconds after `base` (boottime in nanoseconds)."""
    texts = [_reading(one, base) if isinstance(one, Reading) else _other(one, base) for one in records]
    return _utf8(",".join(texts))


def deflate(records: bytes) -> bytes:
    """Return records joined by commas as the raw deflate body of a pack, its closing bracket included."""
    packer = zlib.compressobj(DEFLATE_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(records + b"]") + packer.flush()


def payload(
    pack: Pack,
    gateway: str,
    dated: Dated | None,
    *,
    not_before: int | None = None,
    compress: bool = True,
    uplink: str = "",
) -> bytes:
    """Return what is published for a pack, over one uplink: its head made now, its body as it is stored.

    `not_before` is a UTC (ns) that the base time of an undated pack is later than.
    """
    head = _head(pack, gateway, dated, not_before, uplink)
    if not compress:
        return head + zlib.decompress(pack.body, -zlib.MAX_WBITS)
    length = len(head)
    stored = b"\x00" + length.to_bytes(2, "little") + (length ^ 0xFFFF).to_bytes(2, "little") + head
    adler = combine_adler(zlib.adler32(head), pack.adler, pack.size)
    return _ZLIB_HEADER + stored + pack.body + adler.to_bytes(4, "big")


def combine_adler(first: int, second: int, second_size: int) -> int:
    """Return the Adler-32 of two pieces joined, from theirs and the size of the second (RFC 1950, section 8.2)."""
    size = second_size % _ADLER_MODULUS
    first_a, first_b = first & 0xFFFF, first >> 16
    second_a, second_b = second & 0xFFFF, second >> 16
    a = (first_a + second_a - 1) % _ADLER_MODULUS
    b = (first_b + second_b + size * (first_a - 1)) % _ADLER_MODULUS
    return b << 16 | a


def _head(pack: Pack, gateway: str, dated: Dated | None, not_before: int | None, uplink: str) -> bytes:
    head: dict[str, Any] = {"bn": f"{gateway}/"}
    if dated is not None:
        head["bt"] = round(dated.utc / 1e9, 3)
        head["uncertainty"] = float(f"{dated.uncertainty:.3g}")
    else:
        # The underscore is RFC 8428's "must understand" (section 4.4): a receiver that does not know how to date these
        # records must not take their relative times for times of arrival.
        head["undated_"] = True
        if not_before is not None:
            head["not_before"] = round(not_before / 1e9, 3)
    head |= {
        "n": "pack",
        "v": pack.first,
        "last": pack.last,
        **({} if pack.numbers is None else {"numbers": pack.numbers}),
        "stream": pack.stream.value,
        "epoch": pack.epoch,
        "boot": pack.boot,
        "boottime": round(pack.base / 1e9, 3),
    }
    if uplink and pack.stream is Stream.LEDGER:
        head["uplink"] = uplink  # so that a receiver knows which entries are for it alone
    return b"[" + _utf8(_dump(head)) + (b"" if pack.numbers == () else b",")


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # half a surrogate pair, from some device's text, becomes a question mark


@lru_cache(maxsize=4096)
def _named(device: str, quantity: str, unit: str) -> str:
    fields = {"n": f"{device}/{quantity}"}
    if unit:
        fields["u"] = unit
    return _dump(fields)[:-1] + ","


def _reading(reading: Reading, base: int) -> str:
    value = reading.value  # put together by hand: all else is rare, but this runs with each reading
    end = f'"t":{(reading.at - base) / 1e9:.3f}}}'
    if reading.partial:
        end = '"partial":true,' + end
    if reading.test:
        end = '"test_":true,' + end  # the underscore: who does not know what it means must not take it for real
    if (isinstance(value, float) and math.isfinite(value)) or type(value) is int:
        return f'{_named(reading.device, reading.quantity, reading.unit)}"v":{value!r},{end}'
    if isinstance(value, bool):
        return f'{_named(reading.device, reading.quantity, "")}"vb":{"true" if value else "false"},{end}'
    if isinstance(value, str):
        return f'{_named(reading.device, reading.quantity, "")}"vs":{_dump(value)},{end}'
    state = reading.reason.value if reading.reason else "invalid"
    return f'{_named(reading.device, f"{reading.quantity}:state", "")}"vs":"{state}",{end}'


def _can_be_said(value: Value) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _other(record: AlarmEvent | Acknowledgement | Anchor | LedgerEntry, base: int) -> str:
    if isinstance(record, AlarmEvent):
        fields = _alarm(record)
    elif isinstance(record, Acknowledgement):
        fields = _about_alarm(record, "acknowledge") | {"by": record.by}
    elif isinstance(record, Anchor):
        fields = _anchor(record)
    else:
        fields = _ledger(record, base)
    # What an anchor says of `at` is perhaps about another boot, whose instants do not compare with this one's.
    time = 0.0 if isinstance(record, Anchor) else _seconds(record.at - base)
    return _dump(fields | {"t": time})


def _seconds(nanoseconds: int) -> float:
    return round(nanoseconds / 1e6) / 1000


def _alarm(event: AlarmEvent) -> dict[str, Any]:
    fields = _about_alarm(event, "raise" if event.raised else "clear")
    if event.value is not None and _can_be_said(event.value):
        fields["at_value"] = event.value
    return fields


def _about_alarm(record: AlarmEvent | Acknowledgement, what: str) -> dict[str, Any]:
    name = f"{record.device}/{record.quantity}:alarm" if record.quantity else f"{record.device}:alarm"
    fields: dict[str, Any] = {"n": name, "vs": what, "alarm": record.alarm, "id": record.id}
    if record.test:
        fields["test_"] = True
    return fields


def _anchor(anchor: Anchor) -> dict[str, Any]:
    return {
        "n": "anchor",
        "boot": anchor.boot,
        "at": round(anchor.at / 1e9, 6),
        "utc": round(anchor.utc / 1e9, 6),
        "uncertainty": anchor.uncertainty,
        "source": anchor.source,
    }


def _ledger(entry: LedgerEntry, base: int) -> dict[str, Any]:
    fields: dict[str, Any] = {"n": entry.kind, "why": entry.why}
    if entry.count:
        fields["count"] = entry.count
    if entry.device:
        since, until = _seconds(entry.since - base), _seconds(entry.until - base)
        fields |= {"device": entry.device, "quantity": entry.quantity, "since": since, "until": until}
    if entry.stream:
        fields |= {"stream": entry.stream, "epoch": entry.epoch, "first": entry.first}
        if entry.last:
            fields["last"] = entry.last
        if entry.uplink:
            fields["uplink"] = entry.uplink
    return fields
