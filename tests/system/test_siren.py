"""The siren, from the button's contact to the pin that drives it."""

import asyncio


def panics(gateway):
    return [one for one in gateway.city.alarms if one.device == "panic-1"]


async def test_the_siren_sounds_while_the_panic_alarm_stands(gateway):
    button, siren = gateway.cabinet.devices["panic-1"], gateway.cabinet.devices["siren-1"]
    await asyncio.wait_for(gateway.cabinet.board.claims(button.pin, siren.pin), 10)
    assert not siren.on
    button.press()
    await gateway.until(lambda: siren.on, 2.0)
    await gateway.until(lambda: [one.raised for one in panics(gateway)] == [True])
    await gateway.tells(
        lambda said: "pressed" in said["devices"]["panic-1"].get("alarms", {}).values(), log="alarm=pressed"
    )
    assert siren.on
    button.release()
    await gateway.until(lambda: not siren.on, 2.0)
    await gateway.until(lambda: [one.raised for one in panics(gateway)] == [True, False])
    assert len({one.id for one in panics(gateway)}) == 1
    await gateway.loses_nothing()


async def test_the_siren_is_quiet_when_the_agent_is_killed_and_stays_so_when_it_is_back(gateway):
    button, siren = gateway.cabinet.devices["panic-1"], gateway.cabinet.devices["siren-1"]
    await asyncio.wait_for(gateway.cabinet.board.claims(button.pin, siren.pin), 10)
    button.press()
    await gateway.until(lambda: siren.on, 2.0)
    await gateway.kill()
    assert not siren.on
    await gateway.start()
    await asyncio.wait_for(gateway.cabinet.board.claims(button.pin, siren.pin), 10)
    await gateway.go_on("air-1")
    assert not siren.on
    button.release()
    await gateway.until(lambda: [one.raised for one in panics(gateway)] == [True, False])
    assert len({one.id for one in panics(gateway)}) == 1
    await gateway.loses_nothing()
