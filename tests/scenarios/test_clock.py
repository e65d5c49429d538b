"""A Pi has no battery clock: what it reads before it knows the time must not come up with a wrong one."""

import time

import pytest

from hil.packs import date
from hil.verdict import ends_well
from tests.scenarios.steps import AN_HOUR, SENSORS, goes_on, passes, raised

pytestmark = pytest.mark.needs("clock", "account")


async def boots_without_time(rig):
    await goes_on(rig, "air-1")
    await rig.clock.unsync()
    await rig.power.cut()
    await rig.power.restore()


@pytest.mark.needs("power")
async def test_the_clock_is_not_known_until_noon(rig):
    await boots_without_time(rig)
    await passes(rig, AN_HOUR)
    assert len({one.boot for one in rig.city.received("air-1")}) == 1  # those of this boot wait until they can be dated
    await rig.clock.sync()
    await goes_on(rig, *SENSORS)
    await ends_well(rig)


@pytest.mark.needs("power", "clock_step")
async def test_the_clock_starts_in_1970_and_is_wrong_until_noon(rig):
    await rig.clock.unsync()
    await rig.power.cut()
    await rig.clock.step(-time.time())
    await rig.power.restore()
    await passes(rig, AN_HOUR)
    await rig.clock.sync()
    await goes_on(rig, *SENSORS)
    await ends_well(rig)


@pytest.mark.needs("power", "gpio")
async def test_an_alarm_does_not_wait_for_the_clock(rig):
    await boots_without_time(rig)
    await rig.pin("panic-1").hold()
    await rig.until(lambda: raised(rig, "panic-1") == [True])
    alarm = rig.city.alarms("panic-1")[0]
    assert alarm.utc is None
    pressed = time.time()
    await rig.clock.sync()
    await rig.until(lambda: date(alarm.boot, alarm.boottime, rig.city.judge.anchors))
    utc, _ = date(alarm.boot, alarm.boottime, rig.city.judge.anchors)
    assert abs(utc - pressed) < 5
    await rig.pin("panic-1").release()
    await ends_well(rig)


@pytest.mark.needs("clock_step")
@pytest.mark.parametrize("hours", [1, -1])
async def test_somebody_sets_the_clock_wrong_while_the_gateway_runs(rig, hours):
    await goes_on(rig, *SENSORS)
    await rig.clock.step(hours * 3600)
    await goes_on(rig, *SENSORS, readings=5)
    await ends_well(rig)


async def test_the_time_server_is_gone_and_readings_are_dated_on(rig):
    await goes_on(rig, *SENSORS)
    await rig.clock.unsync()
    await goes_on(rig, *SENSORS, readings=5)
    await ends_well(rig)


@pytest.mark.needs("gpio")
async def test_while_the_clock_is_not_known_no_command_is_obeyed(rig):
    await boots_without_time(rig)
    await rig.until_log("commands_open", times=2)
    answer = await rig.city.command("set", device="siren-1", on=True)
    assert (answer["outcome"], answer["reason"]) == ("refused", "clock_unknown")
    assert not await rig.pin("siren-1").reads()
    await rig.clock.sync()
    await goes_on(rig, "air-1")
    await ends_well(rig)
