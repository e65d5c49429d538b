"""What must be there, by an outside trace of the writes that had returned, and what is there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import zlib
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import aiomqtt

from agent.host.disk import ReadOnlyFolder
from agent.journal.frames import Damage, Kind, scan
from agent.journal.inspect import look
from agent.journal.ranges import Ranges
from agent.journal.state import LEDGERED
from agent.readings import Stream
from tests.kills.counters import PORTS, wave

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.kills.trace import Trace

APPENDED = Struct("<B3xIQq")  # of an APPEND frame: stream, count, first, base; decoded here without the journal's help
LANES = frozenset({"live", "history", "alarms", "anchors", "ledger"})
Record = dict[str, Any]  # as it is sent
UPLINK = "city"


class Number(NamedTuple):
    """What a record is known by."""

    epoch: str
    stream: str
    number: int


class Receiver:
    """Subscribes to everything and keeps what arrives: each record once, in the order in which they came."""

    def __init__(self, port: int) -> None:
        self.records: dict[Number, Record] = {}
        self.order: dict[tuple[str, str, str], list[int]] = defaultdict(list)  # by lane, epoch and stream
        self.doubles = 0
        self.faults: list[str] = []
        self._port = port
        self._subscribed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        async with asyncio.timeout(10.0):
            await self._subscribed.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        async with aiomqtt.Client("127.0.0.1", self._port, protocol=aiomqtt.ProtocolVersion.V5) as client:
            await client.subscribe("roadside/v1/#", qos=1)
            self._subscribed.set()
            async for message in client.messages:
                lane = str(message.topic).rpartition("/")[2]
                if lane in LANES and isinstance(message.payload, bytes):
                    self._take(lane, message.payload)

    def _take(self, lane: str, payload: bytes) -> None:
        head, *records = json.loads(zlib.decompress(payload) if payload[:1] == b"\x78" else payload)
        if len(records) != head["last"] - head["v"] + 1:
            self.faults.append(f"{head} with {len(records)} records")
        for number, record in enumerate(records, head["v"]):
            key = Number(head["epoch"], head["stream"], number)
            if key not in self.records:
                self.records[key] = record
                self.order[lane, key.epoch, key.stream].append(number)
                continue
            self.doubles += 1
            if self.records[key] != record:
                self.faults.append(f"{key} came twice: {self.records[key]}, and {record}")


class Truth:
    """Every record whose write had returned before the process was killed."""

    def __init__(self, root: Path) -> None:
        self.records: dict[Number, Record] = {}
        self.faults: list[str] = []
        self._young = root / "run/roadside/young"
        self._card = root / "var/lib/roadside/journal"

    def take(self, trace: Trace) -> None:
        """Learn from the trace of a run that has just ended, and hold the files against it."""
        for path, written in trace.written(".young").items():
            data = bytes(written.data)
            try:
                there = Path(path).read_bytes()
            except FileNotFoundError:
                if not written.removed:
                    self.faults.append(f"{path} is gone, and nobody removed it")
            else:
                if not there.startswith(data):
                    self.faults.append(f"{path} is not what was written to it")
                data = there  # with the write at which it was killed, should the kernel have done it all the same
            self._learn(path, data)

    def _learn(self, path: str, data: bytes) -> None:
        epoch = ""
        for one in scan(data):
            if isinstance(one, Damage):
                if one.offset + one.size < len(data):
                    self.faults.append(f"{path}: {one} in the middle of what the agent wrote")
            elif one.kind == Kind.SNAPSHOT:
                epoch = json.loads(zlib.decompress(one.payload))["epoch"]
            elif one.kind == Kind.APPEND:
                stream, count, first, _base = APPENDED.unpack_from(one.payload)
                records = json.loads(b"[" + one.payload[APPENDED.size :] + b"]")
                assert len(records) == count
                for number, record in enumerate(records, first):
                    self._add(Number(epoch, list(Stream)[stream], number), record)

    def _add(self, key: Number, record: Record) -> None:
        if self.records.setdefault(key, record) != record:
            self.faults.append(f"{key} was used twice: for {self.records[key]}, and for {record}")

    def check_files(self) -> None:
        """Hold what lies in the journal's folders now, while no agent runs, against all that was ever written.

        Each record is there, as it was written, or its delivery is noted; none has been given up, and no number that
        was used would be given out again.
        """
        card = ReadOnlyFolder(self._card)
        found = look(ReadOnlyFolder(self._young), card)
        if found.state is None:
            if self.records:
                self.faults.append("no state can be read")
            return
        missing: dict[tuple[str, str], Ranges] = defaultdict(Ranges)
        for key in self.records:
            missing[key.epoch, key.stream].add(key.number, key.number)
        for (epoch, stream), ranges in missing.items():
            where = (epoch, Stream(stream))
            given_up = found.state.done.get(LEDGERED, {}).get(where)
            if given_up:
                self.faults.append(f"{where}: {list(given_up)} were given up")
            last = list(ranges)[-1][1]
            if epoch == found.state.epoch and found.state.next[Stream(stream)] <= last:
                self.faults.append(f"{where}: {last} is used and would be used again")
            known = Ranges([*found.present[where], *found.state.done_by(UPLINK, where)])
            lost = [gap for one in ranges for gap in known.gaps(*one)]
            if lost:
                self.faults.append(f"{where}: {lost} are lost")
        self._check_contents(
            (Number(run.pack.epoch, run.pack.stream.value, run.pack.first), run.records) for run in found.runs(card)
        )
        for file in (*found.young, *found.card):
            if file.is_damaged:
                self.faults.append(f"{file.name} is damaged: {file.damaged} {file.unreadable}")

    def _check_contents(self, runs: Iterator[tuple[Number, list[Record]]]) -> None:
        for first, records in runs:
            for number, record in enumerate(records, first.number):
                key = first._replace(number=number)
                if self.records.get(key) != record:
                    self.faults.append(f"{key} is {record}, and written was {self.records.get(key)}")

    def check_received(self, received: Receiver, said: Mapping[str, int]) -> None:
        """Hold what has arrived, once all was let through, against all that was ever written and said."""
        for key, record in self.records.items():
            if key not in received.records:
                self.faults.append(f"{key} is lost: {record}")
            elif received.records[key] != record:
                self.faults.append(f"{key} came as {received.records[key]}, and written was {record}")
        for key in received.records.keys() - self.records.keys():
            self.faults.append(f"{key} came and was never written: {received.records[key]}")
        for (lane, epoch, stream), numbers in received.order.items():
            falls = [(one, other) for one, other in pairwise(numbers) if other < one]
            if falls:
                self.faults.append(f"{lane} {epoch} {stream}: out of order, the first of {len(falls)}: {falls[0]}")
            if stream == Stream.LEDGER:
                entries = [received.records[Number(epoch, stream, number)] for number in numbers]
                self.faults += [f"the ledger says {entry}" for entry in entries if entry["n"] != "withheld"]
        for device in PORTS:
            self._check_counts(device, said[device])

    def _check_counts(self, device: str, last: int) -> None:
        """Each count was said, went into the journal once, and in the order in which they were said."""
        counts = self._values(f"{device}/count")
        if not counts or sorted(set(counts)) != counts or counts[-1] > last:
            self.faults.append(f"{device}: the journal's counts are not those of the device, {len(counts)} of {last}")
        if self._values(f"{device}/wave") != [wave(count) for count in counts]:
            self.faults.append(f"{device}: the second quantity does not go with the first")

    def _values(self, name: str) -> list[int]:
        """Return the values of a quantity in the order of their numbers; there is one epoch, as no power was cut."""
        return [
            int(record["v"]) for _key, record in sorted(self.records.items()) if record["n"] == name and "v" in record
        ]
