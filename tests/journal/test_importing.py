"""A journal that is brought to another one: everything still due comes out of it once, under its own numbers."""

import pytest

from agent.host.disk import ReadOnlyFolder
from agent.journal import frames
from agent.journal.importing import IMPORTED, CarryingError, Import
from agent.journal.inspect import look, records_of
from agent.journal.pack import Lane
from agent.readings import Anchor, Stream
from tests.journal.conftest import Bench
from tests.journal.packs import drain, values

NEW_BOOT = "c" * 32
UTC = 1_795_346_000_000_000_000


@pytest.fixture
def replacement(tmp_path):
    new = Bench(tmp_path / "new")
    new.chance.bits(64)  # another gateway, another epoch
    new.clock.boot = NEW_BOOT
    yield new
    new.let_go()


def taken_home(bench):
    """The power is gone, and with it what lay on tmpfs."""
    bench.let_go()
    bench.power_cut()
    return look(None, ReadOnlyFolder(bench.card.path))


async def bring(bench, replacement, *, uplinks=("city",), names=(), young=None):
    """Do what the command does; returns what was brought and what was stated."""
    card = ReadOnlyFolder(bench.card.path)
    journal = replacement.open(uplinks=uplinks)
    work = Import(journal, uplinks, look(young, card), card)
    cargo = work.plan()
    await work.carry()
    entries = work.finish(names)
    await journal.close(5.0)
    replacement.let_go()
    return cargo, entries


async def delivered(replacement, uplink="city", uplinks=("city",)):
    """Let an agent run: return the packs that go up."""
    journal = replacement.open(uplinks=uplinks)
    outbox = journal.outbox(uplink)
    there = []
    for _ in range(100):
        packs = [pack for lane in Lane for pack in drain(outbox, lane)]
        for pack in packs:
            outbox.done(pack)
        there += packs
        if not packs and not journal._fetching.under_way:
            break
        while journal._fetching.under_way:
            await journal._fetching._coming
    await journal.commit()
    replacement.let_go()
    return there


def telemetry(packs):
    return [value for pack in packs if pack.stream is Stream.TELEMETRY for value in values(pack)]


def ledger(packs):
    return [record for pack in packs if pack.stream is Stream.LEDGER for record in records_of(pack)]


def everything(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_what_was_due_goes_up_once_under_its_own_numbers(bench, replacement):
    old = bench.open()
    for _ in range(3):
        old.append(Stream.TELEMETRY, bench.readings(4))
        await old.commit()
    [epoch] = taken_home(bench).epochs
    before = everything(bench.card.path)

    cargo, _ = await bring(bench, replacement)
    packs = await delivered(replacement)

    assert cargo.count(Stream.TELEMETRY) == 12
    assert telemetry(packs) == list(range(12))
    assert {(pack.epoch, pack.boot) for pack in packs if pack.stream is Stream.TELEMETRY} == {(epoch, "b" * 32)}
    assert everything(bench.card.path) == before


async def test_what_an_uplink_had_is_not_sent_again_and_another_one_still_gets_it(bench, replacement):
    both = ("city", "water")
    old = bench.open(uplinks=both)
    old.append(Stream.TELEMETRY, bench.readings(4))
    old.close_packs()
    outbox = old.outbox("city")
    old.outbox("water")
    for pack in [*drain(outbox), *drain(outbox, Lane.LIVE)]:
        outbox.done(pack)
    await old.commit()
    old.append(Stream.TELEMETRY, bench.readings(2))
    await old.commit()
    taken_home(bench)

    await bring(bench, replacement, uplinks=both)

    assert telemetry(await delivered(replacement, "city", uplinks=both)) == [4, 5]
    assert telemetry(await delivered(replacement, "water", uplinks=both)) == [0, 1, 2, 3, 4, 5]


async def test_an_import_that_is_repeated_brings_nothing_also_when_all_of_it_has_gone_up(bench, replacement):
    old = bench.open()
    old.append(Stream.TELEMETRY, bench.readings(4))
    await old.commit()
    taken_home(bench)
    _, entries = await bring(bench, replacement)
    assert entries

    for _ in range(2):
        cargo, entries = await bring(bench, replacement)
        assert (cargo.count(*Stream), entries) == (0, [])
        await delivered(replacement)
        replacement.power_cut()


async def test_the_new_gateway_keeps_its_own(bench, replacement):
    old = bench.open()
    old.append(Stream.TELEMETRY, bench.readings(2))
    await old.commit()
    taken_home(bench)
    new = replacement.open()
    new.append(Stream.TELEMETRY, replacement.readings(3))
    replacement.let_go()

    await bring(bench, replacement)

    assert sorted(telemetry(await delivered(replacement))) == sorted([0, 1, 0, 1, 2])


async def test_the_ledger_says_from_where_on_the_power_took_all(bench, replacement):
    old = bench.open()
    old.append(Stream.TELEMETRY, bench.readings(4))
    await old.commit()
    old.append(Stream.TELEMETRY, bench.readings(4))  # on tmpfs alone
    [epoch] = taken_home(bench).epochs

    await bring(bench, replacement)

    said = [one for one in ledger(await delivered(replacement)) if one["epoch"] == epoch]
    assert {"n": "lost", "why": "power_cut", "stream": "telemetry", "epoch": epoch, "first": 5} in [
        {key: one[key] for key in one if key != "t"} for one in said
    ]


async def test_a_young_end_that_was_saved_comes_along_and_nothing_is_lost(bench, replacement):
    old = bench.open()
    old.append(Stream.TELEMETRY, bench.readings(4))
    await old.commit()
    old.append(Stream.TELEMETRY, bench.readings(4))
    bench.let_go()

    cargo, entries = await bring(bench, replacement, young=ReadOnlyFolder(bench.young.path))

    assert (cargo.count(Stream.TELEMETRY), entries) == (8, [])
    assert telemetry(await delivered(replacement)) == list(range(8))


async def test_of_a_gateway_that_was_stopped_in_order_no_power_cut_is_stated(bench, replacement):
    old = bench.open()
    old.append(Stream.TELEMETRY, bench.readings(4))
    await old.close(5.0)
    taken_home(bench)
    _, entries = await bring(bench, replacement)
    firsts = {"telemetry": 5, "alarm": 1, "anchor": 1, "ledger": 1}
    assert {(one.kind, one.why, one.stream, one.first) for one in entries} == {
        ("lost", "restart", stream, first) for stream, first in firsts.items()
    }


async def test_damage_is_stated_once_with_its_numbers_and_costs_nothing_else(bench, replacement):
    old = bench.open()
    for _ in range(3):
        old.append(Stream.TELEMETRY, bench.readings(2))
        await old.commit()
    await old.close(5.0)
    found = taken_home(bench)
    damage(bench, 2)  # of the commits behind the first, which is empty
    [epoch] = found.epochs

    _, entries = await bring(bench, replacement)

    damaged = [one for one in entries if one.kind != "lost"]
    assert [(one.kind, one.epoch, one.first, one.last) for one in damaged] == [("damaged", epoch, 3, 4)]
    packs = await delivered(replacement)
    assert telemetry(packs) == [0, 1, 4, 5]
    stated = [one for one in ledger(packs) if one["n"] != "lost"]
    assert [(one["n"], one["first"], one["last"]) for one in stated] == [("damaged", 3, 4)]


async def test_what_was_damaged_in_one_copy_is_brought_from_a_better_one(bench, replacement):
    old = bench.open()
    for _ in range(3):
        old.append(Stream.TELEMETRY, bench.readings(2))
        await old.commit()
    await old.close(5.0)
    taken_home(bench)
    [name] = bench.card.names()
    whole = bench.card.read(name)
    damage(bench, 2)
    await bring(bench, replacement)
    assert telemetry(await delivered(replacement)) == [0, 1, 4, 5]
    replacement.open()  # and forgets what has been delivered
    replacement.let_go()
    (bench.card.path / name).write_bytes(whole)

    cargo, entries = await bring(bench, replacement)

    assert (cargo.count(Stream.TELEMETRY), entries) == (2, [])
    packs = await delivered(replacement)
    assert telemetry(packs) == [2, 3]
    assert [one for one in ledger(packs) if one["n"] == "damaged"] == []
    cargo, entries = await bring(bench, replacement)
    assert (cargo.count(*Stream), entries) == (0, [])


async def test_where_the_end_is_damaged_no_power_cut_is_stated_and_a_better_copy_brings_the_rest(bench, replacement):
    old = bench.open()
    for _ in range(3):
        old.append(Stream.TELEMETRY, bench.readings(2))
        await old.commit()
    await old.close(5.0)
    taken_home(bench)
    [name] = bench.card.names()
    whole = bench.card.read(name)
    damage(bench, 3, 4)  # the last one, which says that the agent stopped in order

    _, entries = await bring(bench, replacement)

    assert {(one.kind, one.why) for one in entries} == {("lost", "damaged")}
    assert next(one.first for one in entries if one.stream == "telemetry") == 5
    assert telemetry(await delivered(replacement)) == [0, 1, 2, 3]
    replacement.open()  # and forgets what has been delivered
    replacement.let_go()
    (bench.card.path / name).write_bytes(whole)

    cargo, entries = await bring(bench, replacement)

    assert cargo.count(Stream.TELEMETRY) == 2
    assert [(one.kind, one.why, one.stream, one.first) for one in entries] == [("lost", "restart", "telemetry", 7)]
    packs = await delivered(replacement)
    assert telemetry(packs) == [4, 5]
    assert [one["n"] for one in ledger(packs)] == ["lost"]


def damage(bench, *which):
    """Flip a bit in some of the commits."""
    path = bench.card.path / bench.card.names()[-1]
    data = bytearray(path.read_bytes())
    sizes = [len(frames.frame(one.kind, one.payload)) for one in frames.scan(bytes(data))]
    for one in which:
        data[sum(sizes[: one + 1]) - 1] ^= 1
    path.write_bytes(data)


async def to_the_end(journal, work):
    """Bring all, each pack with a commit of its own."""
    await work.carry(batch_size=1)
    work.finish(())
    await journal.commit()


class CutError(Exception):
    """The import is killed."""


@pytest.mark.parametrize("commits", range(1, 6))
@pytest.mark.parametrize("power", [True, False])
async def test_an_import_that_is_cut_off_leaves_a_whole_journal_and_is_repeated(bench, replacement, commits, power):
    old = bench.open()
    for _ in range(4):
        old.append(Stream.TELEMETRY, bench.readings(2))
        await old.commit()
    await old.close(5.0)
    taken_home(bench)

    class Card:
        """The new card, until the import is killed."""

        left = commits

        def __getattr__(self, name):
            return getattr(replacement.card, name)

        def create(self, name):
            return File(replacement.card.create(name))

    class File:
        def __init__(self, file):
            self._file = file

        def __getattr__(self, name):
            return getattr(self._file, name)

        def append(self, data):
            if Card.left == 0:
                raise CutError
            Card.left -= 1
            self._file.append(data)

    card = ReadOnlyFolder(bench.card.path)
    journal = replacement.open(card=Card())
    work = Import(journal, ["city"], look(None, card), card)
    work.plan()
    with pytest.raises(CutError):
        await to_the_end(journal, work)
    replacement.let_go()
    if power:
        replacement.power_cut()

    first = await delivered(replacement)
    assert telemetry(first) == list(range(2 * min(max(commits - 1, 0), 4)))
    assert not any(one["n"] == "damaged" for one in ledger(first))
    await bring(bench, replacement)
    again = await delivered(replacement)
    assert set(telemetry(first)) | set(telemetry(again)) == set(range(8))


async def test_anchors_come_along_and_what_a_device_remembers_if_it_has_not_begun_anew(bench, replacement):
    old = bench.open()
    anchors = [["b" * 32, 5, UTC, 0.1, "timesyncd"]]
    for key, value in (("anchors", anchors), ("driver/rain-1", {"total": 7}), ("driver/rain-2", {"total": 8})):
        old.keep(key, value)
    old.keep("boot", "b" * 32)
    await old.close(5.0)
    taken_home(bench)
    new = replacement.open()
    ours = [[NEW_BOOT, 9, UTC, 0.2, "kernel"]]
    new.keep("anchors", ours)
    new.keep("driver/rain-2", {"total": 1})
    replacement.let_go()

    await bring(bench, replacement, names={"driver/rain-1", "driver/rain-2"})

    new = replacement.open()
    assert new.kept("anchors") == [*anchors, *ours]
    assert new.kept("driver/rain-1") == {"total": 7}
    assert new.kept("driver/rain-2") == {"total": 1}
    assert new.kept("boot") is None


async def test_an_uplink_with_another_name_gets_all_and_nothing_is_called_damaged(bench, replacement):
    old = bench.open()
    old.append(Stream.TELEMETRY, bench.readings(4))
    old.close_packs()
    outbox = old.outbox("city")
    for pack in [*drain(outbox), *drain(outbox, Lane.LIVE)]:
        outbox.done(pack)
    old.append(Stream.TELEMETRY, bench.readings(2))
    await old.close(5.0)
    taken_home(bench)

    await bring(bench, replacement, uplinks=("province",))

    packs = await delivered(replacement, "province", uplinks=("province",))
    assert telemetry(packs) == [4, 5]
    assert not [one for one in ledger(packs) if one["n"] == "damaged"]


async def test_a_third_gateway_knows_what_the_second_had_brought(bench, replacement, tmp_path):
    old = bench.open()
    old.append(Stream.TELEMETRY, bench.readings(2))
    await old.close(5.0)
    taken_home(bench)
    await bring(bench, replacement)
    third = Bench(tmp_path / "third")
    third.chance.bits(128)
    try:
        assert (await bring(replacement, third))[0].count(Stream.TELEMETRY) == 2
        assert (await bring(bench, third))[0].count(Stream.TELEMETRY) == 0
    finally:
        third.let_go()


async def test_a_card_that_refuses_is_an_error_and_nothing_is_settled(bench, replacement):
    old = bench.open()
    old.append(Stream.TELEMETRY, bench.readings(2))
    await old.commit()
    taken_home(bench)
    replacement.card.names()
    journal = replacement.open(card=ReadOnlyFolder(replacement.card.path))
    card = ReadOnlyFolder(bench.card.path)
    work = Import(journal, ["city"], look(None, card), card)
    work.plan()
    with pytest.raises(CarryingError, match="Read-only"):
        await work.carry()
    assert journal.kept(IMPORTED) is None


async def test_an_anchor_of_the_old_stream_goes_up_too(bench, replacement):
    old = bench.open()
    old.append(Stream.ANCHOR, [Anchor("b" * 32, 5, UTC, 0.1, "timesyncd")])
    await old.close(5.0)
    taken_home(bench)
    await bring(bench, replacement)
    [anchor] = [pack for pack in await delivered(replacement) if pack.stream is Stream.ANCHOR]
    assert records_of(anchor)[0]["source"] == "timesyncd"
