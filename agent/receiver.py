"""The reference receiver: what docs/wire.md asks of whoever takes what gateways publish.

It unpacks, drops doubles, dates what was sent undated once its anchor has come, and proves completeness from numbers
and ledger. Pure: it is handed messages and holds no connection.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from agent.journal.ranges import Ranges

ROOT = "roadside/v1/"
PACKED = frozenset({"live", "history", "alarms", "anchors", "ledger"})
LARGEST = 16 << 20  # bytes inflated; more is no pack


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
    fields: dict[str, Any]  # as sent
    utc: float | None  # seconds since 1970; None until an anchor dates it
    uncertainty: float | None  # seconds


class Dated(NamedTuple):
    """UTC of a boottime."""

    utc: float
    uncertainty: float


@dataclass(slots=True)
class Account:
    """What is known of one series."""

    received: Ranges = field(default_factory=Ranges)
    given_up: Ranges = field(default_factory=Ranges)  # the ledger says that nobody will get them
    lost_from: int | None = None  # a power cut took what follows, as far as it did not arrive
    doubled: int = 0

    def missing(self) -> list[tuple[int, int]]:
        """Return the numbers between the first and the last one received that nothing accounts for."""
        if not self.received:
            return []
        known = Ranges([*self.received, *self.given_up])
        ranges = list(self.received)
        last = ranges[-1][1]
        if self.lost_from is not None:
            last = min(last, self.lost_from - 1)
        return list(known.gaps(ranges[0][0], last))


class Receiver:
    """Takes messages in the order in which they come."""

    def __init__(self) -> None:
        self.accounts: dict[Series, Account] = {}
        self._anchors: dict[str, list[tuple[float, Dated]]] = {}  # by boot
        self._undated: dict[str, list[tuple[Received, float]]] = {}  # by boot, with their boottime

    def take(self, topic: str, payload: bytes) -> list[Received]:
        """Return the records of a message that are new, and earlier ones that it dates; raises NotUnderstoodError."""
        at = topic.find(ROOT)
        parts = topic[at + len(ROOT) :].split("/") if at >= 0 else []
        if len(parts) != 2 or parts[1] not in PACKED:
            raise NotUnderstoodError(topic)
        head, *records = unpack(payload)
        return self._records(parts[0], parts[1], head, records)

    def _records(self, gateway: str, lane: str, head: dict[str, Any], records: list[dict[str, Any]]) -> list[Received]:
        unknown = [name for name in head if name.endswith("_") and name != "undated_"]
        if unknown:  # RFC 8428, section 4.4: such a field must be understood
            raise NotUnderstoodError(f"fields {unknown}")
        try:
            series = Series(gateway, head["epoch"], head["stream"])
            first, boot, base = int(head["v"]), str(head["boot"]), float(head["boottime"])
            dated = Dated(float(head["bt"]), float(head["uncertainty"])) if "bt" in head else None
        except (KeyError, TypeError, ValueError) as error:
            raise NotUnderstoodError(f"head without {error}") from None
        account = self.accounts.setdefault(series, Account())
        new = []
        for number, record in enumerate(records, first):
            if account.received.covers(number, number):
                account.doubled += 1
                continue
            account.received.add(number, number)
            new += self._record(
                Received(series, number, lane, str(record.get("n")), record, None, None), boot, base, dated
            )
        return new

    def _record(self, one: Received, boot: str, base: float, dated: Dated | None) -> list[Received]:
        """Return the record, dated if it can be, and what it dates."""
        time = float(one.fields.get("t", 0.0))
        if one.lane == "ledger":
            self._note(one)
        dated = dated or self._date(boot, base)
        if dated is None:
            self._undated.setdefault(boot, []).append((one, base + time))
        else:
            one = one._replace(utc=dated.utc + time, uncertainty=dated.uncertainty)
        return [one, *self._anchor(one.fields)] if one.lane == "anchors" else [one]

    def _anchor(self, fields: dict[str, Any]) -> list[Received]:
        boot = str(fields["boot"])
        anchor = Dated(float(fields["utc"]), float(fields["uncertainty"]))
        self._anchors.setdefault(boot, []).append((float(fields["at"]), anchor))
        late = []
        for one, boottime in self._undated.pop(boot, []):
            dated = self._date(boot, boottime)
            if dated is not None:
                late.append(one._replace(utc=dated.utc, uncertainty=dated.uncertainty))
        return late

    def _date(self, boot: str, boottime: float) -> Dated | None:
        anchors = self._anchors.get(boot)
        if not anchors:
            return None
        at, anchor = min(anchors, key=lambda one: abs(one[0] - boottime))
        return Dated(anchor.utc + boottime - at, anchor.uncertainty + 100e-6 * abs(boottime - at))

    def _note(self, one: Received) -> None:
        fields = one.fields
        if "epoch" not in fields:
            return  # a statement about measurements that never had numbers
        account = self.accounts.setdefault(Series(one.series.gateway, fields["epoch"], fields["stream"]), Account())
        if fields["n"] == "lost":
            account.lost_from = int(fields["first"])
        else:
            account.given_up.add(int(fields["first"]), int(fields["last"]))


def unpack(payload: bytes) -> list[dict[str, Any]]:
    """Return the JSON objects of a pack, deflated or not; raises NotUnderstoodError."""
    try:
        if payload[:1] == b"\x78":
            inflater = zlib.decompressobj()
            payload = inflater.decompress(payload, LARGEST)
            if not inflater.eof:
                message = "a pack that is cut, or far too large"
                raise NotUnderstoodError(message)
        records = json.loads(payload)
    except (zlib.error, ValueError) as error:
        raise NotUnderstoodError(str(error)) from None
    if not isinstance(records, list) or not records or not all(isinstance(one, dict) for one in records):
        message = "not an array of objects"
        raise NotUnderstoodError(message)
    return records
