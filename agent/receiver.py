"""The reference receiver: what docs/wire.md asks of whoever takes what gateways publish.

It unpacks, drops doubles, dates what was sent undated once its anchor has come, and proves completeness from numbers
and ledger. Pure: it is handed messages and holds no connection.
"""

from __future__ import annotations

import json
import sys
import zlib
from bisect import insort
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from agent.journal.ranges import Ranges
from agent.readings import Anchor
from agent.timekeeper import SECOND, Dated, date_by

ROOT = "roadside/v1/"
UNDERSTOOD = frozenset({"undated_", "test_"})
PACKED = frozenset({"live", "history", "alarms", "anchors", "ledger"})
LARGEST = 16 << 20  # bytes inflated; more is no pack
LARGEST_WHOLE = 1 << 53  # of a record's number: what every JSON parser keeps exactly
LATEST = 1e30  # seconds: no calendar goes so far, and nanoseconds do
LARGEST_NUMBER = sys.float_info.max


class NotUnderstoodError(ValueError):
    """A message that is none of ours, or that this receiver is too old for; the text says why."""


class Series(NamedTuple):
    """Numbers are gap-free within this."""

    gateway: str
    epoch: str
    stream: str


class Received(NamedTuple):
    """One record, new to this receiver."""

    series: Series
    number: int
    lane: str
    name: str  # `air-1/pm2_5`, or the kind of a ledger entry
    fields: dict[str, Any]  # as sent; with `test_` it is a test, and nothing has happened
    utc: float | None  # seconds since 1970; None until an anchor dates it
    uncertainty: float | None  # seconds
    was_undated: bool = False  # it was returned before, without a time


@dataclass(slots=True)
class Account:
    """What is known of one series."""

    received: Ranges = field(default_factory=Ranges)
    given_up: Ranges = field(default_factory=Ranges)  # the ledger says that nobody will get them
    left_out: Ranges = field(default_factory=Ranges)  # covered by what came, and not meant for this receiver
    lost_from: int | None = None  # a power cut took what follows, as far as it did not arrive
    doubled: int = 0

    def missing(self) -> list[tuple[int, int]]:
        """Return the numbers between the first and the last one covered that nothing accounts for."""
        covered = Ranges([*self.received, *self.left_out])
        if not covered:
            return []
        known = Ranges([*covered, *self.given_up])
        ranges = list(covered)
        last = ranges[-1][1]
        if self.lost_from is not None:
            last = min(last, self.lost_from - 1)
        return list(known.gaps(ranges[0][0], last))


class Receiver:
    """Takes messages in the order in which they come."""

    def __init__(self) -> None:
        self.accounts: dict[Series, Account] = {}
        self._anchors: dict[str, list[Anchor]] = {}  # by boot, ordered by boottime
        self._undated: dict[str, list[tuple[Received, int, float]]] = {}  # by boot: with boottime (ns) and time (s)

    def take(self, topic: str, payload: bytes) -> list[Received]:
        """Return the records of a message that are new, and earlier ones that it dates.

        Raises NotUnderstoodError, and has taken nothing then.
        """
        at = topic.find(ROOT)
        parts = topic[at + len(ROOT) :].split("/") if at >= 0 else []
        if len(parts) != 2 or parts[1] not in PACKED:
            raise NotUnderstoodError(topic)
        gateway, lane = parts
        items = unpack(payload)
        head = _head(gateway, items)
        for item in items[1:]:
            _check(lane, item)
        account = self.accounts.setdefault(head.series, Account())
        account.left_out.update(head.numbers.gaps(head.first, head.last))
        new = []
        numbers = (number for first, last in head.numbers for number in range(first, last + 1))
        for number, item in zip(numbers, items[1:], strict=True):
            if account.received.covers(number, number):
                account.doubled += 1
                continue
            account.received.add(number, number)
            new += self._record(Received(head.series, number, lane, item["n"], item, None, None), head)
        return new

    def _record(self, one: Received, head: _Head) -> list[Received]:
        """Return the record, dated if it can be, and what it dates."""
        time = one.fields.get("t", 0.0)
        if one.lane == "ledger":
            self._note(one, head)
        dated = head.dated or date_by(self._anchors.get(head.boot, ()), head.boottime)
        if dated is None:
            self._undated.setdefault(head.boot, []).append((one, head.boottime, time))
        else:
            one = _dated(one, dated, time)
        return [one, *self._anchor(one.fields)] if one.lane == "anchors" else [one]

    def _anchor(self, fields: dict[str, Any]) -> list[Received]:
        boot = fields["boot"]
        at, utc = (round(fields[name] * SECOND) for name in ("at", "utc"))
        anchors = self._anchors.setdefault(boot, [])
        insort(anchors, Anchor(boot, at, utc, fields["uncertainty"], ""), key=lambda anchor: anchor.at)
        late = []
        for one, boottime, time in self._undated.pop(boot, []):
            dated = date_by(anchors, boottime)
            if dated is not None:
                late.append(_dated(one, dated, time)._replace(was_undated=True))
        return late

    def _note(self, one: Received, head: _Head) -> None:
        fields = one.fields
        if "epoch" not in fields:
            return  # a statement about measurements that never had numbers
        if head.uplink and fields.get("uplink", head.uplink) != head.uplink:
            return  # given up for another uplink alone: over this one it came, or will
        account = self.accounts.setdefault(Series(one.series.gateway, fields["epoch"], fields["stream"]), Account())
        first = fields["first"]
        if one.name == "lost":
            account.lost_from = first if account.lost_from is None else min(first, account.lost_from)
        else:
            account.given_up.add(first, fields["last"])


class _Head(NamedTuple):
    """What goes for all records of a pack."""

    series: Series
    first: int
    last: int
    numbers: Ranges  # of the records that follow
    boot: str
    boottime: int  # nanoseconds
    dated: Dated | None
    uplink: str  # "" if the head names none


def _head(gateway: str, items: list[dict[str, Any]]) -> _Head:
    head = items[0]
    unknown = sorted({name for item in items for name in item if name.endswith("_")} - UNDERSTOOD)
    if unknown:  # RFC 8428, section 4.4: such a field must be understood
        raise NotUnderstoodError(f"fields {', '.join(unknown)}")
    if head.get("n") != "pack" or head.get("bn") != f"{gateway}/":
        raise NotUnderstoodError(f"no head of a pack of {gateway}")
    dated = None
    if "bt" in head:
        dated = Dated(_nanoseconds(head, "bt"), _number(head, "uncertainty"))
    elif head.get("undated_") is not True:
        raise NotUnderstoodError("neither a base time nor undated_")
    first, last = _whole(head, "v"), _whole(head, "last")
    numbers = _numbers(head, first, last)
    if numbers.count() != len(items) - 1:
        raise NotUnderstoodError(f"numbers {first} to {last}, {numbers.count()} of them, but {len(items) - 1} records")
    series = Series(gateway, _text(head, "epoch"), _text(head, "stream"))
    uplink = _text(head, "uplink") if "uplink" in head else ""
    boot, boottime = _text(head, "boot"), _nanoseconds(head, "boottime")
    return _Head(series, first, last, numbers, boot, boottime, dated, uplink)


def _numbers(head: dict[str, Any], first: int, last: int) -> Ranges:
    """Return the numbers of the records that follow: all that the pack covers, unless the head says which."""
    runs = head.get("numbers", [[first, last]])
    numbers, after = Ranges(), first
    for run in runs if isinstance(runs, list) else [None]:
        match run:
            case [int(one), int(other)] if after <= one <= other <= last:
                numbers.add(one, other)
                after = other + 1
            case _:
                raise NotUnderstoodError(f"numbers between {first} and {last}, in order: {runs!r:.50}")
    return numbers


def _dated(one: Received, dated: Dated, time: float) -> Received:
    return one._replace(utc=dated.utc / SECOND + time, uncertainty=dated.uncertainty)


def _check(lane: str, item: dict[str, Any]) -> None:
    """Raise NotUnderstoodError unless every field that is looked at here or by `roadside listen` is what it must be."""
    _text(item, "n")
    for name in ("t", "v"):
        if name in item:
            _number(item, name)
    if lane == "anchors":
        _text(item, "boot")
        _number(item, "uncertainty")
        for name in ("at", "utc"):
            _nanoseconds(item, name)
    elif lane == "ledger" and "epoch" in item:
        for name in ("epoch", "stream", *({"uplink"} & item.keys())):
            _text(item, name)
        first = _whole(item, "first")
        if item["n"] != "lost" and _whole(item, "last") < first:
            raise NotUnderstoodError(f"numbers {first} to {item['last']}")


def _number(fields: dict[str, Any], name: str) -> float:
    value = fields.get(name)
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST_NUMBER:
        return value
    raise NotUnderstoodError(f"{name} is no number: {value!r:.50}")


def _nanoseconds(fields: dict[str, Any], name: str) -> int:
    seconds = _number(fields, name)
    if abs(seconds) < LATEST:
        return round(seconds * SECOND)
    raise NotUnderstoodError(f"{name} is no time: {seconds!r:.50}")


def _whole(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < LARGEST_WHOLE:
        return value
    raise NotUnderstoodError(f"{name} is no number of a record: {value!r:.50}")


def _text(fields: dict[str, Any], name: str) -> str:
    value = fields.get(name)
    if isinstance(value, str):
        return value
    raise NotUnderstoodError(f"{name} is no text: {value!r:.50}")


def unpack(payload: bytes) -> list[dict[str, Any]]:
    """Return the JSON objects of a pack, deflated or not; raises NotUnderstoodError."""
    try:
        if payload[:1] == b"\x78":
            inflater = zlib.decompressobj()
            payload = inflater.decompress(payload, LARGEST)
            if not inflater.eof or inflater.unused_data:
                raise NotUnderstoodError("a pack that is cut, goes on after its end, or is far too large")
        items = json.loads(payload, parse_constant=_refuse)
    except (zlib.error, ValueError, RecursionError) as error:
        raise NotUnderstoodError(f"neither JSON nor deflated JSON: {error}") from None
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise NotUnderstoodError("not an array of objects")
    return items


def _refuse(constant: str) -> None:
    raise NotUnderstoodError(f"{constant} is not JSON")
