"""Sensors that fall silent, speak rubbish, or disturb the line that they share."""

import pytest

from hil.verdict import ends_well
from tests.scenarios.steps import AN_HOUR, goes_on, is_told, passes, raised

pytestmark = pytest.mark.needs("serial", "account")


async def test_a_sensor_falls_silent_and_the_city_is_told_until_it_speaks_again(rig):
    await goes_on(rig, "air-1")
    await rig.device("air-1").goes_silent()
    await rig.until(lambda: raised(rig, "air-1") == [True])
    await is_told(rig, "air-1", "silent")
    await goes_on(rig, "level-1")
    await rig.device("air-1").recovers()
    await rig.until(lambda: raised(rig, "air-1") == [True, False])
    await ends_well(rig)


async def test_a_sensor_that_is_silent_from_the_start_is_told(rig):
    await rig.device("level-1").goes_silent()
    await rig.agent.restart()
    await rig.until(lambda: raised(rig, "level-1")[-1:] == [True])
    await rig.device("level-1").recovers()
    await goes_on(rig, "level-1")
    await ends_well(rig)


@pytest.mark.parametrize("device", ["air-1", "level-1"])
async def test_a_long_cable_spoils_every_frame_and_none_becomes_a_reading(rig, device):
    await goes_on(rig, device)
    await rig.device(device).garble("checksum")
    await rig.until(lambda: rig.city.faults(device).get("checksum", 0) > 3)
    await is_told(rig, device, "silent")
    await rig.device(device).recovers()
    await goes_on(rig, device)
    await ends_well(rig)


async def test_half_of_each_frame_is_lost(rig):
    await goes_on(rig, "air-1")
    await rig.device("air-1").garble("truncated")
    await is_told(rig, "air-1", "silent")
    await rig.device("air-1").recovers()
    await goes_on(rig, "air-1")
    await ends_well(rig)


async def test_a_sensor_set_to_another_speed_gives_garbage(rig):
    await goes_on(rig, "air-1")
    await rig.device("air-1").garble("garbage")
    await rig.until(lambda: rig.city.faults("air-1").get("garbage", 0) > 0)
    await is_told(rig, "air-1", "silent")
    await rig.device("air-1").recovers()
    await goes_on(rig, "air-1")
    await ends_well(rig)


async def test_a_spark_between_two_frames_costs_neither(rig):
    await goes_on(rig, "air-1")
    for _ in range(5):
        await rig.device("air-1").says(b"\x42\x42\x4d\x00")
        await goes_on(rig, "air-1", readings=1)
    await rig.until(lambda: rig.city.faults("air-1").get("garbage", 0) > 0)
    await ends_well(rig)


async def test_a_second_sensor_is_heard_on_the_same_line(rig):
    await goes_on(rig, "level-1")
    await rig.device("level-1").says(bytes.fromhex("ff 07 d0 d6"), water_level=3.0)  # 2000 mm below 5 m
    await rig.until(lambda: 3.0 in rig.city.values("level-1"))
    await ends_well(rig)


async def test_a_wedged_meter_holds_the_rs485_line(rig):
    await goes_on(rig, "meter-1", "meter-2")
    await rig.device("meter-2").garble("wedged")
    await is_told(rig, "meter-2", "silent")
    await goes_on(rig, "air-1", "level-1")
    await rig.device("meter-2").recovers()
    await goes_on(rig, "meter-1", "meter-2")
    await ends_well(rig)


async def test_one_of_two_meters_on_a_line_dies_and_the_other_is_read_on(rig):
    await goes_on(rig, "meter-1", "meter-2")
    await rig.device("meter-2").goes_silent()
    await is_told(rig, "meter-2", "silent")
    await goes_on(rig, "meter-1")
    assert rig.city.state("meter-1") == "ok"
    await rig.device("meter-2").recovers()
    await goes_on(rig, "meter-2")
    await ends_well(rig)


async def test_a_meter_refuses_to_answer(rig):
    await goes_on(rig, "meter-1")
    await rig.device("meter-1").garble("refuses")
    await rig.until(lambda: rig.city.faults("meter-1").get("refused", 0) > 0)
    await goes_on(rig, "meter-2")
    await rig.device("meter-1").recovers()
    await goes_on(rig, "meter-1")
    await ends_well(rig)


async def test_an_adapter_that_hears_itself_reads_the_meters_all_the_same(rig):
    await rig.device("meter-1").becomes(echo=True)
    await goes_on(rig, "meter-1", "meter-2")
    await ends_well(rig)


async def test_noise_around_the_answers_of_a_meter_costs_none(rig):
    await rig.device("meter-1").becomes(leading_zero=True, trailing_zero=True)
    await goes_on(rig, "meter-1", "meter-2", readings=5)
    await ends_well(rig)


async def test_the_water_is_so_smooth_that_nothing_comes_back(rig):
    await goes_on(rig, "level-1")
    await rig.device("level-1").becomes(echo=False)
    await rig.until(lambda: any(one.reason == "no_echo" for one in rig.city.received("level-1")))
    await passes(rig, AN_HOUR)
    assert rig.city.state("level-1") == "ok"  # it speaks, and says that there is nothing
    await rig.device("level-1").becomes(echo=True)
    await goes_on(rig, "level-1")
    await ends_well(rig)


async def test_the_flood_comes_nearer_than_the_sensor_can_measure(rig):
    await goes_on(rig, "level-1")
    await rig.device("level-1").becomes(near=True)
    await rig.until(lambda: any(one.reason == "out_of_range" for one in rig.city.received("level-1")))
    await rig.device("level-1").becomes(near=False)
    await goes_on(rig, "level-1")
    await ends_well(rig)


async def test_the_fan_of_the_air_sensor_fails_and_it_says_so(rig):
    await goes_on(rig, "air-1")
    await rig.device("air-1").becomes(error=1)
    await rig.until(lambda: any(one.reason == "invalid" for one in rig.city.received("air-1")))
    await rig.device("air-1").becomes(error=0)
    await goes_on(rig, "air-1")
    await ends_well(rig)
