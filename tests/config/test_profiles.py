"""Modbus profiles of a technician's own: checked with the configuration that names them, and kept with it."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import ready
from agent.config.choosing import choose
from agent.config.load import load
from agent.config.problems import ConfigError, Problems, Source
from agent.config.profiles import Profiles
from agent.host.disk import Folder
from drivers.contract import BusOutputDriver, PollingDriver, SerialLine
from drivers.modbus import reading
from drivers.modbus.profile import Profile
from tests.config.test_load import SMALL

METER = """\
title = "A meter"
line = "9600 8E1"

[values]
voltage = { register = 1, scale = 0.1 }
"""
BUS = '[ports.rs485]\npath = "/dev/ttyUSB0"\n'


@pytest.fixture
def profile(tmp_path):
    path = tmp_path / "meter.toml"
    path.write_text(METER)
    return path


def named(path, name="m-1", port="rs485", **more):
    keys = "".join(f"{key} = {value}\n" for key, value in more.items())
    return f'[devices.{name}]\ndriver = "modbus"\nprofile = "{path}"\nport = "{port}"\n{keys}'


def problems(text):
    with pytest.raises(ConfigError) as caught:
        load(text)
    return [str(problem) for problem in caught.value.problems]


def test_a_profile_makes_the_driver(profile):
    device = load(SMALL + BUS + named(profile)).devices["m-1"]
    assert isinstance(device.driver, PollingDriver)
    assert (device.driver.title, device.driver.line) == ("A meter", SerialLine(9600, parity="E"))
    assert device.driver.quantities(device.settings) == {"voltage": "V"}


def test_a_shipped_profile_can_be_named_too():
    device = load(SMALL + BUS + named("waveshare_relay", relay=3)).devices["m-1"]
    assert isinstance(device.driver, BusOutputDriver)
    assert device.settings.relay == 3


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (
            'volt = { register = 2, unit = "V" }\ncurrent = { register = 1 }',
            "meter.toml:7: values.current.register: register 1 already belongs to 'voltage'",
        ),
        ("current = { register = -1 }", "meter.toml:6: values.current.register: must be 0 or more, not -1"),
        (
            'current = { register = 2, type = "u33" }',
            "meter.toml:6: values.current.type: 'u33' is not one of 'u16', 's16', 'u32', 's32', 'f32', 'bit'; did",
        ),
        (
            "current = { regster = 2 }",
            "meter.toml:6: values.current.register: is missing: First register of the value, or its bit",
        ),
        (
            "curent = { register = 2 }",
            "meter.toml:6: values.curent: is no quantity that is known; did you mean 'current'? One of",
        ),
        (
            'current = { register = 2, unit = "mA" }',
            "meter.toml:6: values.current.unit: current is always in 'A': convert it with 'scale' and 'offset'",
        ),
        (
            "current = { register = 2, rails = [5, 1] }",
            "meter.toml:6: values.current.rails: must be the lowest and then the highest value",
        ),
        ("[[groups]]\nfirst = 2\ncount = 9", "meter.toml:5: values.voltage.register: its registers stand in no group"),
        (
            "[[groups]]\nfirst = 0\ncount = 126",
            "meter.toml:8: groups (1).count: a reply holds 125 registers at most",
        ),
        (
            "[outputs]\ncount = 8",
            "meter.toml:6: outputs: a profile has one of 'values' (a meter), 'channels' (4-20 mA inputs)",
        ),
        ("[health]\nregister = 9", "meter.toml:6: health.bad: is missing: Numbers in it that mean that they cannot"),
        (
            "current = { register 2 }",
            "meter.toml:6: is not TOML: '=' is missing after the key (column 22); write it like this: key = value",
        ),
    ],
)
def test_each_mistake_in_a_profile_is_said_with_its_line(profile, mistake, said):
    profile.write_text(METER + mistake + "\n")
    found = problems(SMALL + BUS + named(profile))
    assert any(line.startswith(f"{profile.parent}/{said}") for line in found)
    assert f"gateway.toml:9: devices.m-1.profile: the profile {profile} cannot be used" in found


def test_a_profile_that_two_devices_name_is_wrong_once(profile):
    profile.write_text(METER + "x = 1\n")
    found = problems(SMALL + BUS + named(profile) + named(profile, "m-2", address=2))
    assert len([line for line in found if line.startswith(str(profile))]) == 1


def test_a_profile_that_is_not_there():
    assert problems(SMALL + BUS + named("/nowhere/meter.toml"))[0] == "/nowhere/meter.toml: there is no such file"
    assert "'sdm121' is not a profile" in problems(SMALL + BUS + named("sdm121"))[0]
    assert "must be the whole path" in problems(SMALL + BUS + named("./meter.toml"))[0]


def test_what_the_quick_reader_makes_of_a_file_is_what_the_strict_one_makes(tmp_path):
    for name in reading.shipped():
        copy = tmp_path / f"{name}.toml"
        copy.write_text((reading.FOLDER / f"{name}.toml").read_text())
        device = load(SMALL + BUS + named(copy)).devices["m-1"]
        assert device.driver.profile == reading.read(name), name


SCALARS = st.one_of(
    st.booleans(), st.integers(-5, 70_000), st.floats(allow_nan=False), st.sampled_from(["u16", "f32", "A", "x", ""])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["register", "type", "count", "first", "voltage", "x"]), inner, max_size=3),
    ),
    max_leaves=6,
)
KEYS = st.sampled_from([each.name for each in dataclasses.fields(Profile)] + ["x"])
GOOD = {"title": "T", "values": {"voltage": {"register": 1}}}


@settings(deadline=None, max_examples=150)
@given(changed=st.dictionaries(KEYS, VALUES, max_size=3))
def test_whatever_stands_in_a_file_is_a_profile_or_a_mistake_and_both_readers_agree_on_a_profile(changed):
    document = {**GOOD, **changed}
    problems = Problems(Source("p.toml", ""))
    strict = Profiles(lambda _: Source("p.toml", ""), lambda _: document).driver("/p.toml", ("profile",), problems)
    if strict is None:
        assert problems.elsewhere
        assert all(str(problem).startswith("p.toml:") for problem in problems.elsewhere)
    else:
        assert reading.made(document) == strict.profile


# --- devices that share a line -------------------------------------------------------------------------------------


def test_an_address_belongs_to_one_device_of_a_line(profile):
    two = SMALL + BUS + named(profile) + named(profile, "m-2")
    assert problems(two) == [
        "gateway.toml:11: devices.m-2.address: address 1 is already used on this port by devices.m-1.address (line 7)"
    ]
    assert set(load(two + "address = 2\n").devices) == {"m-1", "m-2"}


def test_the_relays_of_a_board_share_its_address():
    def board(first, second):
        relays = [f'[devices.r-{each}]\ndriver = "relay8"\nport = "rs485"\nrelay = ' for each in (1, 2)]
        return SMALL + BUS + f"{relays[0]}{first}\n{relays[1]}{second}\n"

    assert set(load(board(1, 2)).devices) == {"r-1", "r-2"}
    (said,) = problems(board(3, 3))
    assert "devices.r-2.relay: address 1, relay 3 is already used on this port by devices.r-1.relay (line 10)" in said


def test_two_modules_have_two_addresses(profile):
    relay = '[devices.r-1]\ndriver = "relay8"\nport = "rs485"\nrelay = 2\n'
    level = '[devices.l-1]\ndriver = "waveshare_analog"\nport = "rs485"\n'
    for other in (level, named(profile)):
        text = SMALL + BUS.replace("ttyUSB0", 'ttyUSB0"\nline = "9600 8N1') + relay + other
        (said,) = problems(text)
        assert "address: address 1 is already used on this port by devices.r-1.address" in said
        load(text + "address = 2\n")


def test_devices_of_different_speeds_need_one_line(profile):
    mixed = SMALL + BUS + named(profile) + named("sdm120", "m-2", address=2)
    assert "needs 'line', because its devices differ (m-1: 9600 8E1, m-2: 2400 8N1)" in problems(mixed)[0]
    assert load(mixed.replace("ttyUSB0", 'ttyUSB0"\nline = "9600 8E1')).ports["rs485"].line == SerialLine(parity="E")


# --- what is kept --------------------------------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path):
    return Folder(tmp_path / "state")


@pytest.fixture
def file(tmp_path, profile):
    path = tmp_path / "gateway.toml"
    path.write_text(SMALL + BUS + named(profile))
    return path


def test_a_profile_is_taken_up_with_the_configuration_until_it_changes(state, file, profile):
    config, _ = choose(state, file, {})
    again = ready.recall(state, file, {})
    assert again.devices["m-1"].driver.profile == config.devices["m-1"].driver.profile
    profile.write_text(METER.replace("0.1", "0.01"))
    assert ready.recall(state, file, {}) is None
    config, _ = choose(state, file, {})
    assert ready.recall(state, file, {}).devices["m-1"].driver.profile.values["voltage"].scale == 0.01


@pytest.mark.parametrize("spoil", [lambda path: path.write_text("x"), lambda path: path.unlink()])
def test_a_profile_that_was_spoilt_never_stops_a_gateway_that_had_a_good_one(state, file, profile, spoil):
    choose(state, file, {})
    spoil(profile)
    assert ready.recall(state, file, {}) is None
    config, said = choose(state, file, {})
    assert config.devices["m-1"].driver.title == "A meter"
    assert any(line.startswith(f"{profile}:") for line in said)
