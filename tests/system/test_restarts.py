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
    await gateway.says(waiting(40))
    await gateway.kill()
    await gateway.start()
    await gateway.says(waiting(80))
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


# --- a stop in the middle of a trouble: what it is, and what ends it ---


async def cut(gateway, _):
    await gateway.link.cut()
    await gateway.says(uplink_has("city", "unreachable"))
    return gateway.link.restore


async def half_open(gateway, _):
    gateway.link.hang()
    await gateway.says(waiting(40))
    return gateway.link.restore


async def hang(gateway, broker):
    broker.freeze()

    async def thaw():
        broker.thaw()

    await gateway.says(waiting(40))
    return thaw


async def rubbish(gateway, _):
    async def recover():
        gateway.cabinet.devices["air-1"].ailment = None

    gateway.cabinet.devices["air-1"].ailment = Ailment.GARBAGE
    await gateway.says(device_is("air-1", "silent"))
    return recover


async def unplugged(gateway, _):
    async def plug():
        gateway.wire("air-1").plug()
        gateway.wire("meter-1").plug()

    gateway.wire("air-1").unplug()
    gateway.wire("meter-1").unplug()
    await gateway.says(lambda said: said["devices"]["air-1"]["state"] not in {"ok", "silent"})
    return plug


@pytest.mark.parametrize("trouble", [cut, half_open, hang, rubbish, unplugged])
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
