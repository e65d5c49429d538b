"""What is lost is said, once and for all: whatever fails in between, and however often."""

import asyncio
import errno
import json
import threading
import zlib
from typing import ClassVar

import pytest

from agent.host.disk import Folder
from agent.journal.pack import Lane
from agent.journal.young import Young
from agent.readings import AlarmEvent, Stream
from tests.journal.packs import drain, values


def ledger(journal, uplink="city"):
    """Return what the ledger says to an uplink."""
    journal.close_packs()
    return entries_in(drain(journal.outbox(uplink), Lane.LEDGER))


async def whole_ledger(journal, uplink="city"):
    """Return what the ledger says to an uplink, also from the card."""
    journal.close_packs()
    return entries_in(await packs_of(journal, uplink, Lane.LEDGER))


def entries_in(packs):
    return [entry for pack in packs for entry in json.loads(b"[" + zlib.decompress(pack.body, -15))]


def said(entries):
    return sorted((one["n"], one["stream"], one["first"], one.get("last")) for one in entries)


async def packs_of(journal, uplink="city", lane=Lane.HISTORY):
    """Return all that waits, also on the card."""
    outbox = journal.outbox(uplink)
    found = []
    while True:
        found += drain(outbox, lane)
        if not journal._fetching.under_way:
            return found
        await asyncio.wait([journal._fetching._coming])


async def fetched(journal, uplink="city"):
    """Return the values of all telemetry that waits, also on the card."""
    return [value for pack in await packs_of(journal, uplink) for value in values(pack)]


def alarm(bench, number):
    return AlarmEvent("panic-1", "pressed", bench.clock.now, f"{number:016x}", raised=True)


class Killed(BaseException):
    """The process is gone, in the middle of what it did."""


class Dying(Folder):
    """A folder whose process is killed at one of its operations."""

    left = 10**9
    files: ClassVar = []

    def _count(self):
        Dying.left -= 1
        if Dying.left == 0:
            raise Killed

    def create(self, name):
        self._count()
        file = super().create(name)
        self.files.append(file)
        append = file.append

        def counted(data):
            self._count()
            append(data)

        file.append = counted
        return file

    def remove(self, name):
        self._count()
        super().remove(name)


# --- crashes -------------------------------------------------------------------------------------------------------


async def test_killed_at_any_operation_nothing_that_was_appended_is_lost_unsaid(bench):
    """The young end is small, so that it turns, drops telemetry and writes alarms again."""
    ends = 0
    for operation in range(1, 300, 5):
        folder = bench.young.path.parent / str(operation)
        young, card = Dying(folder / "young"), Folder(folder / "card")
        Dying.left = 10**9
        alarms = telemetry = 0
        journal = bench.open(young=young, card=card, young_limit=1 << 13)
        Dying.left = operation
        try:
            for turn in range(60):
                if turn % 10 == 0:
                    journal.append(Stream.ALARM, [alarm(bench, turn)])
                    alarms += 1
                journal.append(Stream.TELEMETRY, bench.readings(8))
                telemetry += 8
        except Killed:
            ends += 1
        Dying.left = 10**9
        bench.let_go()
        while Dying.files:
            Dying.files.pop().close()

        reopened = bench.open(young=young, card=card, young_limit=1 << 20, pack_within=0)
        history = drain(reopened.outbox("city"))
        came = {number for pack in history for number in range(pack.first, pack.last + 1)}
        entries = [one for one in ledger(reopened) if one["stream"] == "telemetry"]
        given_up = {number for one in entries for number in range(one["first"], one["last"] + 1)}
        assert came | given_up >= set(range(1, telemetry + 1))
        assert sum(pack.last - pack.first + 1 for pack in drain(reopened.outbox("city"), Lane.ALARMS)) >= alarms
        bench.let_go()
    assert ends > 30


async def test_what_stands_behind_damage_in_the_young_end_keeps_its_numbers_and_times(bench):
    journal = bench.open()
    for _ in range(3):
        journal.append(Stream.TELEMETRY, bench.readings(4))
    newest = bench.young.path / bench.young.names()[-1]
    data = bytearray(newest.read_bytes())
    at = data.index(b'"v":5')  # in the middle of the three
    data[at] ^= 1
    newest.write_bytes(data)

    reopened = bench.open(pack_within=0)

    packs = drain(reopened.outbox("city"))
    assert [(pack.first, pack.last, values(pack)) for pack in packs] == [
        (1, 4, [0, 1, 2, 3]),
        (9, 12, [8, 9, 10, 11]),
    ]
    assert said(ledger(reopened)) == [("damaged", "telemetry", 5, 8)]


async def test_what_was_dropped_is_said_once_also_after_a_crash(bench):
    journal = bench.open(young_limit=1 << 13)
    for _ in range(100):
        journal.append(Stream.TELEMETRY, bench.readings(10))
    before = said(ledger(journal))
    assert before

    assert said(ledger(bench.open(young_limit=1 << 13))) == before


# --- power cuts ----------------------------------------------------------------------------------------------------


async def test_two_power_cuts_in_a_row_do_not_lose_what_the_first_one_took(bench):
    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(5))
    epoch = journal.status().epoch
    for _ in range(2):
        bench.power_cut()
        reopened = bench.open(pack_within=0)

    await packs_of(reopened, lane=Lane.LEDGER)
    lost = [one for one in ledger(reopened) if one["epoch"] == epoch and one["stream"] == "telemetry"]
    assert said(lost) == [("lost", "telemetry", 1, None)]


async def test_what_was_delivered_and_removed_is_not_called_damaged_after_a_power_cut(bench):
    journal = bench.open(pack_size=1)
    outbox = journal.outbox("city")
    for _ in range(3):
        journal.append(Stream.TELEMETRY, bench.readings(2))
        await journal.commit()
        journal._card.close()  # each in a segment of its own
    for pack in drain(outbox, Lane.LIVE)[:2]:
        outbox.done(pack)
    await journal.commit()

    bench.power_cut()
    reopened = bench.open(pack_within=0)

    assert await fetched(reopened) == [4, 5]
    assert [one for one in said(ledger(reopened)) if one[0] == "damaged"] == []


# --- what the young end or the card refuses ------------------------------------------------------------------------


class Full(Folder):
    """A folder on a disk that may be full."""

    full = False

    def create(self, name):
        self._look()
        file = super().create(name)
        append = file.append

        def appending(data):
            self._look()
            append(data)

        file.append = appending
        return file

    def _look(self):
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("card_is_full", [False, True])
async def test_numbers_are_not_used_again_after_the_young_end_refused_and_the_agent_crashed(bench, card_is_full):
    young, card = Full(bench.young.path), Full(bench.card.path)
    journal = bench.open(young=young, card=card)
    journal.append(Stream.TELEMETRY, bench.readings(3))
    young.full, card.full = True, card_is_full
    journal.append(Stream.TELEMETRY, bench.readings(3))
    await journal.commit()
    journal.append(Stream.TELEMETRY, bench.readings(2))  # and sent, perhaps
    assert "young_end" in journal.status().faults

    bench.let_go()
    reopened = bench.open(young=young, card=card)  # still full: it has nowhere to note what it skips
    reopened.append(Stream.TELEMETRY, bench.readings(2))
    used = reopened.status().next["telemetry"]
    assert used > 1000
    bench.let_go()
    young.full = card.full = False
    bench.clock.now += 1_000_000
    reopened = bench.open(young=young, card=card)
    assert reopened.status().next["telemetry"] >= used

    assert set(await fetched(reopened)) >= set(range(3 if card_is_full else 6))
    await packs_of(reopened, lane=Lane.LEDGER)
    entries = [one for one in ledger(reopened) if one["n"] == "skipped" and one["stream"] == "telemetry"]
    assert entries[0]["first"] == (4 if card_is_full else 7)
    assert entries[-1]["last"] == reopened.status().next["telemetry"] - 1
    bench.let_go()
    assert bench.open().status().next == reopened.status().next  # once is enough


async def test_a_young_end_that_takes_again_is_used_again(bench):
    journal = bench.open()
    journal._young.close()
    journal.append(Stream.TELEMETRY, bench.readings(3))  # goes nowhere, and a new file is begun
    journal.append(Stream.TELEMETRY, bench.readings(3))
    await journal.commit()

    assert journal.status().faults == {}
    assert await fetched(bench.open()) == [0, 1, 2, 3, 4, 5]


def test_a_file_that_cannot_be_begun_leaves_nothing(tmp_path):
    class Full(Folder):
        def create(self, name):
            file = super().create(name)

            def refusing(data):
                raise OSError(errno.ENOSPC, f"{len(data)} bytes too many")

            file.append = refusing
            return file

    young = Young(Full(tmp_path), 1 << 20)

    with pytest.raises(OSError, match="too many"):
        young.begin(b"snapshot")
    assert young.full
    assert list(tmp_path.iterdir()) == []


async def test_a_segment_that_grew_since_it_was_read_is_read_again(bench):
    journal = bench.open(young_limit=1 << 15, pack_size=1)
    for _ in range(6):
        for _ in range(40):
            journal.append(Stream.TELEMETRY, bench.readings(5))
        await journal.commit()
        came = await fetched(journal)

    assert len(bench.card.names()) == 1
    assert came == list(range(1200))
    assert ledger(journal) == []


async def test_a_segment_that_cannot_be_read_for_a_moment_is_tried_again(bench):
    class Shaky(Folder):
        failures = 1

        def read(self, name):
            if name.endswith(".segment") and self.failures:
                self.failures -= 1
                raise OSError(errno.EMFILE, "Too many open files")
            return super().read(name)

    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(5))
    await journal.close(5)
    bench.power_cut()
    card = Shaky(bench.card.path)
    card.failures = 0
    reopened = bench.open(card=card)
    card.failures = 1

    assert await fetched(reopened) == [0, 1, 2, 3, 4]


async def test_a_commit_whose_caller_is_gone_is_waited_for_by_the_next(bench):
    order, released = [], threading.Event()

    class Slow(Folder):
        def create(self, name):
            file = super().create(name)
            append, sync = file.append, file.sync

            def appending(data):
                order.append("append")
                released.wait(5)
                append(data)

            def syncing():
                sync()
                order.append("sync")

            file.append, file.sync = appending, syncing
            return file

    released.set()
    journal = bench.open(card=Slow(bench.card.path))
    released.clear()
    order.clear()
    journal.append(Stream.TELEMETRY, bench.readings(5))
    abandoned = asyncio.create_task(journal.commit())
    await asyncio.sleep(0)
    abandoned.cancel()
    await asyncio.wait([abandoned])
    asyncio.get_running_loop().call_later(0.05, released.set)
    await journal.close(5)

    assert order == ["append", "sync"] * (len(order) // 2)
    bench.power_cut()
    assert await fetched(bench.open()) == [0, 1, 2, 3, 4]


# --- several uplinks -----------------------------------------------------------------------------------------------


async def test_damage_is_said_to_the_uplink_that_had_not_got_it_although_the_other_had(bench):
    both = {"uplinks": ("city", "agency")}
    journal = bench.open(**both)
    for _ in range(3):
        journal.append(Stream.TELEMETRY, bench.readings(10))
        await journal.commit()
    city = journal.outbox("city")
    for pack in drain(journal.outbox("city"), Lane.HISTORY) or drain(city, Lane.HISTORY):
        city.done(pack)
    await journal.close(5)
    segment = bench.card.path / bench.card.names()[-1]
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0x40
    segment.write_bytes(data)

    bench.power_cut()
    reopened = bench.open(pack_within=0, **both)

    assert [one[:2] for one in said(ledger(reopened, "agency")) if one[0] == "damaged"] == [("damaged", "telemetry")]


async def test_an_uplink_that_is_new_is_not_told_of_what_was_delivered_before_it_came(bench):
    journal = bench.open(pack_size=1)
    city = journal.outbox("city")
    for _ in range(4):
        journal.append(Stream.TELEMETRY, bench.readings(2))
    for pack in drain(city, Lane.LIVE)[:3]:
        city.done(pack)
    await journal.commit()
    await journal.close(5)
    bench.power_cut()

    for _ in range(2):
        reopened = bench.open(uplinks=("city", "agency"), pack_within=0)
        assert await fetched(reopened, "agency") == [6, 7]
        assert "damaged" not in [entry["n"] for entry in ledger(reopened, "agency")]
        await reopened.close(5)
