"""What is written together is there whole after a crash, or not at all, and takes no more room than anything else."""

import shutil

import pytest

from agent.journal.inspect import look
from agent.readings import Stream
from tests.journal.test_losses import alarm
from tests.simulation.disk import PAGE, Death, Killed, SimulatedDisk


def say(journal, bench, *, kept="pressed"):
    """An alarm, what it leaves behind, and what was measured with it."""
    with journal.together():
        journal.append(Stream.TELEMETRY, bench.readings(2))
        journal.append(Stream.ALARM, [alarm(bench, 1)])
        journal.keep("panic-1", kept)


def what_is_here(bench):
    """Return how many readings and alarms there are, and whether what is kept of them is there."""
    journal = bench.open()
    status = journal.status()
    bench.let_go()
    return *(status.next[stream] - 1 for stream in (Stream.TELEMETRY, Stream.ALARM)), journal.kept(
        "panic-1"
    ) is not None


async def test_torn_at_any_byte_all_of_it_is_there_or_nothing(bench):
    bench.young, bench.card = SimulatedDisk(volatile=True), SimulatedDisk()
    journal = bench.open()
    journal.append(Stream.TELEMETRY, bench.readings(1))
    (name,) = bench.young.names()
    before = bench.young.size(name)
    say(journal, bench)
    bench.let_go()
    whole, young = bench.young.read(name), bench.young.copy()
    for end in range(before, len(whole) + 1):
        bench.young, bench.card = young.copy(), SimulatedDisk()
        bench.young.bring_back(name, whole[:end])
        assert what_is_here(bench) == ((1, 0, False) if end < len(whole) else (3, 1, True)), end


@pytest.mark.parametrize("size", [PAGE // 2, PAGE, 2 * PAGE])
async def test_killed_between_two_pages_of_one_write_all_of_it_is_there_or_nothing(bench, size):
    for operation in range(1, 100):
        bench.young, bench.card = SimulatedDisk(volatile=True), SimulatedDisk()
        journal = bench.open()
        bench.young.before = death = Death(operation)
        try:
            say(journal, bench, kept="x" * size)
        except Killed:
            ended = False
        else:
            ended = True
        death.left = 1 << 40
        bench.let_go()
        bench.young.kill()
        bench.card.kill()
        assert what_is_here(bench) in ({(2, 1, True)} if ended else {(0, 0, False), (2, 1, True)}), operation
        if ended:
            return
    pytest.fail("it takes no end")


async def test_a_look_from_outside_sees_what_was_written_together(bench):
    journal = bench.open()
    say(journal, bench)
    found = look(bench.young, None)
    assert found.is_whole()
    epoch = journal.status().epoch
    assert [found.waiting("city", (epoch, stream)) for stream in (Stream.TELEMETRY, Stream.ALARM)] == [2, 1]
    assert found.state.kept["panic-1"] == "pressed"


async def test_the_young_end_stays_within_its_limit_where_everything_is_written_together(bench):
    limit = 1 << 15
    journal = bench.open(young_limit=limit)
    for _ in range(600):
        say(journal, bench)
        assert journal.status().young_bytes <= limit


async def test_a_young_end_that_is_removed_meanwhile_gets_all_of_it_anew(bench):
    journal = bench.open(pack_size=1)
    with journal.together():
        journal.append(Stream.TELEMETRY, bench.readings(1))
        shutil.rmtree(bench.young.path)
        say(journal, bench)
    await journal.commit()
    shutil.rmtree(bench.card.path)  # the young end alone has it all
    bench.let_go()

    assert what_is_here(bench) == (3, 1, True)
