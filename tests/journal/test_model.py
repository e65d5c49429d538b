"""Whatever happens in whatever order, the journal keeps its promises: real folders against a model."""

import asyncio
import json
import shutil
import tempfile
import zlib
from collections import defaultdict
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from agent.host.threads import DaemonThreads
from agent.journal.pack import Lane
from agent.readings import AlarmEvent, Reading, Stream
from tests.journal.conftest import Bench

UPLINKS = ("city", "agency")
LANES = [Lane.ALARMS, Lane.LEDGER, Lane.LIVE, Lane.HISTORY]
STREAM_OF = {Lane.ALARMS: Stream.ALARM, Lane.LEDGER: Stream.LEDGER}
uplinks = st.sampled_from(UPLINKS)
lanes = st.sampled_from(LANES)


class Uplink:
    """One way up, as its far end sees it."""

    def __init__(self):
        self.outbox = None
        self.taken = []  # (lane, pack) not done since the last connection
        self.latest = {}  # by lane: place of the last pack since the last connection
        self.done = set()  # identities that must never come again
        self.received = set()
        self.statements = set()  # identities that the ledger accounts for
        self.lost = {}  # (epoch, stream) -> from which number on

    def reconnect(self):
        self.taken.clear()
        self.latest.clear()


class JournalMachine(RuleBasedStateMachine):
    """Identities are (epoch, stream, number); the value of each telemetry reading is unique."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.runner = asyncio.Runner()
        self.threads = DaemonThreads()
        self.runner.get_loop().set_default_executor(self.threads)
        self.bench = Bench(self.folder)
        self.uplinks = {name: Uplink() for name in UPLINKS}
        self.appended = {}  # identity -> value
        self.alive = set()  # identities that no power cut has taken
        self.durable = set()  # identities that none may take
        self.kept = self.durably_kept = None
        self.journal = None

    # --- helpers ---------------------------------------------------------------------------------------------------

    def on_loop(self, call, *args):
        """Call something of the journal where it belongs, and wait until what it fetches is there."""

        async def play():
            result = call(*args)
            if asyncio.iscoroutine(result):
                result = await result
            async with asyncio.timeout(10):
                while self.journal is not None and self.journal._fetching.under_way:
                    await asyncio.wait([self.journal._fetching._coming])
            return result

        return self.runner.run(play())

    def open(self):
        self.journal = self.on_loop(
            lambda: self.bench.open(
                uplinks=UPLINKS, pack_size=self.pack_size, pack_within=60, limit=1 << 30, young_limit=self.young_limit
            )
        )
        if self.journal.status().committed_bytes:
            self.durably_kept = self.kept
        for name, uplink in self.uplinks.items():
            uplink.outbox = self.journal.outbox(name)
            uplink.reconnect()

    def let_go(self):
        self.on_loop(self.bench.let_go)
        self.journal = None

    def note(self, stream, records):
        """Remember what an append returned for; a number that comes twice in an epoch would be found here."""
        status = self.journal.status()
        first = status.next[stream.value]
        self.on_loop(self.journal.append, stream, records)
        assert self.journal.status().next[stream.value] == first + len(records)
        for number, record in enumerate(records, first):
            identity = (status.epoch, stream, number)
            assert identity not in self.appended, "a number was used again"
            self.alive.add(identity)
            self.appended[identity] = record.value if stream is Stream.TELEMETRY else record.id

    def take(self, name, lane):
        """Take a pack as the publisher does, and check all that can be told from it."""
        uplink = self.uplinks[name]
        pack = self.on_loop(uplink.outbox.next, lane) or self.on_loop(uplink.outbox.next, lane)
        if pack is None:
            return None
        place = (self.journal.epochs.index(pack.epoch), pack.first)
        assert uplink.latest.get(lane, (0, 0)) < place, "out of order"
        uplink.latest[lane] = place
        records = json.loads(b"[" + zlib.decompress(pack.body, -15))
        assert len(records) == pack.last - pack.first + 1
        for number, record in enumerate(records, pack.first):
            identity = (pack.epoch, pack.stream, number)
            assert identity not in uplink.done, "came again after it was done"
            if pack.stream is not Stream.LEDGER:
                assert self.appended[identity] == (record["v"] if "v" in record else record["id"])
        uplink.taken.append((lane, pack, records))
        return pack

    def deliver(self, name, lane, pack, records):
        uplink = self.uplinks[name]
        self.on_loop(uplink.outbox.done, pack)
        for number, record in enumerate(records, pack.first):
            identity = (pack.epoch, pack.stream, number)
            uplink.done.add(identity)
            uplink.received.add(identity)
            if lane is Lane.LEDGER:
                self.read_statement(uplink, record)

    @staticmethod
    def read_statement(uplink, record):
        key = (record["epoch"], Stream(record["stream"]))
        if record["n"] == "lost":
            uplink.lost[key] = min(record["first"], uplink.lost.get(key, record["first"]))
        else:
            numbers = range(record["first"], record["last"] + 1)
            uplink.statements.update((*key, number) for number in numbers)

    # --- what happens ----------------------------------------------------------------------------------------------

    @initialize(pack_size=st.integers(1, 6), young_limit=st.sampled_from([1 << 13, 1 << 20]))
    def start(self, pack_size, young_limit):
        self.pack_size, self.young_limit = pack_size, young_limit
        self.open()

    @rule(count=st.integers(1, 8))
    def append_telemetry(self, count):
        self.note(Stream.TELEMETRY, self.bench.readings(count))

    @rule()
    def append_alarm(self):
        at = self.bench.clock.now
        alarm = AlarmEvent("panic-1", "pressed", at, f"{len(self.appended):016x}", raised=True)
        self.note(Stream.ALARM, [alarm])

    @rule(count=st.integers(30, 60))
    def append_a_flood(self, count):
        for _ in range(count):
            self.bench.clock.now += 1_000_000
            reading = Reading("line-1", "x" * 100, self.bench.clock.now, float(len(self.appended)))
            self.note(Stream.TELEMETRY, [reading])

    @rule(value=st.integers())
    def keep(self, value):
        self.on_loop(self.journal.keep, "rain-1", value)
        self.kept = value

    @rule(name=uplinks, count=st.integers(1, 3))
    def take_some(self, name, count):
        for lane in LANES:
            for _ in range(count):
                self.take(name, lane)

    @precondition(lambda self: any(uplink.taken for uplink in self.uplinks.values()))
    @rule(data=st.data())
    def acknowledge_any(self, data):
        name = data.draw(st.sampled_from([name for name in UPLINKS if self.uplinks[name].taken]))
        taken = self.uplinks[name].taken
        lane, pack, records = taken.pop(data.draw(st.integers(0, len(taken) - 1)))
        self.deliver(name, lane, pack, records)

    @rule(name=uplinks, lane=lanes)
    def drain(self, name, lane):
        while (pack := self.take(name, lane)) is not None:
            assert self.uplinks[name].taken[-1][1] is pack
            self.deliver(name, *self.uplinks[name].taken.pop())

    @rule(name=uplinks)
    def demote(self, name):
        uplink = self.uplinks[name]
        pack = self.take(name, Lane.LIVE)
        if pack is not None:
            uplink.taken.pop()
            self.on_loop(uplink.outbox.demote, pack)

    @rule(name=uplinks)
    def lose_the_connection(self, name):
        self.on_loop(self.uplinks[name].outbox.rewind)
        self.uplinks[name].reconnect()

    @rule(seconds=st.sampled_from([0, 61]))
    def commit(self, seconds):
        self.bench.clock.now += seconds * 10**9
        written = self.journal.status().committed_bytes
        self.on_loop(self.journal.commit)
        assert not self.journal.status().faults
        self.durable.update(self.alive)
        if self.journal.status().committed_bytes != written:
            self.durably_kept = self.kept

    @precondition(lambda self: len(self.journal._card.segments) < 8)
    @rule()
    def end_the_segment(self):
        self.journal._card.close()

    @rule()
    def crash(self):
        self.let_go()
        self.open()
        assert self.journal.kept("rain-1") == self.kept

    @rule()
    def cut_the_power(self):
        self.let_go()
        self.bench.power_cut()
        self.alive &= self.durable
        for uplink in self.uplinks.values():
            uplink.done.clear()  # what the card does not know to be done may come again
        self.kept = self.durably_kept
        self.open()
        assert self.journal.kept("rain-1") == self.kept

    @rule(power=st.booleans())
    def stop_in_order(self, power):
        self.on_loop(self.journal.close, 10)
        self.journal = None
        self.durable.update(self.alive)
        self.durably_kept = self.kept
        if power:
            self.bench.power_cut()
        self.open()
        assert self.journal.kept("rain-1") == self.kept

    # --- what always holds -----------------------------------------------------------------------------------------

    @invariant()
    def nothing_is_wrong(self):
        if self.journal is not None:
            assert self.journal.status().faults == {}
            assert self.journal.status().unkept == 0

    @rule()
    def settle(self):
        """Deliver everything: what was appended has come, or the ledger accounts for it; what is durable has come."""
        self.commit(0)
        for name in UPLINKS:
            self.lose_the_connection(name)
            for lane in LANES * 2:
                self.drain(name, lane)
        for uplink in self.uplinks.values():
            self.check_account(uplink)

    def check_account(self, uplink):
        missing = defaultdict(list)
        for epoch, stream, number in self.appended.keys() - uplink.received:
            if (epoch, stream, number) not in uplink.statements:
                missing[epoch, stream].append(number)
        for key, numbers in missing.items():
            assert key in uplink.lost, f"nothing accounts for {numbers} of {key}"
            assert min(numbers) >= uplink.lost[key]
        assert self.durable <= uplink.received | uplink.statements
        ledger = defaultdict(list)
        for epoch, stream, number in uplink.received:
            if stream is Stream.LEDGER:
                ledger[epoch].append(number)
        for epoch, numbers in ledger.items():
            gaps = set(range(1, max(numbers) + 1)) - set(numbers)
            assert all(number >= uplink.lost.get((epoch, Stream.LEDGER), number + 1) for number in gaps)

    def teardown(self):
        if self.journal is not None:
            self.settle()
            self.on_loop(self.journal.close, 10)
        self.runner.close()
        shutil.rmtree(self.folder)


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(max_examples=30, stateful_step_count=50, deadline=None)
