"""What the journal promises, one sentence a test."""

import asyncio
import errno

import pytest

from agent.host.disk import Folder
from agent.journal.pack import Lane
from agent.readings import AlarmEvent, Stream
from tests.journal.packs import drain, values, waiting


class Unwritable(Folder):
    """A card that takes nothing more."""

    def create(self, name):  # noqa: ARG002 - as every disk's
        raise OSError(errno.EROFS, "Read-only file system")


async def fetched(journal, outbox, lane=Lane.HISTORY):
    """Take all that waits in a lane, also from the card."""
    there = asyncio.Event()
    journal.on_new(there.set)
    packs = []
    while True:
        there.clear()
        packs += drain(outbox, lane)
        if not journal._fetching.under_way:
            return packs
        async with asyncio.timeout(5):
            await there.wait()


async def test_what_was_appended_comes_out_in_order_and_numbered_from_one(bench):
    journal = bench.open(pack_size=10)
    outbox = journal.outbox("city")
    journal.append(Stream.TELEMETRY, bench.readings(25))
    journal.append(Stream.TELEMETRY, bench.readings(5))

    packs = drain(outbox, Lane.LIVE)

    assert [(pack.first, pack.last) for pack in packs] == [(1, 25)]  # one append is never split
    await journal.commit()
    assert [(pack.first, pack.last) for pack in drain(outbox, Lane.LIVE)] == [(26, 30)]
    await journal.close(5)


async def test_a_pack_closes_by_itself_after_pack_within(bench):
    journal = bench.open(pack_within=0.01)
    outbox = journal.outbox("city")
    new = asyncio.Event()
    outbox.on_new(new.set)

    journal.append(Stream.TELEMETRY, bench.readings(3))

    async with asyncio.timeout(5):
        await new.wait()
    assert waiting(outbox, Lane.LIVE) == [0, 1, 2]
    await journal.close(5)


async def test_a_crash_loses_nothing_that_was_appended(bench):
    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(7))

    reopened = bench.open()  # the first one was never closed

    assert waiting(reopened.outbox("city")) == list(range(7))
    assert reopened.status().epoch == journal.status().epoch


async def test_a_torn_tail_costs_the_torn_record_alone(bench):
    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(4))
    journal.append(Stream.TELEMETRY, bench.readings(4))
    newest = bench.young.path / bench.young.names()[-1]
    newest.write_bytes(newest.read_bytes()[:-3])

    reopened = bench.open()

    assert waiting(reopened.outbox("city")) == [0, 1, 2, 3]
    assert "damaged" in reopened.status().faults
    reopened.append(Stream.TELEMETRY, bench.readings(1))
    await reopened.commit()
    assert waiting(bench.open().outbox("city")) == [0, 1, 2, 3, 8]


async def test_what_was_delivered_is_not_handed_out_again_after_a_crash(bench):
    journal = bench.open(pack_size=1)
    outbox = journal.outbox("city")
    for _ in range(3):
        journal.append(Stream.TELEMETRY, bench.readings(1))
    first, second, third = drain(outbox, Lane.LIVE)
    outbox.done(first)
    outbox.done(third)
    await asyncio.sleep(0)  # this turn of the loop is over

    again = drain(bench.open().outbox("city"))

    assert [values(pack) for pack in again] == [values(second)]
    assert again[0].body == second.body  # the same bytes


async def test_after_a_lost_connection_what_was_live_comes_again_as_history_and_only_the_new_is_live(bench):
    journal = bench.open(pack_size=1)
    outbox = journal.outbox("city")
    for _ in range(3):
        journal.append(Stream.TELEMETRY, bench.readings(1))
    taken = drain(outbox, Lane.LIVE)
    outbox.done(taken[1])

    outbox.rewind()
    journal.append(Stream.TELEMETRY, bench.readings(1))

    assert waiting(outbox, Lane.HISTORY) == [0, 2]
    assert waiting(outbox, Lane.LIVE) == [3]


async def test_live_readings_that_waited_too_long_become_history_but_what_is_in_flight_is_not_sent_twice(bench):
    journal = bench.open(pack_size=1)
    outbox = journal.outbox("city")
    for _ in range(3):
        journal.append(Stream.TELEMETRY, bench.readings(1))
    in_flight, stale = outbox.next(Lane.LIVE), outbox.next(Lane.LIVE)

    outbox.demote(stale)

    assert values(in_flight) == [0]
    assert waiting(outbox, Lane.LIVE) == [2]
    assert waiting(outbox, Lane.HISTORY) == [1]


async def test_a_power_cut_takes_what_was_not_committed_and_the_ledger_says_from_where(bench):
    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(5))
    await journal.commit()
    journal.append(Stream.TELEMETRY, bench.readings(5))
    epoch = journal.status().epoch

    bench.power_cut()
    reopened = bench.open(pack_within=0)
    outbox = reopened.outbox("city")

    assert [value for pack in await fetched(reopened, outbox) for value in values(pack)] == [0, 1, 2, 3, 4]
    assert reopened.status().epoch != epoch
    lost = [entry for entry in ledger(outbox) if entry["stream"] == "telemetry"]
    assert lost == [lost[0] | {"n": "lost", "why": "power_cut", "epoch": epoch, "first": 6}]


async def test_an_orderly_stop_leaves_nothing_for_a_power_cut_to_take(bench):
    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(5))
    await journal.close(5)

    bench.power_cut()
    reopened = bench.open(pack_within=0)
    outbox = reopened.outbox("city")

    assert [value for pack in await fetched(reopened, outbox) for value in values(pack)] == [0, 1, 2, 3, 4]
    stated = {(entry["n"], entry["why"], entry["stream"], entry["first"]) for entry in ledger(outbox)}
    firsts = {"telemetry": 6, "alarm": 1, "anchor": 1, "ledger": 1}
    assert stated == {("lost", "restart", stream, first) for stream, first in firsts.items()}


async def test_what_was_taken_while_the_card_refused_after_an_orderly_stop_is_accounted_for(bench):
    journal = bench.open()
    epoch = journal.status().epoch
    journal.append(Stream.TELEMETRY, bench.readings(5))
    await journal.close(5)
    bench.open(card=Unwritable(bench.card.path), pack_size=1).append(Stream.TELEMETRY, bench.readings(5))

    bench.power_cut()
    entries = ledger(bench.open(pack_within=0).outbox("city"))

    stated = [(one["n"], one["epoch"], one["stream"], one["first"]) for one in entries]
    assert ("lost", epoch, "telemetry", 6) in stated


async def test_a_power_cut_soon_after_an_orderly_restart_is_not_taken_for_an_orderly_stop(bench):
    await bench.open().close(5)
    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(5))

    bench.power_cut()
    reopened = bench.open(pack_within=0)

    assert "telemetry" in [entry["stream"] for entry in ledger(reopened.outbox("city"))]


async def test_while_everything_is_delivered_in_time_the_card_is_not_touched(bench):
    journal = bench.open(pack_size=1)
    outbox = journal.outbox("city")
    before = {name: bench.card.size(name) for name in bench.card.names()}
    for _ in range(100):
        journal.append(Stream.TELEMETRY, bench.readings(1))
        for pack in drain(outbox, Lane.LIVE):
            outbox.done(pack)
        await journal.commit()

    assert {name: bench.card.size(name) for name in bench.card.names()} == before


async def test_an_alarm_is_committed_at_once(bench):
    journal = bench.open()
    committing = asyncio.create_task(journal.run())
    before = journal.status().commits
    journal.append(Stream.ALARM, [AlarmEvent("panic-1", "pressed", bench.clock.now, "f" * 16, raised=True)])
    async with asyncio.timeout(5):
        while journal.status().commits == before:  # noqa: ASYNC110 - waits for another task
            await asyncio.sleep(0)
    committing.cancel()

    bench.power_cut()
    reopened = bench.open()
    alarms = await fetched(reopened, reopened.outbox("city"), Lane.ALARMS)
    assert [(pack.stream, pack.first) for pack in alarms] == [(Stream.ALARM, 1)]


async def test_segments_that_every_uplink_has_are_removed_and_the_newest_snapshot_stays(bench):
    journal = bench.open(uplinks=("city", "agency"))
    city, agency = journal.outbox("city"), journal.outbox("agency")
    journal.append(Stream.TELEMETRY, bench.readings(5))
    await journal.commit()
    journal._card.close()  # as if the segment were full
    journal.keep("rain-1", 12)
    journal.append(Stream.TELEMETRY, bench.readings(5))
    await journal.commit()
    assert len(bench.card.names()) == 2

    for pack in drain(city, Lane.LIVE):
        city.done(pack)
    await journal.commit()
    assert len(bench.card.names()) == 2  # the agency has not got it
    for pack in drain(agency, Lane.LIVE):
        agency.done(pack)
    await journal.commit()

    assert len(bench.card.names()) == 1
    bench.power_cut()
    assert bench.open().kept("rain-1") == 12


async def test_a_backlog_that_has_gone_up_is_not_held_in_memory_with_the_segment_that_is_still_being_filled(bench):
    before = bench.open()
    before.append(Stream.TELEMETRY, bench.readings(5))
    await before.commit()
    bench.power_cut()
    journal = bench.open(pack_within=0)
    outbox = journal.outbox("city")
    packs = await fetched(journal, outbox)
    assert journal._fetching._there
    for pack in packs:
        outbox.done(pack)
    await journal.commit()
    assert not journal._fetching._there


async def test_beyond_the_limit_the_oldest_telemetry_goes_into_the_ledger_and_alarms_stay(bench):
    journal = bench.open(limit=1 << 19, young_limit=1 << 18, pack_size=1000)
    journal.append(Stream.ALARM, [AlarmEvent("panic-1", "pressed", bench.clock.now, "f" * 16, raised=True)])
    for _ in range(40):
        journal.append(Stream.TELEMETRY, bench.readings(5000))
        await journal.commit()
        journal._card.close()  # small segments, so that the limit is met soon
    outbox = journal.outbox("city")

    history = await fetched(journal, outbox)
    alarms = await fetched(journal, outbox, Lane.ALARMS)

    assert sum(bench.card.size(name) for name in bench.card.names()) < 1.2 * (1 << 19)
    dropped = [entry for entry in await ledger_of(journal) if entry["n"] == "dropped"]
    gone = sum(entry["count"] for entry in dropped)
    assert gone > 0
    assert gone + sum(len(values(pack)) for pack in history) == 200_000
    assert [pack.first for pack in alarms] == [1]


async def test_a_full_young_end_keeps_alarms_and_accounts_for_the_telemetry_that_went(bench):
    journal = bench.open(card=Unwritable(bench.card.path), young_limit=1 << 16)
    journal.append(Stream.ALARM, [AlarmEvent("panic-1", "pressed", bench.clock.now, "f" * 16, raised=True)])
    for _ in range(400):
        journal.append(Stream.TELEMETRY, bench.readings(50))
    await journal.commit()
    outbox = journal.outbox("city")

    assert "card" in journal.status().faults
    assert journal.status().young_bytes <= 1 << 16
    left = waiting(outbox)
    dropped = sum(entry["count"] for entry in ledger(outbox) if entry["n"] == "dropped")
    assert dropped > 0
    assert len(left) + dropped == 20_000
    assert left == list(range(dropped, 20_000))  # the oldest went
    assert len(drain(outbox, Lane.ALARMS)) == 1
    assert waiting(bench.open(card=Unwritable(bench.card.path), young_limit=1 << 16).outbox("city")) == left


async def test_values_that_are_kept_again_and_again_cost_no_reading_its_place(bench):
    journal = bench.open(card=Unwritable(bench.card.path), young_limit=1 << 16)
    journal.append(Stream.TELEMETRY, bench.readings(20))
    for number in range(5000):
        journal.keep("rain-1", {"total": number})
    journal.append(Stream.TELEMETRY, bench.readings(20))
    await journal.commit()
    assert journal.status().young_bytes <= 1 << 16
    assert waiting(journal.outbox("city")) == list(range(40))


async def test_a_card_that_refuses_and_recovers_gets_what_it_missed(bench):
    class Full(Folder):
        full = False

        def create(self, name):
            if self.full:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().create(name)

    card = Full(bench.card.path)
    journal = bench.open(card=card)
    journal._card.close()
    card.full = True
    journal.append(Stream.TELEMETRY, bench.readings(5))
    await journal.commit()
    assert journal.status().faults["card"].endswith("No space left on device")

    card.full = False
    await journal.commit()

    assert journal.status().faults == {}
    bench.power_cut()
    reopened = bench.open()
    found = await fetched(reopened, reopened.outbox("city"))
    assert [value for pack in found for value in values(pack)] == [0, 1, 2, 3, 4]


async def test_a_failed_sync_is_never_repeated_on_the_same_file(bench):
    synced = []

    class Dying(Folder):
        def create(self, name):
            file = super().create(name)
            sync = file.sync

            def failing():
                synced.append(name)
                if len(synced) == 2:
                    raise OSError(errno.EIO, "Input/output error")
                sync()

            file.sync = failing
            return file

    journal = bench.open(card=Dying(bench.card.path))
    for _ in range(3):
        journal.append(Stream.TELEMETRY, bench.readings(5))
        await journal.commit()

    assert synced[1] not in synced[2:]
    bench.power_cut()
    reopened = bench.open()
    found = await fetched(reopened, reopened.outbox("city"))
    assert [value for pack in found for value in values(pack)] == list(range(15))


@pytest.mark.parametrize("position", [0.2, 0.5, 0.9])
async def test_flipped_bits_cost_the_damaged_commit_alone_and_the_ledger_names_its_numbers_once(bench, position):
    journal = bench.open()
    for _ in range(10):
        journal.append(Stream.TELEMETRY, bench.readings(10))
        await journal.commit()
    segment = bench.card.path / bench.card.names()[-1]
    data = bytearray(segment.read_bytes())
    data[int(len(data) * position)] ^= 0x40
    segment.write_bytes(data)

    bench.power_cut()
    reopened = bench.open(pack_within=0)
    outbox = reopened.outbox("city")
    left = [value for pack in await fetched(reopened, outbox) for value in values(pack)]
    damaged = [entry for entry in ledger(outbox) if entry["n"] == "damaged"]

    assert len(left) == 90
    assert [(entry["count"], entry["stream"]) for entry in damaged] == [(10, "telemetry")]
    missing = set(range(100)) - set(left)
    assert missing == set(range(damaged[0]["first"] - 1, damaged[0]["last"]))
    again = bench.open(pack_within=0)
    assert [entry["n"] for entry in await ledger_of(again)].count("damaged") == 1


async def test_kept_values_survive_a_crash_at_once_and_a_power_cut_within_a_minute(bench):
    journal = bench.open()
    journal.keep("rain-1", {"tips": 5})
    assert bench.open().kept("rain-1") == {"tips": 5}

    journal = bench.open()
    journal.keep("rain-1", {"tips": 6})
    bench.clock.now += 61 * 10**9
    await journal.commit()
    bench.power_cut()

    assert bench.open().kept("rain-1") == {"tips": 6}


async def test_a_folder_that_cannot_be_written_does_not_keep_the_journal_from_starting(bench):
    bench.card.path.parent.mkdir(exist_ok=True)
    bench.card.path.write_text("a file where the folder should be")

    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(3))
    await journal.commit()

    assert "card" in journal.status().faults
    assert waiting(journal.outbox("city")) == [0, 1, 2]
    bench.card.path.unlink()
    await journal.commit()
    assert journal.status().faults == {}


async def test_status_counts_what_waits_for_each_uplink(bench):
    journal = bench.open(uplinks=("city", "agency"), pack_size=1)
    city = journal.outbox("city")
    for _ in range(4):
        journal.append(Stream.TELEMETRY, bench.readings(1))
    for pack in drain(city, Lane.LIVE)[:3]:
        city.done(pack)

    waits = journal.status().waiting

    assert (waits["city"]["telemetry"], waits["agency"]["telemetry"]) == (1, 4)


def ledger(outbox):
    """Return the ledger entries that wait and are at hand."""
    return [entry for pack in drain(outbox, Lane.LEDGER) for entry in entries(pack)]


async def ledger_of(journal):
    """Return all ledger entries that wait, also on the card."""
    journal.close_packs()
    outbox = journal.outbox("city")
    return [entry for pack in await fetched(journal, outbox, Lane.LEDGER) for entry in entries(pack)]


def entries(pack):
    import json
    import zlib

    return json.loads(b"[" + zlib.decompress(pack.body, -15))
