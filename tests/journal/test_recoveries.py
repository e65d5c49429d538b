"""Files that cannot be read, are removed under the running agent, or find no room: what is left goes on by itself."""

import asyncio
import errno
import shutil
import threading

import pytest

from agent.host.disk import Folder
from agent.journal.commit import decode_commit
from agent.journal.frames import scan
from agent.journal.pack import Lane
from agent.journal.state import restore
from agent.readings import Stream
from tests.journal.packs import drain
from tests.journal.test_losses import alarm, fetched, ledger, packs_of, said


class Sick(Folder):
    """A folder some of whose files cannot be read."""

    def __init__(self, path, *names):
        super().__init__(path)
        self.unreadable = set(names)
        self.reads = 0

    def read(self, name):
        self.reads += 1
        if name in self.unreadable:
            raise OSError(errno.EIO, "Input/output error")
        return super().read(name)


class Full(Folder):
    """A folder of so many bytes, `taken` of them by somebody else."""

    room = 1 << 20
    taken = 0

    def create(self, name):
        file = super().create(name)
        append = file.append

        def limited(data):
            if self.taken + sum(path.stat().st_size for path in self.path.iterdir()) + len(data) > self.room:
                raise OSError(errno.ENOSPC, "No space left on device")
            append(data)

        file.append = limited
        return file


async def commits(journal, bench, *counts):
    """Append so many readings at a time, each committed into a segment of its own."""
    for count in counts:
        journal.append(Stream.TELEMETRY, bench.readings(count))
        await journal.commit()
        journal._card.close()


async def told(journal):
    """Return what the ledger says, also from the card."""
    await packs_of(journal, lane=Lane.LEDGER)
    return [one for one in said(ledger(journal)) if one[0] != "lost"]


# --- a segment that cannot be read ---------------------------------------------------------------------------------


async def test_a_segment_that_cannot_be_read_at_start_costs_none_behind_it_and_stays_as_it_is(bench):
    journal = bench.open()
    await commits(journal, bench, 5, 5, 5)
    bench.let_go()
    bench.power_cut()
    second = bench.card.names()[1]
    before = (bench.card.path / second).read_bytes()

    reopened = bench.open(card=Sick(bench.card.path, second), pack_within=0)
    await commits(reopened, bench, 3)

    assert second in reopened.status().faults["damaged"]
    assert await fetched(reopened) == [0, 1, 2, 3, 4, 10, 11, 12, 13, 14, 15, 16, 17]
    assert await told(reopened) == [("damaged", "telemetry", 6, 10)]
    assert (bench.card.path / second).read_bytes() == before


async def test_a_segment_that_can_be_read_again_at_a_later_start_goes_up_after_all(bench):
    await commits(bench.open(), bench, 5, 5, 5)
    bench.let_go()
    bench.power_cut()
    sick = bench.open(card=Sick(bench.card.path, bench.card.names()[1]), pack_within=0)
    outbox = sick.outbox("city")
    for pack in await packs_of(sick):
        outbox.done(pack)
    await sick.close(5)

    reopened = bench.open(pack_within=0)

    assert await fetched(reopened) == [5, 6, 7, 8, 9]


async def test_a_folder_that_could_not_be_listed_at_start_is_not_written_over(bench):
    class Deaf(Folder):
        deaf = True

        def names(self):
            if self.deaf:
                raise OSError(errno.EIO, "Input/output error")
            return super().names()

    await commits(bench.open(), bench, 5, 5)
    bench.let_go()
    bench.power_cut()
    before = {name: bench.card.read(name) for name in bench.card.names()}
    card = Deaf(bench.card.path)
    journal = bench.open(card=card)
    card.deaf = False
    await commits(journal, bench, 5)

    assert {name: bench.card.read(name) for name in before} == before
    assert len(bench.card.names()) > len(before)


@pytest.mark.parametrize("gone", [True, False])
async def test_a_backlog_that_cannot_be_read_any_more_is_one_loss_and_history_goes_on_behind_it(bench, gone):
    journal = bench.open(pack_size=1)
    for _ in range(200):
        journal.append(Stream.TELEMETRY, bench.readings(1))
    await journal.commit()
    journal._card.close()
    await commits(journal, bench, 5)
    bench.let_go()
    bench.power_cut()
    card = Sick(bench.card.path)
    reopened = bench.open(card=card)
    if gone:
        card.remove(card.names()[0])
    else:
        card.unreadable.add(card.names()[0])

    assert await fetched(reopened) == [200, 201, 202, 203, 204]
    assert await told(reopened) == [("damaged", "telemetry", 1, 200)]
    assert card.names()[0] in reopened.status().faults["damaged"] or gone


async def test_a_segment_that_cannot_be_read_is_neither_read_for_ever_nor_written_further(bench):
    card = Sick(bench.card.path)
    journal = bench.open(card=card, young_limit=1 << 13)
    for _ in range(20):  # the young end is small: the oldest are on the card alone
        journal.append(Stream.TELEMETRY, bench.readings(8))
        await journal.commit()
    bad = card.names()[-1]
    card.unreadable.add(bad)
    first = await fetched(journal)
    await journal.commit()
    reads = card.reads
    for _ in range(20):
        journal.append(Stream.TELEMETRY, bench.readings(8))
        await journal.commit()
        await fetched(journal)

    assert first == list(range(160 - len(first), 160))
    assert await fetched(journal) == list(range(160 - len(first), 320))
    assert [one[:2] for one in await told(journal)] == [("damaged", "telemetry")]
    assert card.names()[-1] > bad
    assert card.reads - reads <= 25


async def test_what_is_lost_on_the_card_and_still_in_memory_is_committed_again(bench):
    journal = bench.open()
    await commits(journal, bench, 5, 5)
    shutil.rmtree(bench.card.path)
    await journal.commit()

    assert "removed" in journal.status().faults["damaged"]
    assert await told(journal) == []
    bench.let_go()
    bench.power_cut()
    assert await fetched(bench.open()) == list(range(10))


async def test_a_card_that_is_removed_costs_what_was_on_it_alone_and_the_ledger_says_so(bench):
    await commits(bench.open(), bench, 5, 5)
    bench.let_go()
    bench.power_cut()
    journal = bench.open(pack_within=0)
    journal.append(Stream.TELEMETRY, bench.readings(3))
    shutil.rmtree(bench.card.path)
    await journal.commit()

    assert await fetched(journal) == [10, 11, 12]
    assert await told(journal) == [("damaged", "telemetry", 1, 10)]


# --- the young end is removed --------------------------------------------------------------------------------------


class Slow(Folder):
    """A folder that takes its time over what is removed, and perhaps fails then."""

    fails = False

    def __init__(self, path):
        super().__init__(path)
        self.removed, self.goes_on = threading.Event(), threading.Event()

    def remove(self, name):
        super().remove(name)
        self.removed.set()
        self.goes_on.wait(60)

    def sync_folder(self):
        if self.fails and self.removed.is_set():
            self.fails = False
            raise OSError(errno.EIO, "Input/output error")
        super().sync_folder()


async def delivered(journal, bench):
    """Have a segment that nobody needs any more, and a newer one."""
    await commits(journal, bench, 3)
    outbox = journal.outbox("city")
    for pack in drain(outbox):
        outbox.done(pack)
    journal.append(Stream.TELEMETRY, bench.readings(1))


async def test_a_stop_while_segments_are_being_removed_does_not_take_them_for_removed_by_somebody(bench):
    card = Slow(bench.card.path)
    journal = bench.open(card=card)
    await delivered(journal, bench)
    committing = asyncio.create_task(journal.commit())
    await asyncio.to_thread(card.removed.wait, 5.0)
    committing.cancel()
    card.goes_on.set()
    await journal.close(5.0)
    assert not journal.status().faults
    assert len(card.names()) == 1


async def test_a_removal_that_fails_half_way_is_no_damage_and_is_tried_again(bench):
    card = Slow(bench.card.path)
    card.fails = True
    card.goes_on.set()
    journal = bench.open(card=card)
    await delivered(journal, bench)
    await journal.commit()
    assert set(journal.status().faults) == {"card"}
    await journal.commit()
    assert not journal.status().faults
    assert len(journal._card.segments) == 1


async def test_a_young_end_that_is_removed_begins_anew_with_all_that_is_still_needed(bench):
    class Refusing(Folder):
        def create(self, name):
            raise OSError(errno.EROFS, f"Read-only file system: {name}")

    card = Refusing(bench.card.path)  # so that the young end alone holds it
    journal = bench.open(card=card, young_limit=1 << 15)
    for _ in range(10):
        journal.append(Stream.TELEMETRY, bench.readings(8))
    journal.append(Stream.ALARM, [alarm(bench, 1)])
    journal.keep("rain-1", 7)
    outbox = journal.outbox("city")
    shutil.rmtree(bench.young.path)
    journal.append(Stream.TELEMETRY, bench.readings(8))
    await journal.commit()

    assert "removed" in journal.status().faults["damaged"]
    reopened = bench.open(card=card)
    assert reopened.status().epoch == journal.status().epoch
    assert reopened.kept("rain-1") == 7
    assert await fetched(reopened) == list(range(88))
    assert len(drain(reopened.outbox("city"), Lane.ALARMS)) == len(drain(outbox, Lane.ALARMS)) == 1


async def test_a_young_end_that_is_removed_costs_nothing_if_the_agent_crashes_before_the_next_commit(bench):
    journal = bench.open(young_limit=1 << 15, pack_size=8)
    for _ in range(20):
        journal.append(Stream.TELEMETRY, bench.readings(8))
    shutil.rmtree(bench.young.path)
    journal.append(Stream.TELEMETRY, bench.readings(8))  # the pack ends, and it is noticed

    assert await fetched(bench.open()) == list(range(168))


async def test_a_young_end_that_cannot_be_made_again_is_tried_at_each_commit(bench):
    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(5))
    shutil.rmtree(bench.young.path)
    bench.young.path.write_text("a file where the folder should be")
    await journal.commit()
    assert "young_end" in journal.status().faults

    bench.young.path.unlink()
    journal.append(Stream.TELEMETRY, bench.readings(5))
    await journal.commit()
    await journal.commit()

    assert "young_end" not in journal.status().faults
    assert await fetched(bench.open()) == list(range(10))


# --- no room on tmpfs ----------------------------------------------------------------------------------------------


async def test_on_a_full_tmpfs_readings_go_up_and_to_the_card_from_memory(bench):
    young = Full(bench.young.path)
    journal = bench.open(young=young)
    journal.append(Stream.TELEMETRY, bench.readings(5))
    young.taken = young.room
    commits_before = journal.status().commits
    for _ in range(50):
        journal.append(Stream.TELEMETRY, bench.readings(1))
    assert journal.status().commits == commits_before
    await journal.commit()

    assert "No space left" in journal.status().faults["young_end"]
    assert journal.status().commits == commits_before + 1
    bench.power_cut()
    assert await fetched(journal) == await fetched(bench.open()) == list(range(55))


async def test_what_the_card_took_of_kept_values_is_newer_than_what_a_full_tmpfs_refused(bench):
    young = Full(bench.young.path)
    journal = bench.open(young=young)
    journal.keep("rain-1", 12)
    young.taken = young.room
    journal.keep("rain-1", 13)
    await journal.commit(clean=True)
    bench.let_go()
    assert bench.open().kept("rain-1") == 13


async def test_a_tmpfs_that_has_room_again_takes_what_it_had_refused(bench):
    class Refusing(Folder):
        def create(self, name):
            raise OSError(errno.EROFS, f"Read-only file system: {name}")

    card, young = Refusing(bench.card.path), Full(bench.young.path)
    journal = bench.open(young=young, card=card)
    young.taken = young.room
    journal.append(Stream.TELEMETRY, bench.readings(50))
    await journal.commit()
    young.taken = 0
    await journal.commit()
    await journal.commit()

    assert "young_end" not in journal.status().faults
    assert await fetched(bench.open(card=card)) == list(range(50))


async def test_files_that_nobody_needs_make_room_on_a_full_tmpfs(bench):
    young = Full(bench.young.path)
    journal = bench.open(young=young, young_limit=1 << 15, pack_size=1)
    outbox = journal.outbox("city")
    for _ in range(30):
        journal.append(Stream.TELEMETRY, bench.readings(8))
        for pack in drain(outbox, Lane.LIVE):
            outbox.done(pack)
    files = len(young.names())
    young.taken = young.room - journal.status().young_bytes
    for _ in range(10):
        journal.append(Stream.TELEMETRY, bench.readings(8))

    assert journal.status().unkept == 0
    assert journal.status().faults == {}
    assert files > 2
    assert await fetched(bench.open()) == list(range(240, 320))


async def test_when_every_place_refuses_memory_stays_bounded_and_the_ledger_says_what_went(bench):
    class Refusing(Folder):
        def create(self, name):
            raise OSError(errno.ENOSPC, f"No space left on device: {name}")

    journal = bench.open(young=Refusing(bench.young.path), card=Refusing(bench.card.path), young_limit=1 << 15)
    for _ in range(400):
        journal.append(Stream.TELEMETRY, bench.readings(20))
    journal.close_packs()
    left = await fetched(journal)
    dropped = sum(one["count"] for one in ledger(journal) if one["n"] == "dropped")

    assert dropped > 0
    assert left == list(range(dropped, 8000))
    assert sum(len(pack.body) for pack in journal._stock.fresh) < 1 << 16


async def test_a_flood_of_alarms_stays_bounded_while_the_card_refuses(bench):
    class Refusing(Folder):
        def create(self, name):
            raise OSError(errno.EROFS, f"Read-only file system: {name}")

    journal = bench.open(card=Refusing(bench.card.path), young_limit=1 << 16)
    for number in range(1000):
        journal.append(Stream.ALARM, [alarm(bench, number)])
    alarms = [pack.first for pack in drain(journal.outbox("city"), Lane.ALARMS)]
    dropped = sum(one["count"] for one in ledger(journal) if one["n"] == "dropped")

    assert journal.status().young_bytes <= 1 << 16
    assert alarms == list(range(dropped + 1, 1001))  # the oldest went
    assert len(alarms) > 50


# --- over the years ------------------------------------------------------------------------------------------------


async def test_power_cuts_leave_no_trace_in_the_snapshot_once_nothing_is_left_of_their_epochs(bench):
    known = []
    for _ in range(12):
        journal = bench.open(pack_within=0)
        outbox = journal.outbox("city")
        await commits(journal, bench, 5)
        for lane in Lane:
            for pack in await packs_of(journal, lane=lane):
                outbox.done(pack)
        journal.keep("rain-1", len(known))
        await journal.commit(clean=True)
        await journal.commit()
        epochs = {epoch for by_key in newest_state(bench.card).done.values() for epoch, _ in by_key}
        known.append(len(epochs))
        bench.let_go()
        bench.power_cut()

    assert max(known) <= 3


def newest_state(card):
    *_, last = scan(card.read(card.names()[-1]))
    return restore(decode_commit(last.payload).progress)
