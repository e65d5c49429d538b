"""The lines of docs/promises.md that are about the places where readings are kept, each held as it stands there.

Of each: what comes is taken, an alarm waits for nobody, health says so, nothing more than promised is lost, and it
recovers by itself.
"""

import asyncio
import errno
import os
import shutil
import threading

import pytest

from agent.host.disk import Folder
from agent.host.patient import Patient
from agent.journal.committing import STALLED_AFTER
from agent.journal.pack import Lane
from agent.readings import Stream
from tests.journal.packs import drain
from tests.journal.test_losses import alarm, fetched, ledger, packs_of

TOLD_WITHIN = 5.0  # seconds


class Troubled(Folder):
    """A folder on a disk that can be made to refuse, or to stall."""

    refuses = 0  # an errno: nothing can be made or written
    fails_to_sync = False
    stalls: threading.Event | None = None

    def __init__(self, path):
        super().__init__(path)
        self.synced = []

    def create(self, name):
        self._trouble()
        file = super().create(name)
        append, sync = file.append, file.sync

        def appending(data):
            self._trouble()
            append(data)

        def syncing():
            self.synced.append(name)
            if self.stalls is not None:
                self.stalls.wait(60)
            if self.fails_to_sync:
                raise OSError(errno.EIO, "Input/output error")
            sync()

        file.append, file.sync = appending, syncing
        return file

    def _trouble(self):
        if self.refuses:
            raise OSError(self.refuses, os.strerror(self.refuses))


async def until(condition, within=TOLD_WITHIN):
    deadline = asyncio.get_running_loop().time() + within
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


async def take(journal, bench, outbox):
    """Have readings and an alarm come in, and the alarm go out at once."""
    journal.append(Stream.TELEMETRY, bench.readings(20))
    journal.append(Stream.ALARM, [alarm(bench, 1)])
    assert outbox.next(Lane.ALARMS) is not None


async def arrives_whole(bench, card, count):
    """After a power cut, all that is awaited comes from the card."""
    bench.let_go()
    bench.power_cut()
    reopened = bench.open(card=card, pack_within=0)
    assert await fetched(reopened) == list(range(count))
    assert [one for one in ledger(reopened) if one["n"] in {"dropped", "damaged"}] == []


# --- the card ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("why", [errno.ENOSPC, errno.EROFS, errno.EIO], ids=["full", "read_only", "broken"])
async def test_a_card_that_refuses_is_told_costs_nothing_within_the_bound_and_delays_no_alarm(bench, why):
    card = Troubled(bench.card.path)
    journal = bench.open(card=card)
    outbox = journal.outbox("city")
    card.refuses = why
    for _ in range(5):
        await take(journal, bench, outbox)
        await journal.commit()
    assert os.strerror(why) in journal.status().faults["card"]

    card.refuses = 0
    await journal.commit()
    assert journal.status().faults == {}
    await arrives_whole(bench, card, 100)


async def test_beyond_the_bound_the_oldest_telemetry_goes_and_the_ledger_says_so(bench):
    card = Troubled(bench.card.path)
    journal = bench.open(card=card, young_limit=1 << 16)
    outbox = journal.outbox("city")
    card.refuses = errno.EROFS
    for _ in range(100):
        await take(journal, bench, outbox)
        await journal.commit()

    status = journal.status()
    dropped = [one for one in ledger(journal) if one["n"] == "dropped"]
    assert status.young_bytes <= 1 << 16
    assert {one["stream"] for one in dropped} == {"telemetry"}
    assert await fetched(journal) == list(range(sum(one["count"] for one in dropped), 2000))
    assert len(await packs_of(journal, lane=Lane.ALARMS)) == 100


async def test_a_card_that_stalls_is_told_while_it_does_and_delays_neither_readings_nor_alarms(bench):
    card = Troubled(bench.card.path)
    journal = bench.open(card=card, commit_interval=0.05, young_limit=1 << 18)
    outbox = journal.outbox("city")
    card.stalls = threading.Event()
    running = asyncio.create_task(journal.run())
    loop = asyncio.get_running_loop()
    began, longest = loop.time(), 0.0
    try:
        while "card" not in journal.status().faults:
            assert loop.time() - began < STALLED_AFTER + TOLD_WITHIN
            at = loop.time()
            await take(journal, bench, outbox)
            longest = max(longest, loop.time() - at)
            await asyncio.sleep(0.02)
        assert loop.time() - began >= STALLED_AFTER * 0.9
        assert "has not returned for 5 s" in journal.status().faults["card"]
        assert journal.status().young_bytes <= 1 << 18
        assert journal.status().unkept == 0
        assert longest < 1.0
    finally:
        card.stalls.set()
    await until(lambda: journal.status().faults == {})
    running.cancel()
    await asyncio.wait([running])


async def test_a_card_that_stalls_at_start_does_not_keep_the_journal_from_taking_readings(bench):
    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(10))
    await journal.commit(clean=True)
    bench.let_go()
    bench.power_cut()
    card = Troubled(bench.card.path)
    card.stalls = threading.Event()
    try:
        journal = bench.open(card=Patient(card, patience=0.2), pack_within=0)
        assert "does not answer" in journal.status().faults["card"]
        await take(journal, bench, journal.outbox("city"))
    finally:
        card.stalls.set()
    await journal.commit()
    assert journal.status().faults == {}
    await arrives_whole(bench, card, 30)


async def test_a_sync_that_fails_is_told_and_never_asked_for_again_on_the_same_file(bench):
    card = Troubled(bench.card.path)
    journal = bench.open(card=card)
    outbox = journal.outbox("city")
    card.synced.clear()
    card.fails_to_sync = True
    for _ in range(5):
        await take(journal, bench, outbox)
        await journal.commit()
    assert "Input/output error" in journal.status().faults["card"]
    assert len(set(card.synced)) == len(card.synced) == 5

    card.fails_to_sync = False
    await journal.commit()
    assert journal.status().faults == {}
    await arrives_whole(bench, card, 100)


# --- folders that vanish -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", [("young",), ("card",), ("young", "card")], ids="_and_".join)
async def test_a_folder_that_vanishes_is_told_and_what_was_in_memory_is_kept_anew(bench, gone):
    journal = bench.open()
    outbox = journal.outbox("city")
    await take(journal, bench, outbox)
    await journal.commit()
    for name in gone:
        shutil.rmtree(getattr(bench, name).path)
    await take(journal, bench, outbox)
    await journal.commit()
    await journal.commit()

    status = journal.status()
    assert "removed while the agent ran" in status.faults["damaged"]
    assert set(status.faults) == {"damaged"}
    await take(journal, bench, outbox)
    bench.let_go()  # a crash
    assert await fetched(bench.open(pack_within=0)) == list(range(60))


# --- tmpfs ---------------------------------------------------------------------------------------------------------


async def test_a_tmpfs_that_is_full_is_told_and_what_comes_goes_up_and_to_the_card_from_memory(bench):
    young = Troubled(bench.young.path)
    journal = bench.open(young=young)
    outbox = journal.outbox("city")
    young.refuses = errno.ENOSPC
    for _ in range(5):
        await take(journal, bench, outbox)
        await journal.commit()
    assert "No space left" in journal.status().faults["young_end"]

    young.refuses = 0
    await journal.commit()
    await journal.commit()
    assert journal.status().faults == {}
    await take(journal, bench, outbox)
    bench.let_go()  # a crash
    assert await fetched(bench.open(pack_within=0)) == list(range(120))


async def test_while_tmpfs_is_full_a_crash_takes_no_more_of_what_is_kept_and_delivered_than_one_look(bench):
    young = Troubled(bench.young.path)
    journal = bench.open(young=young, pack_size=1)
    outbox = journal.outbox("city")
    young.refuses = errno.ENOSPC
    await journal.commit()
    journal.append(Stream.TELEMETRY, bench.readings(3))
    await journal.commit()
    for pack in drain(outbox, Lane.LIVE):
        outbox.done(pack)
    journal.keep("rain-1", 7)
    await journal.commit(patient=True)
    bench.let_go()  # a crash

    reopened = bench.open(young=young, pack_within=0)
    assert reopened.kept("rain-1") == 7
    assert await fetched(reopened) == []


# --- the loss window -----------------------------------------------------------------------------------------------


async def test_a_power_cut_takes_no_telemetry_that_was_older_than_a_commit_and_no_alarm_that_was_committed(bench):
    journal = bench.open(commit_interval=0.1)
    running = asyncio.create_task(journal.run())
    journal.append(Stream.TELEMETRY, bench.readings(50))
    commits = journal.status().commits
    await until(lambda: journal.status().commits > commits)
    journal.append(Stream.ALARM, [alarm(bench, 1)])
    commits = journal.status().commits
    await until(lambda: journal.status().commits > commits, within=1.0)
    running.cancel()
    await asyncio.wait([running])
    bench.let_go()
    bench.power_cut()

    reopened = bench.open(pack_within=0)
    assert await fetched(reopened) == list(range(50))
    assert len(await packs_of(reopened, lane=Lane.ALARMS)) == 1
    await packs_of(reopened, lane=Lane.LEDGER)
    assert {one["first"] for one in ledger(reopened) if one["n"] == "lost" and one["stream"] == "telemetry"} == {51}


async def test_what_a_power_cut_may_take_is_bounded_by_the_last_commit_also_when_the_card_had_stalled(bench):
    card = Troubled(bench.card.path)
    journal = bench.open(card=card)
    journal.append(Stream.TELEMETRY, bench.readings(10))
    await journal.commit()
    card.refuses = errno.EROFS
    journal.append(Stream.TELEMETRY, bench.readings(10))
    await journal.commit()
    bench.let_go()
    bench.power_cut()
    card.refuses = 0

    reopened = bench.open(card=card, pack_within=0)
    assert await fetched(reopened) == list(range(10))
    assert [one["first"] for one in ledger(reopened) if one["n"] == "lost" and one["stream"] == "telemetry"] == [11]
