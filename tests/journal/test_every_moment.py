"""One small history, ended at every operation on the disks: by a kill, and by a power cut in the ways it may end."""

import itertools
import random

import pytest

from agent.journal.pack import Lane
from agent.readings import Stream
from tests.journal.test_losses import alarm, ledger, packs_of
from tests.simulation.disk import SECTOR, Death, Killed, SimulatedDisk, every_outcome

FEW = 8  # ways in which a power cut can end that are all tried; of more, some by chance


class History:
    """What was appended, and how much of it had been committed."""

    def __init__(self):
        self.telemetry = self.alarms = 0
        self.committed = (0, 0)

    async def play(self, bench):
        journal = bench.open(pack_size=4, young_limit=1 << 13)
        for turn in range(2):
            for _ in range(2):
                journal.append(Stream.TELEMETRY, bench.readings(3))
                self.telemetry += 3
            journal.append(Stream.ALARM, [alarm(bench, turn)])
            self.alarms += 1
            appended = (self.telemetry, self.alarms)
            await journal.commit()
            self.committed = appended
        return journal


def ways(bench):
    """Yield the disks in every way in which a power cut may leave them."""
    card = bench.card

    def cut(choose):
        after = card.copy()
        after.power_cut(choose)
        return after

    yield from itertools.islice(every_outcome(cut), FEW)  # the first ones: little of what was written last survives
    for seed in range(FEW // 2):
        yield cut(random.Random(seed).randrange)


async def check(bench, telemetry, alarms, *, said):
    """All up to these numbers is here; where a power cut was, the ledger says from which number on it may not be."""
    journal = bench.open(pack_within=0)
    for lane, last in ((Lane.HISTORY, telemetry), (Lane.ALARMS, alarms)):
        packs = await packs_of(journal, lane=lane)
        came = [number for pack in packs if pack.epoch == packs[0].epoch for number in range(pack.first, pack.last + 1)]
        assert came == list(range(1, len(came) + 1))  # each once, in order
        assert len(came) >= last
        if said:
            stream = "telemetry" if lane is Lane.HISTORY else "alarm"
            await packs_of(journal, lane=Lane.LEDGER)
            assert any(
                one["n"] == "lost" and one["stream"] == stream and one["first"] > last for one in ledger(journal)
            )
    bench.let_go()


@pytest.mark.parametrize("power", [False, True])
async def test_wherever_it_ends_nothing_is_lost_beyond_what_is_promised(bench, power):
    for operation in range(1, 1000):
        bench.young, bench.card = SimulatedDisk(volatile=True), SimulatedDisk(piece=SECTOR)
        bench.young.before = bench.card.before = death = Death(operation)
        history, ended = History(), True
        try:
            await history.play(bench)
        except Killed:
            ended = False
        death.left = 1 << 40
        bench.let_go()
        bench.young.kill()
        bench.card.kill()
        if power:
            bench.young.power_cut(random.Random(1).randrange)
            for card in list(ways(bench)):
                bench.young, bench.card = SimulatedDisk(volatile=True), card
                await check(bench, *history.committed, said=history.committed != (0, 0))
        else:
            await check(bench, history.telemetry, history.alarms, said=False)
        if ended:
            return
    pytest.fail("it takes no end")
