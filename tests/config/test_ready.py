"""What was read once is taken up by the next start, and only for the same text, overrides and code."""

from __future__ import annotations

import io
import os
import pickle
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from agent.config import ready
from agent.config.choosing import LAST_GOOD, choose
from agent.config.hints import example
from agent.config.load import load
from agent.config.model import Config, Device, Gateway
from agent.config.problems import ConfigError
from agent.host.disk import Folder
from drivers import registry

EXAMPLE = Path("agent/example/gateway.toml").resolve()
VALID = '[gateway]\nid = "g-1"\n[uplinks.city]\nurl = "mqtt://127.0.0.1"\n'


@pytest.fixture
def state(tmp_path):
    return Folder(tmp_path / "state")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "gateway.toml"
    path.write_text(VALID)
    return path


def test_the_example_comes_back_as_it_was_read(state):
    config, problems = choose(state, EXAMPLE, {})
    assert problems == []
    assert ready.recall(state, EXAMPLE, {}) == config == load(EXAMPLE)


@pytest.mark.parametrize("name", sorted(registry.TABLE))
def test_the_settings_of_each_driver_come_back(name, state, file):
    driver = registry.load(name)
    settings = example(driver.settings)
    if settings is None:
        needed = {"line": {"pattern": "R(?P<water_distance>[0-9]+)"}, "modbus": {"profile": "sdm120"}}
        settings = driver.settings(**needed[name])
    device = Device(id="x", driver=driver, settings=settings, silent_after=60.0, warm_up=0.0)
    config = Config(gateway=Gateway(id="g-1"), uplinks={}, devices={"x": device})
    ready.keep(state, VALID, {}, config)
    assert ready.recall(state, file, {}) == config


def test_a_date_comes_back(state, file):
    driver = registry.load("button")
    settings = driver.settings(pin=1, tested_on=date(2026, 5, 1))
    device = Device(id="x", driver=driver, settings=settings, silent_after=60.0, warm_up=0.0)
    config = Config(gateway=Gateway(id="g-1"), uplinks={}, devices={"x": device})
    ready.keep(state, VALID, {}, config)
    assert ready.recall(state, file, {}) == config


def test_nothing_is_known_before_the_first_reading(state, file):
    assert ready.recall(state, file, {}) is None


@pytest.mark.parametrize("text", ["", VALID + "x = 1\n", VALID.replace("g-1", "g-2"), VALID.replace("\n", "\r\n")])
def test_another_text_is_read_anew(text, state, file):
    choose(state, file, {})
    file.write_bytes(text.encode())
    assert ready.recall(state, file, {}) is None


def test_other_overrides_are_read_anew(state, file):
    overrides = {"gateway.id": "g-3"}
    config, _ = choose(state, file, overrides)
    assert ready.recall(state, file, overrides) == config
    assert ready.recall(state, file, {}) is None


def test_other_code_reads_anew(state, file):
    choose(state, file, {})
    code = Path(ready.__file__)
    before = code.stat()
    try:
        os.utime(code, ns=(before.st_atime_ns, before.st_mtime_ns + 1000))
        assert ready.recall(state, file, {}) is None
    finally:
        os.utime(code, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert ready.recall(state, file, {}) is not None


@pytest.mark.parametrize("at", [0, 40, 70, -1])
def test_a_flipped_bit_is_seen(at, state, file):
    choose(state, file, {})
    kept = bytearray(state.read(ready.NAME))
    kept[at] ^= 4
    state.replace(ready.NAME, bytes(kept))
    assert ready.recall(state, file, {}) is None


def test_a_mistake_is_said_though_the_last_text_is_known(state, file):
    config, _ = choose(state, file, {})
    file.write_text(VALID + "x = 1\n")
    assert ready.recall(state, file, {}) is None
    running, problems = choose(state, file, {})
    assert (running, len(problems)) == (config, 1)
    state.remove(LAST_GOOD)
    with pytest.raises(ConfigError):
        choose(state, file, {})


def test_a_pipe_is_left_to_whoever_reads_it(state, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert ready.recall(state, tmp_path / "pipe", {}) is None


def test_what_another_packages_driver_had_a_say_in_is_not_kept(state, file):
    config = load(EXAMPLE)
    air = config.devices["air-1"]
    theirs = replace(air, driver=replace(air.driver, name="theirs"))
    ready.keep(state, VALID, {}, replace(config, devices={**config.devices, "air-1": theirs}))
    assert ready.recall(state, file, {}) is None


def test_nothing_but_a_configuration_is_ever_made():
    with pytest.raises(pickle.UnpicklingError):
        ready._Unpickler(io.BytesIO(pickle.dumps(os.getcwd))).load()
