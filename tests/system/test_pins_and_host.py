"""Devices on pins, the gateway itself and its link, by the real agent: from edges and files to what it says of them."""

import asyncio

import pytest

from hil.devices.host import HostFiles
from tests.system.gateway import Gateway

CONFIG = """
[gateway]
id = "pkt-0001"
[uplinks.city]
url = "mqtt://127.0.0.1:1883"
[journal]
pack_within = "100 ms"
[devices.level-1]
driver = "hcsr04"
trigger = 23
echo = 24
mount_height = 3.0
temperature = 20
[devices.meter-1]
driver = "pulse_counter"
pin = 5
counts = "energy_import"
pulses_per_unit = 1000
report = 1
[devices.wind-1]
driver = "anemometer"
pin = 6
report = 3
[devices.loop-1]
driver = "loop_detector"
pin = 13
report = 2
[devices.door-1]
driver = "button"
pin = 27
measures = "open"
tested_on = 2020-05-01
report = 1
[devices.pi]
driver = "host"
every = 1
[devices.way]
driver = "link"
every = 1
"""
PLAN = """
[devices.level-1]
model = "hcsr04"
trigger = 23
echo = 24
distance = 1.2
[devices.meter-1]
model = "pulse_counter"
pin = 5
every = 0.2
counts = "energy_import"
pulses_per_unit = 1000
[devices.wind-1]
model = "anemometer"
pin = 6
wind = 6.0
[devices.loop-1]
model = "loop_detector"
pin = 13
every = 1e9
[devices.door-1]
model = "button"
pin = 27
every = 1e9
measures = "open"
"""


@pytest.fixture
async def gateway(broker, tmp_path):
    config, plan = tmp_path / "gateway.toml", tmp_path / "cabinet.toml"
    config.write_text(CONFIG)
    plan.write_text(PLAN)
    async with Gateway(broker.url, config=config, plan=plan) as gateway:
        await asyncio.wait_for(gateway.cabinet.board.claims(5, 6, 13, 24, 27), 10)
        yield gateway


def value(said, device, quantity):
    return said["devices"][device]["values"].get(quantity, {}).get("value")


async def test_each_tells_what_there_is(gateway):
    pi, devices = HostFiles(gateway.root), gateway.cabinet.devices
    pi.wireless(wlan0=-61)
    devices["door-1"].press()
    devices["loop-1"].come()
    await gateway.says(lambda said: value(said, "level-1", "water_level") == pytest.approx(1.8, abs=0.03))
    await gateway.says(lambda said: (value(said, "meter-1", "energy_import") or 0) >= 0.01)
    await gateway.says(lambda said: 2 < (value(said, "wind-1", "wind_speed") or 0) < 6.5)  # a busy machine turns slower
    await gateway.says(lambda said: value(said, "loop-1", "occupied") is True)
    await gateway.says(lambda said: value(said, "door-1", "open") is True)
    await gateway.says(lambda said: value(said, "door-1", "test_due") is True)
    await gateway.says(lambda said: value(said, "pi", "cpu_temperature") == 48.2)
    await gateway.says(lambda said: value(said, "way", "wifi_signal") == -61)
    await gateway.says(lambda said: 0 < (value(said, "way", "link_latency") or 0) < 1000)
    await gateway.says(lambda said: value(said, "way", "link_loss") == 0)
    pi.undervoltage(low=True)
    await gateway.says(lambda said: value(said, "pi", "undervoltages") == 1)


async def test_an_echo_that_stays_away_is_told(gateway):
    def reason(said):
        return said["devices"]["level-1"]["values"].get("water_level", {}).get("reason")

    sensor = gateway.cabinet.devices["level-1"]
    sensor.distance = None
    await gateway.says(lambda said: reason(said) == "no_echo")
    sensor.dead = True
    await gateway.says(lambda said: reason(said) == "no_reply")
