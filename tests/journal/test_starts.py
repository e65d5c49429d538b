"""What a start says of the run before, also when the card cannot be read or the start itself is killed."""

import errno
import os
import random

import pytest

from agent.readings import Stream
from tests.journal.test_losses import fetched, said, whole_ledger
from tests.simulation.disk import FOREVER, Death, Killed, SimulatedDisk


@pytest.fixture
def disks(bench):
    bench.young, bench.card = SimulatedDisk(volatile=True), SimulatedDisk()
    return [bench.young, bench.card]


def cut_the_power(bench):
    bench.let_go()
    for disk in (bench.young, bench.card):
        disk.power_cut(random.Random(1).randrange)


def kill(bench):
    bench.let_go()
    for disk in (bench.young, bench.card):
        disk.kill()


async def lost(journal, epoch):
    """Return what the ledger says that a power cut took of an epoch's telemetry."""
    await journal.commit()
    entries = await whole_ledger(journal)
    return [one for one in said(entry for entry in entries if entry["epoch"] == epoch) if one[1] == "telemetry"]


@pytest.mark.usefixtures("disks")
@pytest.mark.parametrize("end", [kill, cut_the_power])
@pytest.mark.parametrize("committed", [True, False])
async def test_what_the_power_took_is_said_by_the_first_start_that_can_read_the_card(bench, end, committed):
    first = bench.open()
    first.append(Stream.TELEMETRY, bench.readings(5))
    await first.commit()
    cut_the_power(bench)

    bench.card.refuse("names", errno.EIO, times=FOREVER)
    second = bench.open()
    second.append(Stream.TELEMETRY, bench.readings(2))
    assert await lost(second, first.status().epoch) == []
    bench.card.heal()
    if committed:
        await second.commit()
    end(bench)

    for _ in range(2):
        third = bench.open()
        assert await lost(third, first.status().epoch) == [("lost", "telemetry", 6, None)]
        kill(bench)


@pytest.mark.parametrize("power", [False, True])
async def test_a_start_that_is_killed_at_any_operation_leaves_to_the_next_what_it_had_to_say(bench, power):
    for operation in range(1, 100):
        bench.young, bench.card = SimulatedDisk(volatile=True), SimulatedDisk()
        first = bench.open()
        first.append(Stream.TELEMETRY, bench.readings(5))
        await first.commit()
        cut_the_power(bench)
        bench.young.before = bench.card.before = death = Death(operation)
        try:
            bench.open()
        except Killed:
            death.left = 1000
            (cut_the_power if power else kill)(bench)
            assert await lost(bench.open(), first.status().epoch) == [("lost", "telemetry", 6, None)]
        else:
            return
        finally:
            bench.let_go()
    pytest.fail("it takes no end")


@pytest.mark.usefixtures("disks")
async def test_what_the_page_cache_gives_back_of_a_commit_whose_sync_failed_is_committed_again(bench):
    journal = bench.open()
    await journal.commit()
    journal.append(Stream.TELEMETRY, bench.readings(600))  # more than a page
    bench.card.refuse("sync", errno.EIO)
    await journal.commit()
    assert "card" in journal.status().faults
    kill(bench)

    journal = bench.open()
    await journal.commit(patient=True)
    bench.let_go()
    bench.young.power_cut(oldest)
    bench.card.power_cut(oldest)

    assert await fetched(bench.open()) == list(range(600))


def oldest(_count):
    """Choose what was on the medium before."""
    return 0


async def test_a_fifo_in_place_of_the_next_segment_keeps_nobody_waiting(bench):
    bench.card.names()
    os.mkfifo(bench.card.path / "0000000001.segment")
    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(1))
    await journal.commit()
    assert journal.status().faults == {}
    assert bench.card.names() == ["0000000002.segment"]
