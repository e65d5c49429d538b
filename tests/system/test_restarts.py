"""What a kill, a stop and a start cost: nothing that was read, whatever else is going wrong at that moment."""

import pytest

from hil.devices.talker import Ailment
from tests.system.gateway import Gateway, device_is, uplink_has
from tests.system.troubles import fill, inside, small_disk


def waiting(least: int):
    return lambda said: said["journal"]["waiting"]["city"]["telemetry"] >= least


async def test_a_kill_during_an_outage_loses_doubles_and_misdates_nothing(gateway):
    await gateway.go_on("air-1", "level-1", "meter-1")
    await gateway.link.cut()
    await gateway.says(waiting(20))
    await gateway.kill()
    await gateway.start()
    await gateway.says(waiting(40))
    await gateway.kill()
    await gateway.link.restore()
    await gateway.start()
    await gateway.go_on("air-1", "level-1", "meter-1")
    await gateway.loses_nothing()
    assert any(one.lane == "history" for one in gateway.city.received)
    assert "journal_fault" not in gateway.log()


async def test_a_kill_while_readings_are_on_their_way_may_repeat_them_and_loses_none(broker):
    async with Gateway(broker.url) as gateway:
        await gateway.go_on("air-1", "level-1", "meter-1")
        broker.freeze()
        try:
            await gateway.says(lambda said: said["uplinks"]["city"]["in_flight"] > 3)
            await gateway.kill()
        finally:
            broker.thaw()
        await gateway.start()
        await gateway.go_on("air-1", "level-1", "meter-1")
        await gateway.loses_nothing()


# --- a stop in the middle of a trouble: what begins it, and what ends it ---


async def everything(gateway, _):
    """No broker, two adapters unplugged, and a sensor that speaks rubbish."""

    async def end():
        gateway.cabinet.devices["level-1"].ailment = None
        gateway.wire("air-1").plug()
        gateway.wire("meter-1").plug()
        await gateway.link.restore()

    await gateway.link.cut()
    gateway.wire("air-1").unplug()
    gateway.wire("meter-1").unplug()
    gateway.cabinet.devices["level-1"].ailment = Ailment.GARBAGE
    await gateway.says(lambda said: uplink_has("city", "unreachable")(said) and device_is("level-1", "silent")(said))
    return end


async def half_open(gateway, _):
    gateway.link.hang()
    await gateway.says(waiting(20))
    return gateway.link.restore


async def hang(gateway, broker):
    async def end():
        broker.thaw()

    broker.freeze()
    await gateway.says(waiting(20))
    return end


@pytest.mark.parametrize("trouble", [everything, half_open, hang])
async def test_a_stop_in_the_middle_of_a_trouble_is_quick_and_costs_nothing(broker, trouble):
    async with Gateway(broker.url) as gateway:
        await gateway.go_on("air-1", "level-1", "meter-1")
        end = await trouble(gateway, broker)
        try:
            await gateway.stop()
        finally:
            await end()
        await gateway.start()
        await gateway.go_on("air-1", "level-1", "meter-1")
        await gateway.loses_nothing()


async def test_a_stop_while_the_card_is_full_is_quick_and_what_is_new_survives_it(broker):
    journal = "var/lib/roadside/journal"
    async with Gateway(broker.url, wrap=small_disk(journal)) as gateway:
        await gateway.go_on("air-1", "level-1", "meter-1")
        fill(inside(gateway.agent.pid, gateway.root / journal))
        await gateway.link.cut()
        await gateway.says(lambda said: said["journal"]["faults"] and waiting(20)(said))
        await gateway.stop()
        await gateway.link.restore()
        await gateway.start(wrap=lambda _: ())
        await gateway.loses_nothing()
