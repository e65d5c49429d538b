"""The panic button, the siren and the rain."""

import pytest

from hil.verdict import ends_well
from tests.scenarios.steps import goes_on, raised

pytestmark = pytest.mark.needs("gpio", "account")


async def sounds(rig, *, on=True):
    async def so() -> bool:
        return await rig.pin("siren-1").reads() is on

    while not await so():
        await goes_on(rig, "air-1", readings=1)


async def test_somebody_presses_the_panic_button_and_the_siren_sounds_until_it_is_released(rig):
    await rig.pin("panic-1").hold()
    await rig.until(lambda: raised(rig, "panic-1") == [True])
    await sounds(rig)
    await rig.pin("panic-1").release()
    await rig.until(lambda: raised(rig, "panic-1") == [True, False])
    await sounds(rig, on=False)
    assert len({one.id for one in rig.city.alarms("panic-1")}) == 1
    await ends_well(rig)


async def test_a_child_presses_the_button_five_times_and_each_press_is_one_alarm(rig):
    for number in range(1, 6):
        await rig.pin("panic-1").press(0.3)
        await rig.until(lambda n=number: raised(rig, "panic-1") == [True, False] * n)
    assert len({one.id for one in rig.city.alarms("panic-1")}) == 5
    await ends_well(rig)


async def test_a_cloudburst_is_counted_to_the_last_tip(rig):
    await rig.until(lambda: rig.city.state("rain-1") == "ok")
    await rig.pin("rain-1").pulses(20, 4)
    await rig.until(lambda: max(rig.city.values("rain-1", "rain")) == pytest.approx(20 * 0.2))
    await ends_well(rig)


@pytest.mark.needs("agent")
async def test_rain_is_counted_on_when_the_agent_has_been_restarted(rig):
    await rig.until(lambda: rig.city.state("rain-1") == "ok")
    await rig.pin("rain-1").pulses(5, 4)
    await rig.until(lambda: max(rig.city.values("rain-1", "rain")) == pytest.approx(5 * 0.2))
    await rig.agent.restart()
    await rig.until(lambda: rig.city.state("rain-1") == "ok")
    await rig.pin("rain-1").pulses(3, 4)
    await rig.until(lambda: max(rig.city.values("rain-1", "rain")) == pytest.approx(8 * 0.2))
    await ends_well(rig)


@pytest.mark.needs("agent")
async def test_the_agent_dies_while_the_siren_sounds_and_the_siren_is_quiet(rig):
    await rig.pin("panic-1").hold()
    await sounds(rig)
    await rig.agent.kill()
    assert not await rig.pin("siren-1").reads()
    await rig.pin("panic-1").release()
    await rig.until(lambda: raised(rig, "panic-1") == [True, False])
    await ends_well(rig)


async def test_the_city_sounds_the_siren_for_a_second(rig):
    await rig.until_log("commands_open")
    answer = await rig.city.command("set", device="siren-1", on=True, for_=1)
    assert answer["outcome"] == "done"
    assert await rig.pin("siren-1").reads()
    await sounds(rig, on=False)
    await ends_well(rig)


async def test_the_city_sends_the_same_command_twice_and_it_is_done_once(rig):
    await rig.until_log("commands_open")
    await rig.city.command("set", device="siren-1", on=True, for_=0.5, id_="once")
    await sounds(rig, on=False)
    changes = len(rig.city.values("siren-1"))
    answer = await rig.city.command("set", device="siren-1", on=True, for_=0.5, id_="once")
    assert answer["outcome"] == "refused"  # another instant, and so another command under an id that is used
    assert not await rig.pin("siren-1").reads()
    assert len(rig.city.values("siren-1")) == changes
    await ends_well(rig)


async def test_the_control_room_takes_note_of_an_alarm(rig):
    await rig.pin("panic-1").hold()
    await rig.until(lambda: raised(rig, "panic-1") == [True])
    answer = await rig.city.command("acknowledge", alarm=rig.city.alarms("panic-1")[0].id, by="somchai")
    assert answer["outcome"] == "done"
    await rig.pin("panic-1").release()
    await rig.until(lambda: raised(rig, "panic-1") == [True, True, False])
    assert [one.by for one in rig.city.alarms("panic-1")] == ["", "somchai", ""]
    await ends_well(rig)


async def test_a_technician_tests_the_button_and_no_siren_sounds(rig):
    await rig.until_log("commands_open")
    assert (await rig.city.command("test", device="panic-1", for_=60))["outcome"] == "done"
    await rig.pin("panic-1").hold()
    await rig.until(lambda: raised(rig, "panic-1") == [True])
    assert rig.city.alarms("panic-1")[0].test
    assert not await rig.pin("siren-1").reads()
    await rig.pin("panic-1").release()
    await rig.until(lambda: raised(rig, "panic-1") == [True, False])
    await ends_well(rig)
