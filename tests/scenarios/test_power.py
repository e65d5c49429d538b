"""The power goes: nothing is stopped in order, and what is in memory is gone."""

import time

import pytest

from hil.verdict import ends_well
from tests.scenarios.steps import AN_HOUR, SENSORS, goes_on, passes, raised

pytestmark = pytest.mark.needs("power", "account")


async def test_the_power_goes_and_comes_back(rig):
    await goes_on(rig, *SENSORS)
    await rig.power.cut()
    await passes(rig, 1.0)
    await rig.power.restore()
    await goes_on(rig, *SENSORS)
    await ends_well(rig)


@pytest.mark.needs("gpio")
async def test_the_power_goes_during_an_alarm(rig):
    await rig.pin("panic-1").hold()
    await rig.until(lambda: raised(rig, "panic-1") == [True])
    await passes(rig, 1.0)
    await rig.power.cut()
    await rig.power.restore()
    await goes_on(rig, "air-1")
    await rig.pin("panic-1").release()
    await rig.until(lambda: raised(rig, "panic-1")[-1:] == [False])
    assert len({one.id for one in rig.city.alarms("panic-1")}) == 1
    await ends_well(rig)


@pytest.mark.needs("link")
async def test_the_power_goes_while_the_network_is_away(rig):
    await goes_on(rig, *SENSORS)
    await rig.link.cut()
    since = time.time()
    await passes(rig, AN_HOUR)
    await rig.power.cut()
    await rig.link.restore()
    await rig.power.restore()
    await rig.until(lambda: any(since < (one.utc or 0) < rig.power.cuts[0] for one in rig.city.received()))
    await ends_well(rig)


@pytest.mark.needs("link", "gpio")
@pytest.mark.settings({"journal.commit_interval": "1 h"})
async def test_an_alarm_that_nobody_could_be_told_of_survives_the_power(rig):
    await goes_on(rig, "air-1")
    await rig.link.cut()
    await rig.pin("panic-1").hold()
    await passes(rig, 1.0)
    await rig.power.cut()
    await rig.link.restore()
    await rig.power.restore()
    await rig.until(lambda: rig.city.alarms("panic-1"))
    assert rig.city.alarms("panic-1")[0].boottime > 100  # of the boot before: this one has just begun
    await rig.pin("panic-1").release()
    await rig.until(lambda: raised(rig, "panic-1")[-1:] == [False])


async def test_the_power_flickers_three_times(rig):
    await goes_on(rig, *SENSORS)
    for _ in range(3):
        await rig.power.cut()
        await rig.power.restore()
    await goes_on(rig, *SENSORS)
    await ends_well(rig)


async def test_the_city_is_told_from_which_number_on_the_power_took_readings(rig):
    await goes_on(rig, *SENSORS)
    await rig.power.cut()
    await rig.power.restore()
    await rig.until(lambda: any(one.why == "power_cut" for one in rig.city.ledger()))
    await ends_well(rig)
