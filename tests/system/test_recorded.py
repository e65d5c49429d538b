"""Bytes that real devices sent, through a pty into the running agent, judged by what arrives at the broker.

The recordings are no part of the project: these tests run where ROADSIDE_CAPTURES, or `shared/captures` beside the
checkout, is a folder of them. Each line is the bytes, what they say as JSON, and where they come from.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

from hil.replay import load, play
from hil.wires.pty import Pty
from tests.system.gateway import Gateway

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CAPTURES = Path(os.environ.get("ROADSIDE_CAPTURES") or Path(__file__).parents[3] / "shared/captures")
FIXED = range(1, 6)  # GGA quality: what is a position and no guess
KNOT = 1852 / 3600  # metres a second

CONFIG = """
[gateway]
id = "pkt-0001"
[uplinks.city]
url = "mqtt://127.0.0.1:1883"
[journal]
pack_within = "100 ms"
[devices.it]
driver = "{driver}"
port = "/dev/ttyAMA0"
warm_up = "0 s"
"""


class Recording(NamedTuple):
    data: bytes
    says: list[dict]  # nothing, if it is no whole frame


def recordings(name: str) -> Iterator[Recording]:
    """Yield what a real device sent, and what was made of it, as far as its meaning is beyond doubt."""
    path = CAPTURES / name
    if not path.exists():
        pytest.skip(f"{path} does not exist; ROADSIDE_CAPTURES can name a folder with recordings of real devices")
    lines = [line for line in path.read_text("utf-8").splitlines() if line and not line.startswith("#")]
    for data, line in zip(load(path), lines, strict=True):
        expected = line.split("\t")[1]
        if expected.startswith(("{", "[")):
            said = json.loads(expected)
            found = said if isinstance(said, list) else said.get("frames") or [said.get("sentence") or said]
            yield Recording(data, found)
        elif expected.startswith("ERROR checksum"):
            yield Recording(data, [])


async def arrive(broker: str, folder: Path, driver: str, played: list[Recording], quantity: str, wanted: list) -> None:
    """Play recordings to an agent, and demand these values, or reasons why there is none, at the city."""
    config, plan = folder / "gateway.toml", folder / "cabinet.toml"
    config.write_text(CONFIG.format(driver=driver))
    plan.write_text("[devices]\n")
    async with Gateway(broker, config=config, plan=plan, start=False) as gateway:
        with Pty(gateway.root / "dev/ttyAMA0") as wire:
            wire.write(b"\n")
            await gateway.start()
            await gateway.until(lambda: not wire.unread())  # it has opened the line, and emptied it
            await play(wire, [one.data for one in played], baud=38400)

            def values() -> list:
                ours = [one for one in gateway.city.received if one.gateway == gateway.id and one.quantity == quantity]
                return [one.reason or one.value for one in sorted(ours, key=lambda one: one.number)]

            await gateway.until(lambda: len(values()) >= len(wanted))
            await gateway.stop()
            assert values() == wanted


def gga(said: dict) -> float | str:
    return said["lat"] if said["quality"] in FIXED else "no_fix"


def rmc(said: dict) -> float | str:
    return round(said["knots"] * KNOT, 3) if said["valid"] else "no_fix"


async def test_what_a_recorded_pms5003_said_arrives_at_the_broker(broker, tmp_path):
    played = list(recordings("plantower_pms5003_pms7003.txt"))
    wanted = [said["pm2_5"] for one in played for said in one.says]
    assert len(wanted) > 5
    await arrive(broker.url, tmp_path, "plantower", played, "pm2_5", wanted)


@pytest.mark.parametrize(("kind", "quantity", "value"), [("GGA", "latitude", gga), ("RMC", "speed", rmc)])
async def test_what_recorded_gnss_receivers_said_arrives_at_the_broker(
    broker, tmp_path, kind: str, quantity: str, value: Callable[[dict], float | str]
):
    played = list(recordings("nmea0183_gnss.txt"))
    wanted = [value(said) for one in played for said in one.says if said.get("type") == kind]
    assert len(wanted) > 5
    await arrive(broker.url, tmp_path, "nmea", played, quantity, wanted)
