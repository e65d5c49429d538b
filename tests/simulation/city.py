"""The city's end: the reference receiver, and beside it a plain record of what came, by which both are judged."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from agent.receiver import PACKED, Receiver, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.receiver import Series
    from tests.simulation.universe import Universe

MOMENT = 1_000_000  # nanoseconds
TOO_LARGE = 0x95  # MQTT 5, section 2.4


class Name(NamedTuple):
    """Names a record for ever."""

    epoch: str
    stream: str
    number: int


@dataclass(slots=True)
class Arrived:
    """A record as it came first."""

    name: Name
    topic: str
    boot: str
    boottime: float  # seconds: the record's own instant
    fields: dict[str, Any]
    sent: int  # true time
    utc: float | None = None  # as the receiver dates it
    uncertainty: float | None = None


class Told(NamedTuple):
    """What a health document says of alarms."""

    boot: str
    boottime: float  # seconds: the moment for which it says so
    standing: dict[str, str]  # names by id


@dataclass
class City:
    """Takes what the broker took; it misses nothing and forgets nothing."""

    universe: Universe
    receiver: Receiver = field(default_factory=Receiver)
    records: dict[Name, Arrived] = field(default_factory=dict)  # in the order in which they came
    told: list[Told] = field(default_factory=list)
    refused: dict[Name, int] = field(default_factory=dict)  # when the agent heard of it last
    set_aside: set[Name] = field(default_factory=set)  # too large although alone: nothing waits behind it
    parts: bool = False  # a pack was (taken to be) too large: the agent may send parts, and all again if one is lost
    suspected: list[Name] = field(default_factory=list)  # the largest without an answer when a connection ended
    acked: dict[Name, int] = field(default_factory=dict)  # what the agent knows to be here, and since when

    def take(self, topic: str, payload: bytes, sent: int) -> list[Name]:
        """Take one message; return which records are in it."""
        lane = topic.rpartition("/")[2]
        self.universe.tell("arrived", f"{lane} {crc32(payload):08x}")
        if lane == "health":
            said = json.loads(payload)
            self.told.append(Told(said["boot"], said["boottime"], standing(said)))
        if lane not in PACKED:
            return []
        names = []
        head, *items = unpack(payload)
        for number, fields in zip(_numbers(head), items, strict=True):
            name = Name(head["epoch"], head["stream"], number)
            names.append(name)
            one = Arrived(name, lane, head["boot"], head["boottime"] + fields.get("t", 0.0), fields, sent)
            known = self.records.setdefault(name, one)
            if sent >= self.acked.get(name, sent + 1) and head["stream"] != "ledger":
                self.universe.fault(f"{name} was sent again although it had been acknowledged")
            if known is not one and not _same(known, one):
                self.universe.fault(f"{name} came twice and says two things: {known.fields} and {fields}")
        for record in self.receiver.take(topic, payload):
            mine = self.records[_name(record.series, record.number)]
            mine.utc, mine.uncertainty = record.utc, record.uncertainty
        return names

    def names_in(self, topic: str, payload: bytes) -> list[Name]:
        """Return which records are in a message that the broker does not take."""
        if topic.rpartition("/")[2] not in PACKED:
            return []
        head, *items = unpack(payload)
        assert len(items) <= head["last"] - head["v"] + 1
        return [Name(head["epoch"], head["stream"], number) for number in _numbers(head)]

    def note_refusal(self, names: list[Name], code: int) -> None:
        """Note that the agent was told that these were refused."""
        if code == TOO_LARGE:
            self.parts = True
            self.set_aside.update(names if len(names) == 1 else ())
        self.refused |= dict.fromkeys(names, self.universe.now)

    def note_end(self, unanswered: Iterable[tuple[str, bytes]]) -> None:
        """Note that a connection has ended: the second time over the same pack, the agent sends that in parts."""
        packs = [(topic, payload) for topic, payload in unanswered if topic.rpartition("/")[2] in PACKED]
        names = self.names_in(*max(packs, key=lambda one: len(one[1]))) if packs else []
        self.parts = self.parts or (bool(names) and names == self.suspected)
        self.suspected = names

    def ack(self, names: list[Name]) -> None:
        """Note that the agent was told that these are here: it has no reason to send them again."""
        if not self.parts:
            self.acked |= dict.fromkeys(names, self.universe.now)

    def forget_acks(self, since: int) -> None:
        """A run has ended; of what it had been told since then, or in the moment before, the next one may not know."""
        self.parts, self.suspected = False, []  # the next one knows nothing of it
        self.acked = {name: at for name, at in self.acked.items() if at < since - MOMENT}


def _numbers(head: dict[str, Any]) -> list[int]:
    runs = head.get("numbers", [[head["v"], head["last"]]])
    return [number for first, last in runs for number in range(first, last + 1)]


def standing(health: dict[str, Any]) -> dict[str, str]:
    """Return the alarms that stand by a health document: their names by id."""
    return {id_: name for device in health["devices"].values() for id_, name in device.get("alarms", {}).items()}


def _name(series: Series, number: int) -> Name:
    return Name(series.epoch, series.stream, number)


def _same(one: Arrived, other: Arrived) -> bool:
    """Times are relative to the pack, and what a restart closed is another pack: half a millisecond may be rounded."""
    return (
        one.boot == other.boot
        and abs(one.boottime - other.boottime) < 0.003
        and {**one.fields, "t": 0} == {**other.fields, "t": 0}
    )
