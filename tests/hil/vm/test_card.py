"""The journal's card in a virtual machine: what the agent makes of one that fails."""

from __future__ import annotations

import pytest

from hil.vm.card import CARD, Card, make
from tests.hil.vm.gateway import ID
from tests.hil.vm.load import GAUGE, Load
from tests.hil.vm.powercut.judge import judge


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
