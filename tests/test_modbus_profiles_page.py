"""What docs/modbus-profiles.md teaches, done."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from agent.config.load import load
from drivers.contract import BusOutputDriver
from drivers.modbus import profile
from tests.cli.roadside import roadside
from tests.config.test_load import SMALL

PAGE = Path("docs/modbus-profiles.md").read_text("utf-8")
BUS = '[ports.rs485]\npath = "/dev/ttyUSB0"\n'


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


PROFILE, DEVICE, MODULE, LEVEL, BOARD, SIREN = blocks("toml")


def written(tmp_path, text):
    path = tmp_path / "f144.toml"
    path.write_text(text)
    return str(path)


def test_the_profile_reads_the_example_of_the_manual(tmp_path):
    (command,) = blocks("sh")
    recorded = re.search(r'echo "(.*?)"', command)[1]
    options = re.search(r"roadside (decode .*)", command)[1].split()
    path = written(tmp_path, PROFILE)
    (tmp_path / "recorded").write_text(recorded)
    told = roadside(*[option.replace("/etc/roadside/f144.toml", path) for option in options], tmp_path / "recorded")
    assert told.stdout == blocks("json")[0]
    values = {line["quantity"]: line["value"] for line in map(json.loads, told.stdout.splitlines())}
    assert values == pytest.approx({"voltage": 235.35, "current": 110.2, "frequency": 50.012}, abs=0.005)


def test_a_mistake_in_it_is_told_with_its_line(tmp_path):
    path = written(tmp_path, PROFILE.replace("voltage", "volts"))
    told = roadside("decode", "modbus", "--set", f"profile={path}", "/dev/null")
    assert (told.returncode, told.stdout) == (78, "")
    assert told.stderr.startswith(f"{path}:8: values.volts: is no quantity that is known; did you mean 'voltage'?")


def test_the_configuration_is_right(tmp_path):
    path = written(tmp_path, PROFILE)
    devices = load(SMALL + DEVICE.replace("/etc/roadside/f144.toml", path)).devices
    assert devices["mains-1"].driver.title == "KBR multicomp F144"
    panic = '[devices.panic-1]\ndriver = "button"\npin = 27\n'
    devices = load(SMALL + BUS + LEVEL + SIREN + panic).devices
    assert devices["level-1"].driver.quantities(devices["level-1"].settings)["water_level"] == "m"
    assert isinstance(devices["siren-1"].driver, BusOutputDriver)


@pytest.mark.parametrize("text", [MODULE, BOARD])
def test_the_other_profiles_are_right(tmp_path, text):
    device = f'[devices.x]\ndriver = "modbus"\nprofile = "{written(tmp_path, text)}"\nport = "rs485"\n'
    assert load(SMALL + BUS + device).devices["x"].driver.profile


TABLES = ("Profile", "Value", "Group", "Health", "Channels", "Outputs", "Flash", "Connection")


@pytest.mark.parametrize("table", [getattr(profile, name) for name in TABLES])
def test_every_key_is_told(table):
    for each in dataclasses.fields(table):
        assert re.search(rf"\b{each.name}\b", PAGE), each.name
