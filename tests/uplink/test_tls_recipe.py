"""The commands in docs/tls.md, run as they stand there, make what a broker and every version of Python accept."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.config.load import load
from agent.uplink.broker import Will
from agent.uplink.credentials import Files
from agent.uplink.mqtt import MqttBroker
from tests.uplink.outbox import uplink

if TYPE_CHECKING:
    from tests.brokers import MosquittoFactory

PAGE = (Path(__file__).parents[2] / "docs/tls.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def cooked(tmp_path: Path) -> Path:
    """Run every command of the page in a folder."""
    for commands in blocks("sh"):
        subprocess.run(["bash", "-eu", "-c", commands], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


async def test_the_recipe_makes_what_both_sides_accept(mosquitto: MosquittoFactory, cooked: Path):
    (settings,) = blocks("conf")
    lines = settings.replace("/etc/mosquitto", str(cooked)).splitlines()
    broker = mosquitto(*(line for line in lines if not line.startswith("listener")))
    files = Files(authority=cooked / "ca.pem", certificate=cooked / "gateway.pem", key=cooked / "gateway.key")
    will = Will("roadside/v1/pkt-0042/status", b'{"state":"lost"}', "application/json")
    async with MqttBroker(uplink(f"mqtts://localhost:{broker.port}"), files=files).connect(will) as link:
        assert set(link.papers.certificates) == {"gateway", "broker"}
    assert "as pkt-0042 (p5" in (cooked / "mosquitto-1/mosquitto.log").read_text()


def test_the_configuration_in_it_is_right():
    (block,) = blocks("toml")
    city = load(f'[gateway]\nid = "pkt-0042"\n{block}').uplinks["city"]
    assert (city.tls, city.key_file) == (True, "/etc/roadside/gateway.key")
