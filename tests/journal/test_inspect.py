"""Looking into a journal from outside: nothing of it changes, and nothing in it is missed or said twice."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.host.disk import Folder, ReadOnlyFolder
from agent.journal import frames
from agent.journal.inspect import look, time_of
from agent.journal.pack import Lane
from agent.readings import Anchor, Stream
from tests.journal.conftest import BOOT
from tests.journal.packs import drain

SECOND = 1_000_000_000


def seen(bench, **options):
    return look(ReadOnlyFolder(bench.young.path), ReadOnlyFolder(bench.card.path), **options)


def exported(bench, found=None, since=None):
    """Return the values of all telemetry, in the order in which it is yielded."""
    found = found or seen(bench)
    runs = list(found.runs(ReadOnlyFolder(bench.card.path), since))
    for run in runs:
        assert len(run.records) == run.pack.last - run.pack.first + 1
    return [one["v"] for run in runs if run.pack.stream is Stream.TELEMETRY for one in run.records]


def everything(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def telemetry(found):
    return (found.epochs[-1], Stream.TELEMETRY)


async def test_what_is_committed_and_what_is_new_are_seen_once_and_nothing_changes(bench):
    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(5))
    await journal.commit()
    journal.append(Stream.TELEMETRY, bench.readings(3))  # in a pack that still grows
    before = everything(bench.card.path.parent)

    found = seen(bench, thorough=True)

    assert exported(bench) == list(range(8))
    assert found.is_whole()
    assert found.waiting("city", telemetry(found)) == 8
    assert list(found.present[telemetry(found)]) == [(1, 8)]
    assert everything(bench.card.path.parent) == before


async def test_the_young_end_may_know_the_beginning_of_a_pack_that_the_card_has_whole(bench):
    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(2))

    class Later(ReadOnlyFolder):
        """A card that is read after the agent has gone on."""

        def names(self):
            return names

    young = ReadOnlyFolder(bench.young.path)
    torn = {name: young.read(name) for name in young.names()}
    journal.append(Stream.TELEMETRY, bench.readings(2))
    await journal.commit()
    for name, data in torn.items():
        (bench.young.path / name).write_bytes(data)
    names = bench.card.names()

    found = look(young, Later(bench.card.path))

    assert exported(bench, found) == [0, 1, 2, 3]
    assert found.is_whole()


async def test_what_was_delivered_does_not_wait_and_is_not_missing_when_it_is_gone(bench):
    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(5))
    journal.close_packs()
    outbox = journal.outbox("city")
    for pack in drain(outbox, Lane.LIVE) + drain(outbox):
        outbox.done(pack)
    journal.append(Stream.TELEMETRY, bench.readings(2))
    await journal.commit()
    bench.let_go()
    bench.power_cut()

    found = seen(bench, thorough=True)

    assert exported(bench) == [5, 6]
    assert found.waiting("city", telemetry(found)) == 2
    assert found.is_whole()


async def test_a_damaged_commit_costs_its_numbers_and_is_named(bench):
    journal = bench.open()
    for _ in range(3):
        journal.append(Stream.TELEMETRY, bench.readings(2))
        await journal.commit()
    bench.let_go()
    bench.power_cut()
    segment = bench.card.path / bench.card.names()[-1]
    sizes = [len(frames.frame(one.kind, one.payload)) for one in frames.scan(segment.read_bytes())]
    data = bytearray(segment.read_bytes())
    data[sum(sizes[:-1]) - 1] ^= 1  # the last byte of the last but one
    segment.write_bytes(data)

    found = seen(bench)

    assert [(one.offset, one.size) for one in found.card[-1].damaged] == [(sum(sizes[:-2]), sizes[-2])]
    assert list(found.missing(telemetry(found))) == [(3, 4)]
    assert exported(bench) == [0, 1, 4, 5]
    assert not found.is_whole()


async def test_a_torn_end_of_the_newest_file_is_no_damage(bench):
    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(2))
    await journal.commit()
    with (bench.card.path / bench.card.names()[-1]).open("ab") as file:
        file.write(frames.frame(frames.Kind.PACKS, bytes(100))[:60])

    found = seen(bench)

    assert found.card[-1].cut == 60
    assert found.is_whole()


async def test_a_segment_that_vanishes_between_two_looks_is_looked_for_again(bench):
    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(2))
    await journal.commit()

    class Vanishing(ReadOnlyFolder):
        names_of_the_past = itertools.chain([["0000000000.segment"]], itertools.repeat(None))

        def names(self):
            return next(self.names_of_the_past) or super().names()

    assert look(None, Vanishing(bench.card.path)).is_whole()


async def test_records_are_dated_by_kept_anchors_and_by_the_anchor_stream(bench):
    journal = bench.open()
    [reading] = bench.readings(1)
    journal.append(Stream.TELEMETRY, [reading])
    assert [run.dated for run in seen(bench).runs(None)] == [None]

    anchor = Anchor(BOOT, reading.at + SECOND, 1_795_346_000 * SECOND, 0.1, "timesyncd")
    journal.append(Stream.ANCHOR, [anchor])
    run = next(run for run in seen(bench).runs(None) if run.pack.stream is Stream.TELEMETRY)

    assert time_of(run.records[0], run.dated) == pytest.approx(anchor.utc - SECOND, abs=2e6)
    assert run.dated.uncertainty == pytest.approx(0.1001, abs=1e-5)

    journal.keep("anchors", [[BOOT, reading.at, anchor.utc, 0.1, "kernel"]])
    run = next(run for run in seen(bench).runs(None) if run.pack.stream is Stream.TELEMETRY)
    assert time_of(run.records[0], run.dated) == pytest.approx(anchor.utc, abs=2e6)


async def test_what_is_older_is_left_out_and_the_rest_of_its_pack_is_a_pack(bench):
    journal = bench.open()
    readings = bench.readings(10)
    anchor = Anchor(BOOT, readings[0].at, 1_795_346_000 * SECOND, 0.1, "timesyncd")
    journal.append(Stream.ANCHOR, [anchor])
    journal.append(Stream.TELEMETRY, readings)

    assert exported(bench, since=anchor.utc + readings[7].at - readings[0].at) == [7, 8, 9]


@given(st.binary(max_size=200), st.integers(0, 10**6))
def test_no_bytes_in_a_file_can_break_it(tmp_path_factory, data, cut):
    folder = tmp_path_factory.mktemp("card")
    whole = frames.frame(frames.Kind.PACKS, data) + frames.frame(frames.Kind.SNAPSHOT, data)
    (folder / "0000000001.segment").write_bytes(whole[: cut % len(whole)] + data)
    (folder / "0000000001.young").write_bytes(data + whole)
    found = look(ReadOnlyFolder(folder), ReadOnlyFolder(folder), thorough=True)
    assert json.dumps([run.records for run in found.runs(ReadOnlyFolder(folder))]) == "[]"


def test_a_folder_that_is_only_looked_into_is_not_made_and_refuses_every_change(tmp_path):
    folder = ReadOnlyFolder(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        folder.names()
    assert not folder.path.exists()
    Folder(folder.path).replace("a", b"1")
    for change in (lambda: folder.create("a"), lambda: folder.remove("a"), lambda: folder.replace("a", b"2")):
        with pytest.raises(OSError, match="Read-only"):
            change()
    assert folder.read("a") == b"1"
