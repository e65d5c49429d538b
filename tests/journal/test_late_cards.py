"""A card that cannot be read at the start and can be later: what is on it goes up then, without a restart."""

import asyncio
import errno

from agent.host.disk import Folder
from agent.journal.journal import LOOK_AGAIN_EVERY
from agent.journal.pack import Lane
from agent.readings import Stream
from tests.journal.packs import drain, values
from tests.journal.test_losses import ledger, said, whole_ledger
from tests.simulation.disk import FOREVER, SimulatedDisk


class Asleep(Folder):
    """A card that answers nothing but errors until it is woken."""

    asleep = True

    def names(self):
        self._wake()
        return super().names()

    def read(self, name):
        self._wake()
        return super().read(name)

    def create(self, name):
        self._wake()
        return super().create(name)

    def _wake(self):
        if self.asleep:
            raise OSError(errno.EIO, "Input/output error")


class City:
    """One way up with its outbox, from its beginning on."""

    def __init__(self, journal):
        self._journal = journal
        self._outbox = journal.outbox("city")
        self.got = []

    async def take_all(self):
        """Take and acknowledge all that waits, also from the card; return the values in the order they came in."""
        there = asyncio.Event()
        self._journal.on_new(there.set)
        self._journal.close_packs()
        while True:
            there.clear()
            for lane in (Lane.HISTORY, Lane.LIVE):
                for pack in drain(self._outbox, lane):
                    self.got += values(pack)
                    self._outbox.done(pack)
            if not self._journal._fetching.under_way:
                return self.got
            async with asyncio.timeout(5):
                await there.wait()


async def left_behind(bench):
    """Leave five readings and two kept values on the card, cut the power, and start while the card answers nothing."""
    before = bench.open(pack_size=1)
    before.append(Stream.TELEMETRY, bench.readings(5))
    before.keep("rain-1", 7)
    before.keep("rain-2", 8)
    before.keep("alarm-1", "raised")
    await before.commit()
    bench.clock.now += 61 * 10**9
    await before.commit()
    epoch = before.status().epoch
    bench.let_go()
    bench.power_cut()
    card = Asleep(bench.card.path)
    return epoch, card, bench.open(card=card, pack_size=1)


async def test_what_waits_on_a_card_that_answers_late_goes_up_once_without_a_restart(bench):
    epoch, card, journal = await left_behind(bench)
    city = City(journal)
    journal.append(Stream.TELEMETRY, bench.readings(3))
    assert await city.take_all() == [5, 6, 7]
    await journal.commit()
    assert "Input/output error" in journal.status().faults["card"]

    card.asleep = False
    journal.append(Stream.TELEMETRY, bench.readings(2))
    await journal.commit()

    assert journal.status().faults == {}
    assert await city.take_all() == [5, 6, 7, 0, 1, 2, 3, 4, 8, 9]
    stated = [(one["n"], one["why"], one["epoch"], one["stream"], one["first"]) for one in ledger(journal)]
    assert ("lost", "power_cut", epoch, "telemetry", 6) in stated
    assert len(stated) == len(Stream)


async def test_what_has_been_taken_up_late_is_neither_sent_nor_stated_again_by_the_next_starts(bench):
    _, card, journal = await left_behind(bench)
    card.asleep = False
    await journal.commit()
    await City(journal).take_all()
    await journal.commit()
    bench.clock.now += 61 * 10**9
    await journal.commit()
    entries = ledger(journal)

    bench.let_go()
    reopened = bench.open(pack_size=1)
    assert await City(reopened).take_all() == []
    assert ledger(reopened) == entries
    bench.let_go()
    bench.power_cut()
    again = bench.open(pack_size=1)
    assert await City(again).take_all() == []


async def test_a_crash_right_after_the_card_was_taken_up_states_its_losses_once(bench):
    _, card, journal = await left_behind(bench)
    card.asleep = False
    await journal.commit()
    bench.let_go()

    reopened = bench.open(pack_size=1)

    losses = [(one["epoch"], one["stream"]) for one in await whole_ledger(reopened)]
    assert len(losses) == len(set(losses)) == len(Stream)
    assert await City(reopened).take_all() == [0, 1, 2, 3, 4]


async def test_values_on_a_card_that_answers_late_are_taken_over_unless_they_were_set_or_forgotten_since(bench):
    _, card, journal = await left_behind(bench)
    journal.keep("rain-1", 1)
    journal.keep("alarm-1", None)
    assert journal.kept("rain-2") is None

    card.asleep = False
    await journal.commit()

    assert [journal.kept(name) for name in ("rain-1", "rain-2", "alarm-1")] == [1, 8, None]
    bench.let_go()
    bench.power_cut()
    assert [bench.open().kept(name) for name in ("rain-1", "rain-2", "alarm-1")] == [1, 8, None]


async def test_after_a_crash_what_only_the_card_had_is_not_called_damaged_before_it_could_be_read(bench):
    before = bench.open(pack_size=1, young_limit=1 << 14)
    for _ in range(100):
        before.append(Stream.TELEMETRY, bench.readings(20))
        await before.commit()
    bench.let_go()
    card = Asleep(bench.card.path)
    journal = bench.open(card=card, pack_size=1, young_limit=1 << 14, pack_within=0)
    city = City(journal)
    assert 0 < len(await city.take_all()) < 2000
    assert ledger(journal) == []

    card.asleep = False
    await journal.commit()

    assert sorted(await city.take_all()) == list(range(2000))
    assert ledger(journal) == []


async def test_a_card_that_holds_nothing_is_no_loss_when_it_answers(bench):
    card = Asleep(bench.card.path)
    journal = bench.open(card=card, pack_size=1)
    journal.append(Stream.TELEMETRY, bench.readings(2))
    card.asleep = False
    await journal.commit()

    assert journal.status().faults == {}
    assert await City(journal).take_all() == [0, 1]
    assert ledger(journal) == []


async def left_in_a_segment(bench):
    """Leave readings in segments of an epoch each, and start while the first one cannot be read."""
    bench.young, bench.card = SimulatedDisk(volatile=True), SimulatedDisk()
    for count in (3, 2):
        before = bench.open(pack_size=1)
        before.append(Stream.TELEMETRY, bench.readings(count))
        await before.commit()
        bench.let_go()
        for disk in (bench.young, bench.card):
            disk.power_cut(newest)
    bench.card.refuse("read", errno.EIO, name=bench.card.names()[0], times=FOREVER)
    return bench.open(pack_size=1)


def newest(count):
    """Choose what was written last."""
    return count - 1


async def test_a_segment_that_could_not_be_read_at_the_start_goes_up_without_another_start(bench):
    journal = await left_in_a_segment(bench)
    city = City(journal)
    assert await city.take_all() == [3, 4]
    bench.clock.now += int(LOOK_AGAIN_EVERY * 1e9)
    await journal.commit()
    assert await city.take_all() == [3, 4]

    bench.card.heal()
    await journal.commit()
    assert await city.take_all() == [3, 4]  # a card that tries hard to read holds everybody up: not at each commit
    bench.clock.now += int(LOOK_AGAIN_EVERY * 1e9)
    await journal.commit()

    assert await city.take_all() == [3, 4, 0, 1, 2]
    assert {one[0] for one in said(await whole_ledger(journal))} == {"lost"}


async def test_what_had_been_delivered_is_neither_sent_nor_missed_when_a_segment_can_be_read_again(bench):
    bench.young, bench.card = SimulatedDisk(volatile=True), SimulatedDisk()
    before = bench.open(pack_size=1)
    for _ in range(3):
        before.append(Stream.TELEMETRY, bench.readings(2))
        await before.commit()
        before._card.close()
    outbox = before.outbox("city")
    for pack in drain(outbox, Lane.HISTORY)[:2]:
        outbox.done(pack)
    await before.close(5)
    bench.let_go()
    for disk in (bench.young, bench.card):
        disk.power_cut(newest)
    bench.card.refuse("read", errno.EIO, name=bench.card.names()[2], times=1)
    journal = bench.open(pack_size=1)
    city = City(journal)
    assert await city.take_all() == []
    await journal.commit()  # and what had been delivered is removed
    bench.clock.now += int(LOOK_AGAIN_EVERY * 1e9)
    await journal.commit()
    assert await city.take_all() == [4, 5]
    stated = said(await whole_ledger(journal))
    assert [one for one in stated if one[0] == "damaged"] == [("damaged", "telemetry", 5, 6)]
