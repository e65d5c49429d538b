"""A siren on a relay board that shares its line with a meter, by the real agent on a pseudo-terminal."""

import asyncio
import os
import subprocess
import sys

import pytest

from hil.devices.talker import Ailment
from tests.system.gateway import Gateway

CONFIG = """
[gateway]
id = "pkt-0001"
[uplinks.city]
url = "mqtt://127.0.0.1:1883"
[journal]
pack_within = "100 ms"
[ports.rs485]
path = "/dev/ttyUSB1"
line = "9600 8N1"
[devices.meter-1]
driver = "sdm120"
port = "rs485"
every = "400 ms"
silent_after = "2 s"
[devices.siren-1]
driver = "relay8"
port = "rs485"
address = 2
relay = 3
every = "500 ms"
sounds_for = ["panic-1"]
[devices.panic-1]
driver = "button"
pin = 27
"""
PLAN = """
[devices.meter-1]
model = "sdm120"
port = "/dev/ttyUSB1"
[devices.board-1]
model = "relay_board"
port = "/dev/ttyUSB1"
address = 2
[devices.panic-1]
model = "button"
pin = 27
every = 1e9
"""


@pytest.fixture
async def gateway(broker, tmp_path):
    config, plan = tmp_path / "gateway.toml", tmp_path / "cabinet.toml"
    config.write_text(CONFIG)
    plan.write_text(PLAN)
    async with Gateway(broker.url, config=config, plan=plan) as gateway:
        await asyncio.wait_for(gateway.cabinet.board.claims(27), 10)
        yield gateway


def safe(gateway):
    return subprocess.run(
        [sys.executable, "-m", "agent", "safe", "--root", str(gateway.root)],
        env={**os.environ, **gateway.cabinet.environment, "LANG": "C"},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_it_sounds_while_the_alarm_stands_and_the_meter_is_read_meanwhile(gateway):
    button, board = gateway.cabinet.devices["panic-1"], gateway.cabinet.devices["board-1"]
    await gateway.go_on("meter-1")
    button.press()
    await gateway.until(lambda: board.coils[2])
    await gateway.go_on("meter-1")
    await gateway.says(lambda said: said["devices"]["siren-1"]["values"]["on"]["value"] is True)
    button.release()
    await gateway.until(lambda: not any(board.coils))
    await gateway.says(lambda said: said["devices"]["siren-1"]["values"]["on"]["value"] is False)


async def test_a_stop_switches_it_off(gateway):
    board = gateway.cabinet.devices["board-1"]
    gateway.cabinet.devices["panic-1"].press()
    await gateway.until(lambda: board.coils[2])
    await gateway.stop()
    assert not board.coils[2]


async def test_what_a_dead_agent_left_on_is_switched_off_by_somebody_else(gateway):
    board = gateway.cabinet.devices["board-1"]
    gateway.cabinet.devices["panic-1"].press()
    await gateway.until(lambda: board.coils[2])
    await gateway.kill()
    assert board.coils[2]
    board.ailment = Ailment.SILENT
    deaf = await asyncio.to_thread(safe, gateway)
    assert (deaf.returncode, "siren-1 does not answer: it may be on" in deaf.stderr) == (1, True)
    board.ailment = None
    board.coils[2] = True
    done = await asyncio.to_thread(safe, gateway)
    assert (done.returncode, done.stdout) == (0, "siren-1: off (/dev/ttyUSB1)\n")
    assert not board.coils[2]
