"""Room: what is left to others, what an uplink may take, and what is taken ahead of need."""

import asyncio
import errno

import pytest

from agent.host.disk import Folder
from agent.journal.card import SEGMENT_SIZE
from agent.journal.pack import Lane
from agent.journal.ranges import Ranges
from agent.journal.spare import NAME, SIZE
from agent.readings import LedgerEntry, Stream
from tests.journal.packs import drain
from tests.journal.test_losses import alarm, fetched, ledger, packs_of, whole_ledger

MIB = 1 << 20


class Shared(Folder):
    """A disk of so many bytes, of which others take some."""

    total = 64 * MIB
    others = 0

    def free(self):
        return max(0, self.total - self.others - sum(path.stat().st_size for path in self.path.iterdir()))

    def create(self, name):
        file = super().create(name)
        append = file.append

        def limited(data):
            if len(data) > self.free():
                raise OSError(errno.ENOSPC, "No space left on device")
            append(data)

        file.append = limited
        return file


async def segments(journal, bench, count):
    """Append and commit, one segment each: 2000 readings and an alarm."""
    for number in range(count):
        journal.append(Stream.TELEMETRY, bench.readings(2000))
        journal.append(Stream.ALARM, [alarm(bench, number)])
        await journal.commit()
        journal._card.close()


async def dropped(journal, uplink="city"):
    """Return what the ledger says was given up."""
    await packs_of(journal, uplink, Lane.LEDGER)
    return [one for one in ledger(journal, uplink) if one["n"] == "dropped"]


# --- the reserve ---------------------------------------------------------------------------------------------------


async def test_when_others_fill_the_disk_the_oldest_telemetry_makes_room_and_alarms_stay(bench):
    card = Shared(bench.card.path)
    journal = bench.open(card=card, reserve=64 * 1024)
    await segments(journal, bench, 20)
    card.others = card.total - (card.total - card.free()) - 1024
    await journal.commit()
    await journal.commit()

    assert card.free() >= 64 * 1024
    gone = await dropped(journal)
    assert {(one["stream"], one["why"]) for one in gone} == {("telemetry", "reserve")}
    assert gone[0]["first"] == 1
    bench.let_go()
    bench.power_cut()
    reopened = bench.open(card=card, pack_within=0)
    assert len(await packs_of(reopened, lane=Lane.ALARMS)) == 20
    assert await fetched(reopened) == list(range(sum(one["count"] for one in gone), 40_000))


class ReadOnly(Shared):
    """A disk whose file system may be mounted read-only."""

    read_only = False

    def create(self, name):
        self._check()
        file = super().create(name)
        append = file.append

        def checked(data):
            self._check()
            append(data)

        file.append = checked
        return file

    def remove(self, name):
        self._check()
        super().remove(name)

    def _check(self):
        if self.read_only:
            raise OSError(errno.EROFS, "Read-only file system")


async def test_what_cannot_be_removed_is_not_given_up(bench):
    card = ReadOnly(bench.card.path)
    journal = bench.open(card=card, reserve=64 * 1024)
    for _ in range(5):
        journal.append(Stream.TELEMETRY, bench.readings(2000))
        await journal.commit()
        journal._card.close()
    card.others = card.total
    card.read_only = True
    await journal.commit()
    await journal.commit()
    card.others, card.read_only = 0, False
    await journal.commit()
    assert await dropped(journal) == []


async def test_health_says_that_the_reserve_is_not_free_until_it_is(bench):
    card = Shared(bench.card.path)
    journal = bench.open(card=card, reserve=MIB)
    await segments(journal, bench, 2)
    card.others = card.total - MIB // 2
    await journal.commit()
    assert "1 MiB shall be" in journal.status().faults["reserve"]

    card.others = 0
    await journal.commit()
    assert "reserve" not in journal.status().faults


async def test_a_disk_without_a_reserve_is_used_to_the_end(bench):
    card = Shared(bench.card.path)
    journal = bench.open(card=card, reserve=0)
    await segments(journal, bench, 3)
    card.others = card.total - card.total // 4
    await journal.commit()

    assert await dropped(journal) == []
    assert journal.status().faults == {}


# --- room that is taken ahead of need ------------------------------------------------------------------------------


async def test_on_a_card_that_others_have_filled_an_alarm_still_finds_room_and_health_says_why(bench):
    card = Shared(bench.card.path)
    journal = bench.open(card=card, reserve=0)
    await segments(journal, bench, 2)
    card.others = card.total - sum(path.stat().st_size for path in card.path.iterdir())
    journal.append(Stream.ALARM, [alarm(bench, 7)])
    await journal.commit()

    assert "ahead of need" in journal.status().faults["card"]
    bench.power_cut()
    assert len(await packs_of(bench.open(card=card, pack_within=0), lane=Lane.ALARMS)) == 3

    card.others = 0
    await journal.commit()
    assert journal.status().faults == {}
    assert card.size(NAME) == SIZE


async def test_the_room_is_taken_once_and_not_at_each_start(bench):
    for _ in range(3):
        await bench.open().commit()
        bench.let_go()
        spare = bench.card.path / NAME
        made = spare.stat().st_ino, spare.stat().st_mtime_ns
        assert made == (spare.stat().st_ino, spare.stat().st_mtime_ns)
    assert spare.stat().st_size == SIZE


async def test_the_last_snapshot_stays_on_a_card_that_takes_no_other(bench):
    card = Shared(bench.card.path)
    journal = bench.open(card=card, reserve=0)
    journal.append(Stream.TELEMETRY, bench.readings(3))
    await journal.commit()
    epoch = journal.status().epoch
    for pack in await packs_of(journal):
        journal.outbox("city").done(pack)
    await asyncio.sleep(0)
    bench.let_go()
    card.create("0000000007.segment").close()  # as a kill leaves it between two steps of a commit
    card.remove(NAME)
    card.others = card.total - sum(path.stat().st_size for path in card.path.iterdir())

    journal = bench.open(card=card, reserve=0)
    journal.append(Stream.TELEMETRY, bench.readings(1))
    await journal.commit()
    bench.let_go()
    bench.power_cut()
    card.others = 0

    reopened = bench.open(card=card)
    assert {(one["n"], one["epoch"]) for one in await whole_ledger(reopened)} == {("lost", epoch)}


async def test_a_commit_that_finds_no_room_leaves_nothing_behind(bench):
    card = Shared(bench.card.path)
    journal = bench.open(card=card, reserve=0)
    await journal.commit()
    journal._card.close()
    before = card.names()
    card.remove(NAME)
    card.others = card.total - sum(path.stat().st_size for path in card.path.iterdir())
    for _ in range(3):
        journal.append(Stream.TELEMETRY, bench.readings(1))
        await journal.commit()

    assert "card" in journal.faults
    assert card.names() == before


# --- quotas --------------------------------------------------------------------------------------------------------


async def test_an_uplink_that_is_down_for_ever_loses_what_is_beyond_its_quota_and_no_other_does(bench):
    journal = bench.open(uplinks=("city", "agency"), quotas={"agency": 64 * 1024})
    await segments(journal, bench, 20)
    city = journal.outbox("city")
    for lane in (Lane.ALARMS, Lane.HISTORY, Lane.LIVE):
        for pack in await packs_of(journal, "city", lane):
            city.done(pack)
    await journal.commit()
    await journal.commit()

    gone = await dropped(journal, "agency")
    assert {(one["stream"], one["why"], one["uplink"]) for one in gone} == {("telemetry", "quota", "agency")}
    count = sum(one["count"] for one in gone)
    assert 0 < count < 40_000
    assert journal.status().card_bytes <= 64 * 1024
    assert await fetched(journal, "agency") == list(range(count, 40_000))
    assert len(await packs_of(journal, "agency", Lane.ALARMS)) == 20
    assert journal.status().waiting["city"]["telemetry"] == 0


async def test_what_another_uplink_within_its_quota_still_waits_for_is_not_given_up(bench):
    journal = bench.open(uplinks=("city", "agency"), quotas={"agency": 64 * 1024})
    await segments(journal, bench, 20)

    assert await dropped(journal, "agency") == []
    assert await fetched(journal, "agency") == list(range(40_000))


async def test_a_quota_holds_for_the_only_uplink_too_and_survives_a_crash(bench):
    journal = bench.open(quotas={"city": 64 * 1024})
    await segments(journal, bench, 20)
    await journal.commit()
    gone = await dropped(journal)
    count = sum(one["count"] for one in gone)
    bench.let_go()

    reopened = bench.open(quotas={"city": 64 * 1024}, pack_within=0)
    assert count > 0
    assert await fetched(reopened) == list(range(count, 40_000))
    assert await dropped(reopened) == gone


def withheld(bench, count):
    """Return what nobody can make smaller."""
    now = bench.clock.now
    names = (f"{bench.chance.bits(128):032x}" for _ in range(count))
    return [LedgerEntry(now, "withheld", "deadband", 1, "air-1", name, now, now) for name in names]


async def deliver(journal, uplink):
    outbox = journal.outbox(uplink)
    for lane in (Lane.ALARMS, Lane.HISTORY, Lane.LIVE, Lane.LEDGER):
        for pack in await packs_of(journal, uplink, lane):
            outbox.done(pack)


@pytest.mark.parametrize("bounds", [{"quotas": {"agency": 64 * 1024}}, {"limit": 64 * 1024, "young_limit": 64 * 1024}])
async def test_what_an_entry_of_the_ledger_said_outlives_it_when_it_has_to_go_too(bench, bounds):
    journal = bench.open(uplinks=("city", "agency"), **bounds)
    await segments(journal, bench, 10)
    for _ in range(12):
        journal.append(Stream.LEDGER, withheld(bench, 400))
        await deliver(journal, "city")
        await journal.commit()

    assert journal.status().card_bytes < 2 * 64 * 1024
    assert await fetched(journal, "agency") == []
    dropped = [one for one in await whole_ledger(journal, "agency") if one["n"] == "dropped"]
    assert {one["stream"] for one in dropped} == {"alarm", "ledger", "telemetry"}
    numbers = {(one["first"], one["last"]) for one in dropped if one["stream"] == "telemetry"}
    assert list(Ranges(numbers)) == [(1, 20_000)]


async def test_alarms_go_too_when_there_is_nothing_else_to_give_up(bench):
    journal = bench.open(quotas={"city": 8 * 1024})
    for number in range(400):
        journal.append(Stream.ALARM, [alarm(bench, number)])
        await journal.commit()
        if number % 20 == 19:
            journal._card.close()

    gone = await dropped(journal)
    assert {one["stream"] for one in gone} == {"alarm"}
    assert journal.status().card_bytes < SEGMENT_SIZE
    assert drain(journal.outbox("city"), Lane.ALARMS)
