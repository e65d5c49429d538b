"""The journal's card in a virtual machine: what the agent makes of one that fails, and of one that lies."""

from __future__ import annotations

import random
import shutil
import time

import pytest

from hil.vm.card import CARD, WRITES, Card, blank, make
from hil.vm.writes import last_mark, read
from tests.hil.vm.crash import broken, marked
from tests.hil.vm.gateway import ID
from tests.hil.vm.load import GAUGE, Load
from tests.hil.vm.powercut.judge import committed, judge

MOMENTS = 100  # at which the power goes, of those that there are


def distances(gateway):
    return [round(one.value * 1000) for one in gateway.readings("level-1")]


def faults(said):
    return said.get("journal", {}).get("faults", {})


async def nothing_waits(gateway, *, but):
    """Wait until another epoch than this one has sent all that is there."""

    def sent(said):
        journal = said.get("journal", {})
        return journal.get("epoch", but) != but and not any(journal["waiting"]["city"].values())

    await gateway.comes(sent, "all that was kept has gone up")


@pytest.fixture
async def loaded(gateway, tmp_path):
    make(tmp_path / "card.img")
    machine = await gateway(GAUGE, adapters=["GAUGE1"], exact=False, cards={CARD: tmp_path / "card.img"})
    await machine.runs()
    async with Load(machine) as load:
        await load.says(1)
        yield load


async def test_a_card_that_refuses_all_writes_is_told_and_costs_nothing(loaded):
    machine, card = loaded.gateway, Card(loaded.gateway)
    await machine.link.cut()  # else there is hardly anything to commit
    await loaded.commits(2, "it commits")
    await card.fails()
    await machine.comes(lambda said: "card" in faults(said), "it says that the card is ill")
    await machine.link.restore()
    last = max(distances(machine), default=0)
    await machine.arrives(lambda: distances(machine)[-1:] > [last + 30], "readings go up, what was said now, too")
    await machine.arrives(lambda: "card" in faults(machine.city.said.get((ID, "health"), {})), "the city is told")

    await machine.link.cut()
    await loaded.says(20)  # which nobody has but tmpfs
    await loaded.pauses()
    await card.is_honest()
    await machine.helper.run("systemctl", "stop", "roadside")
    await card.mount_anew()
    loaded.polls.clear()  # another run counts its commits anew
    await machine.helper.run("systemctl", "start", "roadside", within=300.0)
    await loaded.says(5)
    await loaded.commits(2, "it commits again")
    await machine.comes(lambda said: said and not faults(said), "it says that it is well")
    cut_at = await machine.cut()

    await machine.link.restore()
    await machine.on()
    await nothing_waits(machine, but=loaded.polls[-1].epoch)
    verdict = judge(loaded.seen(cut_at))
    assert verdict.promised > 0
    assert not verdict.faults


@pytest.mark.parametrize("honest_again", [False, True], ids=["until the power goes", "for a while"])
async def test_a_card_that_lies_costs_what_it_did_not_keep_and_the_ledger_says_so(loaded, honest_again):
    machine, card = loaded.gateway, Card(loaded.gateway)
    await machine.link.cut()
    await loaded.commits(3, "it commits")
    lied_at = time.time()
    await card.lies()
    await loaded.commits(3, "it believes what it is told")
    if honest_again:
        await card.is_honest()
        await loaded.commits(3, "it knows of nothing")
    assert not faults(await machine.status())
    await machine.cut()
    old = loaded.polls[-1]

    await machine.link.restore()
    await machine.on()
    await loaded.says(10)
    said = [distance for distance, at in loaded.frames[-10:]]
    await nothing_waits(machine, but=old.epoch)
    await machine.arrives(lambda: set(said) <= set(distances(machine)), "what is said now arrives")
    seen = loaded.seen(lied_at)
    verdict = judge(seen)
    assert verdict.promised > 0
    assert not verdict.faults
    # Of all that it had numbered, also while the card lied, the city has it or is told that it will not come.
    lost = {one.of_stream: one.first for one in seen.statements if (one.kind, one.of_epoch) == ("lost", old.epoch)}
    assert lost["telemetry"] <= old.next["telemetry"]


async def test_at_whatever_write_the_power_goes_what_was_committed_is_on_the_card(gateway, tmp_path):
    card, log, empty = (tmp_path / name for name in ("card.img", "writes.img", "empty.img"))
    make(card)
    blank(log)
    shutil.copy(card, empty)
    machine = await gateway(GAUGE, adapters=["GAUGE1"], exact=False, cards={CARD: card, WRITES: log})
    await machine.runs()
    await machine.link.cut()
    async with Load(machine) as load:
        for run in range(2):
            for _ in range(4):
                await load.says(4)
                await load.commits(2, "it commits")
                await Card(machine).mark(marked(committed(load.polls)))
            if not run:
                await machine.helper.run("systemctl", "restart", "roadside", within=300.0)
                load.polls.clear()  # another run counts its commits anew
        await machine.cut()

    with log.open("rb") as file:
        entries = read(file)
    chance = random.Random(1)
    moments = sorted(chance.sample(range(len(entries) + 1), min(len(entries), MOMENTS)))
    promised = last_mark(entries, len(entries))
    assert promised is not None
    assert "telemetry" in promised
    assert {at: faults for at in moments if (faults := broken(empty, entries, at, chance, tmp_path / "work"))} == {}
