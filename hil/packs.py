"""What a gateway publishes, as the city reads it: by the specification of the wire, not with the agent's code."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from drivers.contract import Value

DRIFT = 100e-6  # of a gateway's oscillator, as the gateway states it: 100 ppm
WANDER = 30e-6  # how far its rate may be from the mean between two anchors
ZLIB = 0x78  # the first byte of a deflated payload; a plain one begins with "["
MOST_BYTES = 64 * 1024 * 1024  # of one inflated payload: more is an attack or an accident


class WireError(ValueError):
    """A payload that does not follow the specification; the message says where."""


@dataclass(frozen=True, slots=True)
class Numbered:
    """One record of a stream. (gateway, epoch, stream, number) is its identity, however often it arrives."""

    gateway: str
    stream: str
    epoch: str
    number: int
    lane: str
    boot: str
    boottime: float  # seconds since boot
    utc: float | None  # seconds since 1970; None until an anchor dates it
    uncertainty: float  # seconds, of `utc`
    arrived: float  # seconds since 1970

    @property
    def identity(self) -> tuple[str, str, str, int]:
        """What makes two arrivals one record."""
        return self.gateway, self.epoch, self.stream, self.number


@dataclass(frozen=True, slots=True)
class Received(Numbered):
    """A reading."""

    device: str
    quantity: str
    value: Value | None
    reason: str
    unit: str


@dataclass(frozen=True, slots=True)
class Alarm(Numbered):
    """An alarm that was raised or cleared, or that somebody took note of: it stands then, and `by` says who."""

    device: str
    quantity: str  # "" for the device as a whole
    alarm: str
    id: str
    raised: bool
    by: str = ""
    test: bool = False


@dataclass(frozen=True, slots=True)
class Statement(Numbered):
    """An entry of the ledger: something that did not go up as a reading, and why."""

    kind: str
    why: str
    count: int
    device: str = ""
    quantity: str = ""
    since: float = 0.0  # boottime in seconds
    until: float = 0.0
    of_stream: str = ""
    of_epoch: str = ""
    first: int = 0
    last: int = 0
    uplink: str = ""  # given up for this one alone
    over: str = ""  # the uplink by which it came

    @property
    def concerns_us(self) -> bool:
        """Whether it is of what would have come to us."""
        return not self.uplink or self.uplink == self.over

    @property
    def span(self) -> tuple[float, float] | None:
        """From when until when in UTC; None as long as no anchor dates it."""
        if self.utc is None:
            return None
        return self.since - self.boottime + self.utc, self.until - self.boottime + self.utc


@dataclass(frozen=True, slots=True)
class Anchor(Numbered):
    """Ties the boottime of one boot to UTC."""

    of_boot: str
    at: float  # boottime in seconds
    true_utc: float
    error: float  # seconds


Record = Received | Alarm | Statement | Anchor


def date(boot: str, boottime: float, anchors: Iterable[Anchor]) -> tuple[float, float] | None:
    """Return UTC and its uncertainty by the anchors of a boot around an instant, or None if it has none."""
    known = [anchor for anchor in anchors if anchor.of_boot == boot]
    before = max((anchor for anchor in known if anchor.at <= boottime), key=lambda it: it.at, default=None)
    after = min((anchor for anchor in known if anchor.at > boottime), key=lambda it: it.at, default=None)
    if before is None or after is None:
        near = before or after
        if near is None:
            return None
        distance = boottime - near.at
        return near.true_utc + distance, near.error + abs(distance) * DRIFT
    span, into = after.at - before.at, boottime - before.at
    part = into / span
    apart = after.true_utc - before.true_utc - span
    error = before.error * (1 - part) + after.error * part + WANDER * min(into, span - into)
    if abs(apart) > before.error + after.error + DRIFT * span:
        error += abs(apart)
    return before.true_utc + into + apart * part, error


def unpack(gateway: str, lane: str, payload: bytes, arrived: float) -> list[Record]:
    """Return the records of one pack; raises WireError."""
    items = _items(payload)
    head, stamp = items[0], {}
    try:
        if head["n"] != "pack" or head["bn"] != f"{gateway}/":
            raise WireError(f"the first record is no head of a pack of {gateway}: {head}")
        runs = head.get("numbers", [[head["v"], head["last"]]])
        numbers = [number for first, last in runs for number in range(first, last + 1)]
        if len(numbers) != len(items) - 1:
            raise WireError(f"the head says {runs}, and {len(items) - 1} records follow")
        if "bt" not in head and head.get("undated_") is not True:
            raise WireError("a pack without base time does not say that it is undated")
        stamp = {
            "gateway": gateway, "lane": lane, "arrived": arrived, "stream": head["stream"], "epoch": head["epoch"],
            "boot": head["boot"], "uncertainty": head.get("uncertainty", 0.0),
        }  # fmt: skip
        return [
            _record(item, head["boottime"], head.get("bt"), {**stamp, "number": number}, head.get("uplink", ""))
            for number, item in zip(numbers, items[1:], strict=True)
        ]
    except (KeyError, TypeError) as error:
        raise WireError(f"a record of {gateway} lacks {error}") from error


def _items(payload: bytes) -> list[dict[str, Any]]:
    try:
        if payload[:1] == bytes([ZLIB]):
            inflate = zlib.decompressobj()
            payload = inflate.decompress(payload, MOST_BYTES)
            if not inflate.eof or inflate.unused_data:
                raise WireError("the payload is not one whole zlib stream")
        items = json.loads(payload)
    except (zlib.error, ValueError) as error:
        raise WireError(f"neither JSON nor deflated JSON: {error}") from error
    if not isinstance(items, list) or not items or not all(isinstance(item, dict) for item in items):
        raise WireError("not an array of objects with a head")
    return items


def _record(item: dict[str, Any], base: float, base_utc: float | None, stamp: dict[str, Any], over: str) -> Record:
    t = item.get("t", 0.0)
    stamp |= {"boottime": base + t, "utc": None if base_utc is None else base_utc + t}
    name = item["n"]
    if name == "anchor":
        return Anchor(**stamp, of_boot=item["boot"], at=item["at"], true_utc=item["utc"], error=item["uncertainty"])
    if "why" in item:
        return Statement(
            **stamp, kind=name, why=item["why"], count=item.get("count", 0),
            device=item.get("device", ""), quantity=item.get("quantity", ""),
            since=base + item.get("since", 0.0), until=base + item.get("until", 0.0),
            of_stream=item.get("stream", ""), of_epoch=item.get("epoch", ""),
            first=item.get("first", 0), last=item.get("last", 0), uplink=item.get("uplink", ""), over=over,
        )  # fmt: skip
    path, _, suffix = name.partition(":")
    device, _, quantity = path.partition("/")
    if suffix == "alarm":
        raised = {"raise": True, "clear": False, "acknowledge": True}[item["vs"]]
        return Alarm(
            **stamp, device=device, quantity=quantity, alarm=item["alarm"], id=item["id"], raised=raised,
            by=item["by"] if item["vs"] == "acknowledge" else "", test=item.get("test_", False),
        )  # fmt: skip
    if suffix == "state":
        return Received(**stamp, device=device, quantity=quantity, value=None, reason=item["vs"], unit="")
    quantity += f":{suffix}" if suffix else ""  # such as the least of a window: a quantity of its own
    value = next((item[key] for key in ("v", "vb", "vs") if key in item), None)
    if value is None:
        raise WireError(f"{name} has no value and does not say why")
    return Received(**stamp, device=device, quantity=quantity, value=value, reason="", unit=item.get("u", ""))
