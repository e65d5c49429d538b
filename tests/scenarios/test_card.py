"""The card is full, or takes no more writes."""

import pytest

from hil.verdict import ends_well, unwell
from tests.scenarios.steps import AN_HOUR, SENSORS, goes_on, passes, raised

pytestmark = pytest.mark.needs("disk", "link", "account")


def card_is_ill(rig):
    return "journal card" in " ".join(unwell(rig.city.health()))


async def test_the_card_is_full_for_an_hour(rig):
    await goes_on(rig, *SENSORS)
    await rig.disk.fill()
    await rig.link.cut()
    await passes(rig, AN_HOUR)
    await rig.until_log("journal_fault fault=card")
    await rig.link.restore()
    await goes_on(rig, *SENSORS)
    await rig.disk.empty()
    await ends_well(rig)


@pytest.mark.needs("agent")
async def test_the_agent_is_killed_while_the_card_is_full_and_the_network_away(rig):
    await goes_on(rig, *SENSORS)
    await rig.disk.fill()
    await rig.link.cut()
    await passes(rig, AN_HOUR)
    await rig.agent.kill()
    await passes(rig, 0.5)
    await rig.link.restore()
    await rig.disk.empty()
    await goes_on(rig, *SENSORS)
    await ends_well(rig)


@pytest.mark.needs("gpio")
async def test_a_full_card_holds_up_no_alarm(rig):
    await goes_on(rig, "air-1")
    await rig.disk.fill()
    await rig.pin("panic-1").press(0.3)
    await rig.until(lambda: raised(rig, "panic-1") == [True, False], 3.0)
    await rig.disk.empty()
    await ends_well(rig)


@pytest.mark.needs("power")
async def test_the_card_comes_up_read_only_and_the_city_is_told(rig):
    await goes_on(rig, *SENSORS)
    await rig.power.cut()
    await rig.disk.read_only()
    await rig.power.restore()
    await goes_on(rig, *SENSORS)
    await rig.until(lambda: card_is_ill(rig))
    await rig.power.cut()
    await rig.disk.writable()
    await rig.power.restore()
    await goes_on(rig, *SENSORS)
    await ends_well(rig)
