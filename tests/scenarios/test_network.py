"""The way to the city is away, half away, slow, or somebody else's."""

from contextlib import suppress

import aiomqtt
import pytest

from hil.verdict import ends_well
from tests.scenarios.steps import AN_HOUR, SENSORS, goes_on, passes, raised

pytestmark = pytest.mark.needs("link", "account")


async def test_the_network_is_away_for_an_hour_and_everything_comes_later(rig):
    await goes_on(rig, *SENSORS)
    await rig.link.cut()
    await passes(rig, AN_HOUR)
    await rig.link.restore()
    await goes_on(rig, *SENSORS)
    await rig.until(lambda: rig.city.received(lane="history"))
    await ends_well(rig)


async def test_the_line_is_half_open_and_nobody_says_so(rig):
    await goes_on(rig, *SENSORS)
    await rig.link.hang()
    await rig.until_log("link_down")
    await rig.link.restore()
    await goes_on(rig, *SENSORS)
    await ends_well(rig)


@pytest.mark.parametrize("size", [1, 300])
async def test_the_line_tears_in_the_middle_of_a_message(rig, size):
    await goes_on(rig, *SENSORS)
    await rig.link.tear(size)
    await rig.until_log("link_down")
    await goes_on(rig, *SENSORS)
    await ends_well(rig)


async def test_the_network_comes_and_goes(rig):
    for _ in range(2):
        await goes_on(rig, "air-1")
        await rig.link.cut()
        await passes(rig, 0.3)
        await rig.link.restore()
    await goes_on(rig, *SENSORS)
    await ends_well(rig)


async def test_the_broker_takes_every_connection_and_throws_it_out(rig):
    await goes_on(rig, *SENSORS)
    await rig.link.refuse()
    await passes(rig, AN_HOUR)
    await rig.link.restore()
    await goes_on(rig, *SENSORS)
    await ends_well(rig)


@pytest.mark.needs("gpio")
async def test_over_a_slow_line_an_alarm_overtakes_the_backlog(rig):
    await goes_on(rig, *SENSORS)
    await rig.link.cut()
    await passes(rig, AN_HOUR)
    await rig.link.restore()
    await rig.link.slow(3000, delay=0.05)
    await rig.pin("panic-1").hold()
    await rig.until(lambda: raised(rig, "panic-1") == [True])
    await rig.pin("panic-1").release()
    await rig.link.restore()
    await ends_well(rig)


@pytest.mark.needs("gpio")
async def test_an_alarm_during_an_outage_arrives_when_it_is_over(rig):
    await goes_on(rig, "air-1")
    await rig.link.cut()
    await rig.pin("panic-1").press(0.3)
    await passes(rig, 1.0)
    assert not rig.city.alarms("panic-1")
    await rig.link.restore()
    await rig.until(lambda: raised(rig, "panic-1") == [True, False])
    await ends_well(rig)


async def test_two_gateways_have_the_same_id(rig):
    await goes_on(rig, *SENSORS)
    for _ in range(2):
        with suppress(aiomqtt.MqttError):  # the right one has thrown it out
            async with aiomqtt.Client("127.0.0.1", rig.city.port, identifier=rig.gateway):
                await passes(rig, 0.3)
    await goes_on(rig, *SENSORS)
    await ends_well(rig)


async def test_the_city_hears_at_once_that_a_gateway_is_gone_and_that_it_is_back(rig):
    await rig.until(lambda: rig.city.status() == "online")
    await rig.link.cut()
    await rig.until(lambda: rig.city.status() != "online")
    await rig.link.restore()
    await rig.until(lambda: rig.city.status() == "online")
    await ends_well(rig)
