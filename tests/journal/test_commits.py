"""What reaches the card, and when: kept values as they change, progress as it is, and nothing while nothing waits."""

import asyncio
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.host.disk import Folder
from agent.journal.card import Card
from agent.journal.commit import Commit, decode_commit
from agent.journal.frames import Kind, scan
from agent.journal.pack import Lane
from agent.journal.packing import encode_packs
from agent.journal.state import State, encode
from agent.readings import Stream
from tests.journal.conftest import BOOT
from tests.journal.packs import drain, values
from tests.journal.test_losses import alarm, fetched
from tests.uplink.waiting import until

EPOCH = "e" * 16
SECOND = 1_000_000_000
HEADER = 12  # bytes of a frame before its payload

kept_values = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 3))
segments = st.lists(st.lists(kept_values, min_size=1, max_size=4), min_size=1, max_size=3)


def commit(kept, number=1):
    state = State(epoch=EPOCH, boot=BOOT)
    state.next[Stream.TELEMETRY] = number
    return Commit(EPOCH, state.progress(), kept, encode_packs([]))


def written(folder, segments):
    """Write the commits, each segment in a file of its own; return where the records of each lie."""
    card = Card(Folder(folder))
    places = []
    for segment in segments:
        at = 0
        for number, kept in enumerate(segment, 1):
            name, size = card.write(commit(kept, number))
            places.append((folder / name, at, size))
            at += size
        card.close()
    return places


@settings(max_examples=50, deadline=None)
@given(segments)
def test_the_kept_values_of_the_last_commit_come_back(segments):
    with tempfile.TemporaryDirectory() as folder:
        written(Path(folder), segments)

        found = Card(Folder(Path(folder))).load()

    assert found.state.kept == segments[-1][-1]
    assert found.state.next[Stream.TELEMETRY] == len(segments[-1])
    assert not found.kept_is_old


@settings(max_examples=100, deadline=None)
@given(segments, st.data())
def test_where_a_record_is_damaged_older_kept_values_are_never_taken_for_the_newest(segments, data):
    with tempfile.TemporaryDirectory() as folder:
        *places, _last = written(Path(folder), segments)
        if not places:
            return
        path, at, size = data.draw(st.sampled_from(places))
        content = bytearray(path.read_bytes())
        content[at + data.draw(st.integers(HEADER, size - 1))] ^= 1
        path.write_bytes(content)

        found = Card(Folder(Path(folder))).load()

    assert found.damaged
    assert found.state.kept == segments[-1][-1] or found.kept_is_old


def test_the_last_progress_that_can_be_read_counts(tmp_path):
    card = Card(Folder(tmp_path))
    card.write(commit({}, 5))
    card.write(commit({}, 7))
    card.write(commit({})._replace(progress=b"nonsense"))
    card.write(commit({})._replace(progress=encode({"epoch": EPOCH})))
    card.close()

    assert Card(Folder(tmp_path)).load().state.next[Stream.TELEMETRY] == 7


async def test_only_what_changed_of_the_kept_values_is_written_again(bench):
    journal = bench.open()
    journal.keep("anchors", list(range(1000)))
    journal.keep("rain-1", 1)
    await journal.commit(clean=True)
    journal.keep("rain-1", 2)
    await journal.commit(clean=True)
    journal.keep("rain-1", None)
    await journal.commit(clean=True)
    await journal.commit(clean=True)

    sizes = [len(decode_commit(one.payload).kept) for one in scan(bench.card.read(bench.card.names()[0]))]
    assert [size > 1000 for size in sizes[-4:]] == [True, False, False, False]
    assert sizes[-1] == 0
    bench.let_go()
    bench.power_cut()
    reopened = bench.open()
    assert reopened.kept("anchors") == list(range(1000))
    assert reopened.kept("rain-1") is None


async def test_that_kept_values_are_older_than_they_were_is_told(bench):
    journal = bench.open()
    for total in range(1, 4):
        journal.keep("rain-1", total)
        await journal.commit(clean=True)
    bench.let_go()
    segment = bench.card.path / bench.card.names()[0]
    data = segment.read_bytes()
    *_, third, _last = scan(data)
    at = data.index(third.payload)
    segment.write_bytes(data[:at] + bytes(len(third.payload)) + data[at + len(third.payload) :])
    bench.power_cut()

    reopened = bench.open()

    assert reopened.kept("rain-1") == 3  # each value stands alone
    assert "of the kept values" in reopened.status().faults["damaged"]


# --- when ----------------------------------------------------------------------------------------------------------


async def test_what_is_delivered_before_it_is_seen_twice_never_reaches_the_card(bench):
    journal = bench.open(pack_size=1)
    outbox = journal.outbox("city")
    commits = journal.status().commits
    for _ in range(10):
        journal.append(Stream.TELEMETRY, bench.readings(3))
        await journal.commit(patient=True)
        for pack in drain(outbox, Lane.LIVE):
            outbox.done(pack)
        journal.append(Stream.TELEMETRY, bench.readings(1))  # a pack is open, or unacked, at any time
        await journal.commit(patient=True)
        for pack in drain(outbox, Lane.LIVE):
            outbox.done(pack)

    assert journal.status().commits == commits


async def test_what_is_seen_twice_is_committed_with_all_that_came_since(bench):
    journal = bench.open()
    commits = journal.status().commits
    journal.append(Stream.TELEMETRY, bench.readings(3))
    await journal.commit(patient=True)
    assert journal.status().commits == commits
    journal.append(Stream.TELEMETRY, bench.readings(2))
    await journal.commit(patient=True)
    assert journal.status().commits == commits + 1
    bench.let_go()
    bench.power_cut()

    assert await fetched(bench.open()) == [0, 1, 2, 3, 4]


async def test_what_an_earlier_run_left_is_committed_at_the_first_look(bench):
    bench.open().append(Stream.TELEMETRY, bench.readings(3))
    bench.let_go()
    await bench.open().commit(patient=True)
    bench.let_go()
    bench.power_cut()

    assert await fetched(bench.open()) == [0, 1, 2]


async def test_kills_before_each_commit_is_due_put_it_off_no_longer_than_one_run(bench):
    for number in range(4):
        journal = bench.open()  # whose interval is an hour
        running = asyncio.create_task(journal.run())
        await until(lambda journal=journal: journal.status().commits and not journal._card_changes.locked())
        journal.append(Stream.TELEMETRY, bench.readings(1))
        journal.keep("rain-1", number)
        running.cancel()
        bench.let_go()
    bench.power_cut()

    reopened = bench.open()
    assert await fetched(reopened) == [0, 1, 2]
    assert reopened.kept("rain-1") == 2


async def test_what_is_kept_of_an_alarm_is_committed_at_once_also_if_it_was_delivered_before(bench):
    journal = bench.open()
    with journal.together():
        journal.append(Stream.ALARM, [alarm(bench, 1)])
        journal.keep("panic-1", "pressed")
    outbox = journal.outbox("city")
    for pack in drain(outbox, Lane.ALARMS):
        outbox.done(pack)
    await journal.commit(patient=True)
    bench.let_go()
    bench.power_cut()

    reopened = bench.open()
    assert reopened.kept("panic-1") == "pressed"
    assert drain(reopened.outbox("city"), Lane.ALARMS) == []


async def test_progress_reaches_the_card_within_a_minute(bench):
    journal = bench.open(pack_size=1)
    journal.append(Stream.TELEMETRY, bench.readings(3))
    await journal.commit()
    outbox = journal.outbox("city")
    for lane in (Lane.LIVE, Lane.HISTORY):
        for pack in drain(outbox, lane):
            outbox.done(pack)
    commits = journal.status().commits
    bench.clock.now += 59 * SECOND
    await journal.commit(patient=True)
    assert journal.status().commits == commits
    bench.clock.now += 2 * SECOND
    await journal.commit(patient=True)
    assert journal.status().commits == commits + 1
    bench.let_go()
    bench.power_cut()

    assert await fetched(bench.open()) == []


# --- in the young end ----------------------------------------------------------------------------------------------


def frames_of(bench, kind):
    young = [found for name in bench.young.names() for found in scan(bench.young.read(name))]
    return [one for one in young if one.kind == kind]


async def test_what_is_delivered_in_one_turn_of_the_loop_is_noted_at_once(bench):
    journal = bench.open(pack_size=1)
    for _ in range(5):
        journal.append(Stream.TELEMETRY, bench.readings(2))
    outbox = journal.outbox("city")
    first, second, third, fourth, fifth = drain(journal.outbox("city"))
    for pack in (first, second, third, fifth):
        outbox.done(pack)
    assert frames_of(bench, Kind.DONE) == []
    await asyncio.sleep(0)

    assert len(frames_of(bench, Kind.DONE)) == 1
    assert [values(pack) for pack in drain(bench.open().outbox("city"))] == [values(fourth)]


async def test_a_pack_that_was_closed_is_whole_although_what_it_was_made_of_is_damaged(bench):
    journal = bench.open()
    for _ in range(3):
        journal.append(Stream.TELEMETRY, bench.readings(4))
    journal.close_packs()
    newest = bench.young.path / bench.young.names()[-1]
    data = bytearray(newest.read_bytes())
    data[data.index(b'"v":5')] ^= 1
    newest.write_bytes(data)

    packs = drain(bench.open().outbox("city"))

    assert [(pack.first, pack.last, values(pack)) for pack in packs] == [(1, 12, list(range(12)))]
