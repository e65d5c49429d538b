"""The gateway in a virtual machine: Debian's kernel, its systemd, character devices, and power that goes."""

import random
import time

from hil.devices.a02yyuw import A02yyuw, frame
from tests.hil.vm.gateway import SYNCHRONISED, lately

PULSES = """
[devices.meter-1]
driver = "pulse_counter"
pin = 17
hold = 0.0001
report = 2

[devices.panic-1]
driver = "button"
pin = 27

[devices.siren-1]
driver = "siren"
pin = 22
sounds_for = ["panic-1"]
"""
GAUGE = """
[devices.level-1]
driver = "a02yyuw"
port = "/dev/serial/by-id/usb-QEMU_QEMU_USB_SERIAL_GAUGE1-if00-port0"
silent_after = "5 s"
"""
METER, PANIC, SIREN = 17, 27, 22


async def test_it_boots_and_the_agent_runs_as_the_unit_says(gateway):
    machine = await gateway(PULSES, exact=False)
    await machine.runs()
    shown = await machine.helper.run("systemctl", "show", "roadside", "-p", "User,SubState,NRestarts")
    assert set(shown.out.split()) == {"User=roadside", "SubState=running", "NRestarts=0"}
    assert "Debian" in (await machine.helper.run("uname", "-v")).out
    assert not (await machine.helper.run("systemctl", "--failed", "--plain", "--no-legend")).out


async def test_pulses_at_a_kilohertz_are_counted_exactly_and_a_press_is_an_alarm_that_sounds_the_siren(gateway):
    machine = await gateway(PULSES)
    await machine.helper.pull(METER, up=True)
    await machine.helper.pull(PANIC, up=True)
    await machine.runs()
    await machine.listens(METER, PANIC, SIREN)
    took = await machine.helper.pulses(METER, 2000, 1000)
    assert 2000 / took > 900, "the pulses were no kilohertz"
    await machine.arrives(lambda: 2000 in [one.value for one in machine.readings("meter-1", "pulses")], "2000 pulses")
    assert max(one.value for one in machine.readings("meter-1", "pulses")) == 2000

    await machine.helper.pull(PANIC, up=False)
    await machine.arrives(lambda: [one for one in machine.city.alarms if one.device == "panic-1"], "an alarm")
    assert machine.city.alarms[0].raised

    async def sounds():
        return await machine.helper.value(SIREN)

    await machine.until(sounds, "the siren sounds", 300.0)


def speaker(machine, adapter):
    """Return what has the gauge speak until what the agent says of itself meets a condition."""
    gauge = A02yyuw("level-1", adapter, random.Random(1), every=0.3)

    async def speaks_until(condition):
        async def said():
            gauge.speak()
            return condition(await machine.status())

        await machine.until(said, "the gauge is read", 300.0)

    return speaks_until


def is_in_state(state):
    return lambda said: said.get("devices", {}).get("level-1", {}).get("state") == state


async def test_the_first_adapter_of_all_is_plugged_in_while_the_agent_runs(gateway):
    machine = await gateway(GAUGE, adapters=["GAUGE1"], exact=False)
    adapter = machine.adapters["GAUGE1"]
    await machine.runs()
    await adapter.unplug()
    await machine.helper.run("systemctl", "stop", "roadside")
    await machine.helper.run("modprobe", "-r", "ftdi_sio", "usbserial")
    await machine.helper.run("systemctl", "start", "roadside", within=300.0)
    await machine.runs()
    await adapter.plug()
    await speaker(machine, adapter)(is_in_state("ok"))


async def test_an_adapter_is_pulled_out_and_found_again_by_its_serial_number(gateway):
    machine = await gateway(GAUGE, adapters=["GAUGE1"], exact=False)
    adapter = machine.adapters["GAUGE1"]
    speaks_until = speaker(machine, adapter)
    await speaks_until(is_in_state("ok"))
    await adapter.unplug()
    await machine.comes(is_in_state("unplugged"), "it says that the adapter is unplugged")
    before = len(machine.readings("level-1"))
    await adapter.plug()
    await speaks_until(is_in_state("ok"))
    await machine.arrives(lambda: len(machine.readings("level-1")) > before, "readings go on")


async def test_what_was_committed_before_the_power_went_arrives_after_it_is_back(gateway):
    machine = await gateway(GAUGE, adapters=["GAUGE1"], exact=False)
    adapter = machine.adapters["GAUGE1"]
    await machine.runs()
    await machine.arrives(lambda: adapter.heard, "the line is open")
    await machine.link.cut()
    said = []

    async def committed_twice():
        said.append(time.time())
        adapter.write(frame(1000 + len(said)))
        status = await machine.status()
        return status.get("journal", {}).get("commits", 0) >= 2

    await machine.until(committed_twice, "two commits", 300.0)
    cut_at = await machine.cut()
    safe = {1001 + number for number, at in enumerate(said) if at < cut_at - 15.0}
    await machine.link.restore()
    await machine.on()
    await machine.arrives(
        lambda: safe <= {round(one.value * 1000) for one in machine.readings("level-1")}, "all that was promised"
    )
    values = [round(one.value * 1000) for one in machine.readings("level-1")]
    assert len(values) == len(set(values))


async def test_a_gateway_that_begins_in_1970_dates_its_readings_when_it_knows_the_time(gateway):
    machine = await gateway(PULSES, since="1970-01-01", exact=False)
    await machine.runs()
    await machine.listens(PANIC)
    # systemd moves a clock that is in 1970 to the day on which it was built.
    assert not lately(float((await machine.helper.run("date", "+%s")).out))
    await machine.helper.pull(PANIC, up=False)
    await machine.arrives(lambda: machine.city.alarms, "an alarm that does not wait for the time")
    assert machine.city.alarms[0].utc is None

    await machine.helper.run("date", "-s", f"@{time.time():.0f}")
    await machine.helper.run("install", "-D", "/dev/null", SYNCHRONISED)
    await machine.arrives(lambda: machine.city.anchors, "an anchor")
    await machine.arrives(lambda: machine.readings("panic-1", "pressed"), "readings that had waited")
    assert all(one.utc is not None and lately(one.utc) for one in machine.readings("panic-1", "pressed"))
