"""Whatever happens in whatever order, the journal keeps its promises: simulated disks that fail, against a model.

Rules switch faults on, or let the process or the power fail at some later operation on the disks, which may be
in the middle of any step, the next start included. `docs/promises.md` says what may be lost by what.
"""

import asyncio
import errno
import functools
import json
import os
import random
import zlib
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from agent import logs
from agent.config.model import Journal as Limits
from agent.journal.journal import LOOK_AGAIN_EVERY, Journal
from agent.journal.pack import Lane
from agent.journal.status import Fault
from agent.readings import AlarmEvent, Reading, Stream
from tests.journal.conftest import Chance, Clock
from tests.simulation.disk import FOREVER, SECTOR, UNLIMITED, Death, Killed, SimulatedDisk
from tests.uplink.virtual import VirtualLoop

EXAMPLES = int(os.environ.get("EXAMPLES", "30"))  # `make model` plays more
UPLINKS = ("city", "agency")
LANES = [Lane.ALARMS, Lane.LEDGER, Lane.LIVE, Lane.HISTORY]
uplinks = st.sampled_from(UPLINKS)
disks = st.sampled_from(["young", "card"])
seeds = st.integers(0, 2**32)
soon = st.integers(1, 40)  # operations
REFUSALS = ["create", "write", "cut", "sync", "remove", "read", "size", "names", "sync_folder"]


class Hands(ThreadPoolExecutor):
    """An executor that does everything at once, after what was to happen meanwhile."""

    def __init__(self):
        super().__init__(max_workers=1)
        self.meanwhile = None

    def submit(self, call, /, *args, **kwargs):
        happening, self.meanwhile = self.meanwhile, None
        if happening is not None:
            happening()
        done = Future()
        try:
            done.set_result(call(*args, **kwargs))
        except (OSError, Killed) as error:
            done.set_exception(error)
        return done


class Uplink:
    """One way up, as its far end sees it."""

    def __init__(self):
        self.outbox = None
        self.looks = 0
        self.taken = []  # (lane, pack, records) not done since the last connection
        self.latest = {}  # by lane: place of the last pack since the last connection
        self.done = set()  # identities that must never come again
        self.received = set()
        self.statements = set()  # identities that the ledger accounts for
        self.lost = {}  # (epoch, stream) -> from which number on

    def reconnect(self):
        self.taken.clear()
        self.latest.clear()


def mortal(step):
    """Let a step end in the death of the process or the power, and start again."""

    @functools.wraps(step)
    def stepping(self, **drawn):
        try:
            step(self, **drawn)
        except Killed:
            self.die()

    return stepping


class JournalMachine(RuleBasedStateMachine):
    """Identities are (epoch, stream, number); the value of each telemetry reading is unique."""

    def __init__(self):
        super().__init__()
        self.hands = Hands()
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.loop = self.runner.get_loop()
        self.loop.set_default_executor(self.hands)
        self.death = Death()
        self.clock, self.chance = Clock(), Chance()
        self.uplinks = {name: Uplink() for name in UPLINKS}
        self.count = 0
        self.appended = {}  # identity -> value
        self.doubtful = {}  # the same, of an append that has not returned
        self.alive = set()  # identities that no power cut has taken
        self.durable = set()  # identities that none may take
        self.on_card = set()  # epochs that the card has heard of: of others a power cut leaves no trace
        self.epochs = set()  # all there were
        self.unheard_of = set()  # epochs that were lost so
        self.kept = {None}  # what the value that is kept may be after a kill
        self.durably_kept = {None}  # and after a power cut
        self.journal = None

    # --- helpers ---------------------------------------------------------------------------------------------------

    def on_loop(self, call, *args):
        """Call something of the journal where it belongs, and wait until what it fetches is there."""

        async def play():
            result = call(*args)
            if asyncio.iscoroutine(result):
                result = await result
            while self.journal is not None and (coming := self.journal._fetching._coming) is not None:
                await coming
            return result

        return self.loop.run_until_complete(play())  # `Runner.run` costs four times as much: it minds SIGINT

    def open(self):
        self.journal = self.on_loop(
            lambda: Journal(
                young=self.young,
                card=self.card,
                clock=self.clock,
                random=self.chance,
                uplinks=UPLINKS,
                limits=self.limits,
                log=logs.get("journal"),
            )
        )
        status = self.journal.status()
        self.epochs.add(status.epoch)
        if status.commits:
            self.durably_kept = set(self.kept)
            self.on_card.add(status.epoch)
        for (epoch, stream, number), value in self.doubtful.items():
            if epoch == status.epoch and number < status.next[stream.value]:
                self.note((epoch, stream, number), value)
        self.doubtful.clear()
        for name, uplink in self.uplinks.items():
            uplink.outbox = self.journal.outbox(name)
            uplink.reconnect()

    def let_go(self):
        """The process is gone: what is in its memory does nothing any more."""
        journal, self.journal = self.journal, None
        if journal is not None:
            journal._fetching.stop()
            for timer in journal._timers.values():
                timer.cancel()

    def note(self, identity, value):
        """Remember what an append returned for."""
        assert identity not in self.appended, f"{identity} was used again"
        self.appended[identity] = value
        self.alive.add(identity)

    def append(self, stream, records):
        status = self.journal.status()
        first = status.next[stream.value]
        values = [record.value if stream is Stream.TELEMETRY else record.id for record in records]
        numbered = {(status.epoch, stream, number): value for number, value in enumerate(values, first)}
        self.doubtful = numbered
        self.journal.append(stream, records)
        self.doubtful = {}
        assert self.journal.status().next[stream.value] == first + len(records)
        for identity, value in numbered.items():
            self.note(identity, value)

    def reading(self, quantity="pm2_5"):
        self.count += 1
        self.clock.now += 1_000_000
        return Reading("air-1", quantity, self.clock.now, self.count)

    def take(self, name, lane):
        """Take a pack as the publisher does, and check all that can be told from it."""
        uplink = self.uplinks[name]
        if uplink.looks != self.journal.resent(name):  # what was on a card that could not be read comes now
            uplink.looks = self.journal.resent(name)
            uplink.latest.clear()
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
            assert identity not in uplink.done, f"{identity} came again after it was done"
            if pack.stream is not Stream.LEDGER:
                assert self.appended[identity] == (record["v"] if "v" in record else record["id"])
        uplink.taken.append((lane, pack, records))
        return pack

    def deliver(self, name, lane, pack, records):
        uplink = self.uplinks[name]
        for number, record in enumerate(records, pack.first):
            uplink.received.add((pack.epoch, pack.stream, number))
            if lane is Lane.LEDGER and record.get("uplink", name) == name:
                self.read_statement(uplink, record)
        self.on_loop(uplink.outbox.done, pack)
        uplink.done.update((pack.epoch, pack.stream, number) for number in range(pack.first, pack.last + 1))

    @staticmethod
    def read_statement(uplink, record):
        key = (record["epoch"], Stream(record["stream"]))
        if "last" in record:
            numbers = range(record["first"], record["last"] + 1)
            uplink.statements.update((*key, number) for number in numbers)
        else:
            uplink.lost[key] = min(record["first"], uplink.lost.get(key, record["first"]))

    # --- what happens ----------------------------------------------------------------------------------------------

    @initialize(pack_size=st.integers(1, 6), young_limit=st.sampled_from([1 << 13, 1 << 20]))
    def start(self, pack_size, young_limit):
        self.young = SimulatedDisk(volatile=True)
        self.card = SimulatedDisk(piece=SECTOR)
        self.young.before = self.card.before = self.death
        self.limits = Limits(
            commit_interval=3600.0,
            pack_size=pack_size,
            pack_within=60,
            limit=1 << 30,
            reserve=0,  # making room is held against its promises in test_room.py
            young_limit=young_limit,
        )
        self.open()

    @rule(count=st.integers(1, 8))
    @mortal
    def append_telemetry(self, count):
        self.on_loop(self.append, Stream.TELEMETRY, [self.reading() for _ in range(count)])

    @rule()
    @mortal
    def append_alarm(self):
        self.on_loop(self.append_alarm_now)

    def append_alarm_now(self):
        self.count += 1
        alarm = AlarmEvent("panic-1", "pressed", self.clock.now, f"{self.count:016x}", raised=True)
        self.append(Stream.ALARM, [alarm])

    @rule(count=st.integers(30, 60))
    @mortal
    def append_a_flood(self, count):
        self.on_loop(self.append_several, count)

    def append_several(self, count):
        for _ in range(count):
            self.append(Stream.TELEMETRY, [self.reading("x" * 100)])

    @rule(value=st.integers())
    @mortal
    def keep(self, value):
        self.kept.add(value)
        self.durably_kept.add(value)
        self.on_loop(self.journal.keep, "rain-1", value)
        self.kept = {value}

    @rule(name=uplinks, count=st.integers(1, 3))
    @mortal
    def take_some(self, name, count):
        for lane in LANES:
            for _ in range(count):
                self.take(name, lane)

    @precondition(lambda self: any(uplink.taken for uplink in self.uplinks.values()))
    @rule(data=st.data())
    @mortal
    def acknowledge_any(self, data):
        name = data.draw(st.sampled_from([name for name in UPLINKS if self.uplinks[name].taken]))
        taken = self.uplinks[name].taken
        self.deliver(name, *taken.pop(data.draw(st.integers(0, len(taken) - 1))))

    @rule(name=uplinks, lane=st.sampled_from(LANES))
    @mortal
    def drain(self, name, lane):
        self.drain_now(name, lane)

    def drain_now(self, name, lane):
        while self.take(name, lane) is not None:
            self.deliver(name, *self.uplinks[name].taken.pop())

    @rule(name=uplinks)
    @mortal
    def demote(self, name):
        uplink = self.uplinks[name]
        pack = self.take(name, Lane.LIVE)
        if pack is not None:
            uplink.taken.pop()
            self.on_loop(uplink.outbox.demote, pack)

    @rule(name=uplinks)
    @mortal
    def lose_the_connection(self, name):
        self.reconnect(name)

    def reconnect(self, name):
        self.on_loop(self.uplinks[name].outbox.rewind)
        self.uplinks[name].reconnect()

    @rule(seconds=st.sampled_from([0, 61]), meanwhile=st.booleans())
    @mortal
    def commit(self, seconds, meanwhile):
        self.clock.now += seconds * 10**9
        if meanwhile:
            self.hands.meanwhile = self.append_alarm_now
        self.commit_now()

    def commit_now(self):
        before, kept, was_blind = set(self.alive), set(self.kept), self.journal._state.blind
        commits = self.journal.status().commits
        self.on_loop(self.journal.commit)
        if was_blind and not self.journal._state.blind:  # it could be read now
            kept = self.take_up_kept()
        self.hands.meanwhile = None
        status = self.journal.status()
        if status.commits > commits or Fault.CARD not in status.faults:
            self.durable.update(before)
        if status.commits > commits:
            self.durably_kept = kept
            self.on_card.add(status.epoch)

    @precondition(lambda self: len(self.journal._card.segments) < 8)
    @rule()
    def end_the_segment(self):
        self.journal._card.close()

    @rule(seconds=st.booleans())
    @mortal
    def stop_in_order(self, seconds):
        before = set(self.alive)
        self.on_loop(self.journal.close, 10)
        if Fault.CARD not in self.journal.status().faults:
            self.durable.update(before)
            self.durably_kept = set(self.kept)
        self.doom, self.again = (seconds, 0), []
        raise Killed

    # --- what goes wrong -------------------------------------------------------------------------------------------

    doom = (False, 0)  # whether it will be the power, and the seed of what reaches the card
    again = ()  # operations until the next deaths, during the starts that follow

    @rule(power=st.booleans(), seed=seeds, again=st.lists(soon, max_size=2))
    def die_now(self, power, seed, again):
        self.doom, self.again = (power, seed), again
        self.die()

    @rule(at=soon, power=st.booleans(), seed=seeds, again=st.lists(soon, max_size=2))
    def die_soon(self, at, power, seed, again):
        self.doom, self.again = (power, seed), again
        self.death.left = at

    def die(self):
        again = list(self.again)
        while True:
            self.let_go()
            power, seed = self.doom
            self.fall(power, random.Random(seed))
            self.death.left = again.pop() if again else UNLIMITED
            try:
                self.open()
            except Killed:
                continue
            break
        if self.journal._state.blind:  # what the card kept is taken up later
            self.kept |= self.durably_kept | {None}
            assert self.journal.kept("rain-1") in self.kept
        else:
            self.take_up_kept()

    def take_up_kept(self):
        kept = self.journal.kept("rain-1")
        assert kept in self.kept
        self.kept = {kept}
        return {kept}

    def fall(self, power, chance):
        for uplink in self.uplinks.values():
            uplink.done.clear()  # marks of delivery are gathered before they are written: what was sent may come again
        if not power:
            self.young.kill()
            self.card.kill()
            return
        self.young.power_cut(chance.randrange)
        self.card.power_cut(chance.randrange)
        self.doubtful.clear()
        self.alive &= self.durable
        self.unheard_of.update(self.epochs - self.on_card)
        self.kept = set(self.durably_kept)

    @rule(operation=st.sampled_from(REFUSALS), times=st.sampled_from([1, 2, FOREVER]))
    def card_refuses(self, operation, times):
        self.card.refuse(operation, errno.EIO, times=times)

    @rule(room=st.integers(0, 2000))
    def card_is_full(self, room):
        self.card.capacity = UNLIMITED - self.card.room() + room

    @rule()
    def card_is_read_only(self):
        self.card.read_only = True

    @rule()
    def well_again(self):
        self.card.heal()
        self.young.heal()

    # --- what always holds -----------------------------------------------------------------------------------------

    @rule()
    @mortal
    def settle(self):
        """Deliver everything: what was appended has come, or the ledger accounts for it; what is durable has come."""
        self.well_again()
        if any(segment.unreadable for segment in self.journal._card.segments):
            self.clock.now += int(LOOK_AGAIN_EVERY * 1e9)
        self.commit_now()
        if self.journal._state.blind:  # the card could not be read when it began: the next start accounts for it
            self.death.left, self.again, self.doom = UNLIMITED, [], (False, 0)
            self.die()
        self.commit_now()
        for name in UPLINKS:
            self.reconnect(name)
            for lane in LANES * 2:
                self.drain_now(name, lane)
        for uplink in self.uplinks.values():
            self.check_account(uplink)

    def check_account(self, uplink):
        missing = defaultdict(list)
        for epoch, stream, number in self.appended.keys() - uplink.received:
            if epoch not in self.unheard_of and (epoch, stream, number) not in uplink.statements:
                missing[epoch, stream].append(number)
        for key, numbers in missing.items():
            assert key in uplink.lost, f"nothing accounts for {numbers} of {key}"
            unsaid = sorted(number for number in numbers if number < uplink.lost[key])
            assert not unsaid, f"{key} is said to be lost from {uplink.lost[key]} on, and {unsaid} are missing too"
        lost = (self.durable | self.alive) - uplink.received - uplink.statements
        assert not lost, f"lost: {sorted(lost)}"
        ledger = defaultdict(list)
        for epoch, stream, number in uplink.received:
            if stream is Stream.LEDGER and epoch not in self.unheard_of:
                ledger[epoch].append(number)
        for epoch, numbers in ledger.items():
            for number in set(range(1, max(numbers) + 1)) - set(numbers):
                identity = (epoch, Stream.LEDGER, number)
                assert identity in uplink.statements or number >= uplink.lost[identity[:2]], identity

    def teardown(self):
        try:
            if self.journal is not None:
                self.death.left = UNLIMITED
                self.settle()
                self.on_loop(self.journal.close, 10)
        finally:
            self.runner.close()


TestJournal = JournalMachine.TestCase
TestJournal.settings = settings(max_examples=EXAMPLES, stateful_step_count=50, deadline=None)
