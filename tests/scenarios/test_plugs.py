"""Plugs that are pulled, missing or loose."""

import pytest

from hil.verdict import ends_well
from tests.scenarios.steps import AN_HOUR, goes_on, is_told, passes

pytestmark = pytest.mark.needs("serial", "account")


@pytest.mark.needs("gpio")
async def test_the_rain_gauges_plug_is_pulled_for_an_hour(rig):
    await rig.until(lambda: rig.city.state("rain-1") == "ok")
    await rig.pin("rain-1").pulses(3, 3)
    await rig.device("rain-1").unplug()
    await rig.pin("rain-1").pulses(4, 3)
    await rig.device("rain-1").replug()
    await rig.pin("rain-1").pulses(2, 3)
    await rig.until(lambda: max(rig.city.values("rain-1", "rain")) == pytest.approx(5 * 0.2))
    await ends_well(rig)


async def test_the_air_sensors_adapter_is_pulled_for_an_hour(rig):
    await goes_on(rig, "air-1")
    await rig.device("air-1").unplug()
    await is_told(rig, "air-1", "unplugged", "missing")
    await passes(rig, AN_HOUR)
    await goes_on(rig, "level-1", "meter-1")
    await rig.device("air-1").replug()
    await goes_on(rig, "air-1")
    await ends_well(rig)


@pytest.mark.needs("agent")
async def test_an_adapter_is_missing_when_the_gateway_starts(rig):
    await rig.device("level-1").unplug()
    await rig.agent.restart()
    await is_told(rig, "level-1", "missing")
    await goes_on(rig, "air-1")
    await rig.device("level-1").replug()
    await goes_on(rig, "level-1")
    await ends_well(rig)


async def test_every_plug_is_pulled_and_they_come_back_one_by_one(rig):
    await goes_on(rig, "air-1", "level-1", "meter-1")
    for one in ("air-1", "level-1", "meter-1"):
        await rig.device(one).unplug()
    for one in ("air-1", "level-1", "meter-1"):
        await is_told(rig, one, "unplugged", "missing")
    for one in ("meter-1", "level-1", "air-1"):
        await rig.device(one).replug()
        await goes_on(rig, one)
    await ends_well(rig)


async def test_a_loose_plug_comes_and_goes_ten_times(rig):
    await goes_on(rig, "air-1")
    for _ in range(10):
        await rig.device("air-1").unplug()
        await passes(rig, 0.1)
        await rig.device("air-1").replug()
        await passes(rig, 0.1)
    await goes_on(rig, "air-1", "level-1")
    await ends_well(rig)


async def test_the_line_of_both_meters_is_pulled_and_the_others_feel_nothing(rig):
    await goes_on(rig, "meter-1", "meter-2")
    await rig.device("meter-1").unplug()
    for one in ("meter-1", "meter-2"):
        await is_told(rig, one, "unplugged", "missing")
    await goes_on(rig, "air-1", "level-1", readings=10)
    await rig.device("meter-1").replug()
    await goes_on(rig, "meter-1", "meter-2")
    await ends_well(rig)
