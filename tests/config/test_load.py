import dataclasses
from datetime import date
from pathlib import Path

import pytest

import agent
from agent.config.load import load
from agent.config.model import MIB, AlarmRule, Labels, Port, Rules
from agent.config.problems import ConfigError
from drivers.contract import SerialLine

EXAMPLE = Path(agent.__file__).parent / "example/gateway.toml"
SMALL = """\
[gateway]
id = "pkt-0042"
[uplinks.city]
url = "mqtt://127.0.0.1"
"""


def problems(text, **overrides):
    """Return what is said of a text, line by line."""
    with pytest.raises(ConfigError) as caught:
        load(text, overrides=overrides)
    return str(caught.value).splitlines()


def test_the_shipped_example_is_right():
    config = load(EXAMPLE)
    assert list(config.devices) == ["air-1", "meter-1", "level-1", "rain-1", "gnss-1", "panic-1", "siren-1"]
    assert config.gateway.label == Labels(en="Karon canal, km 2, Phuket", th="คลองกะรน กม. 2 ภูเก็ต")
    assert config.devices["meter-1"].bus == "rs485"
    assert config.devices["meter-1"].port is None
    assert config.ports["rs485"].line == SerialLine(9600)
    assert config.devices["air-1"].rules["pm2_5"] == Rules(plausible=(0, 1000), deadband=2, heartbeat=60)
    assert config.devices["level-1"].alarms == (
        AlarmRule(name="flood", quantity="water_level", above=2.5, clear=2.3, hold=5),
    )
    assert config.devices["siren-1"].sounds_for == ("panic-1",)


def test_what_is_not_said_has_its_default():
    config = load(SMALL + '[devices.b]\ndriver = "button"\npin = 27\n')
    assert config.uplinks["city"].client_id == "pkt-0042"
    assert (config.uplinks["city"].host, config.uplinks["city"].port, config.uplinks["city"].tls) == (
        "127.0.0.1",
        1883,
        False,
    )
    assert config.journal.limit == 256 * MIB
    button = config.devices["b"]
    assert button.silent_after == button.driver.silent_after
    assert button.warm_up == button.driver.warm_up
    assert button.every is None


def test_it_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        load(SMALL).gateway.id = "other"


def test_a_boolean_that_is_an_alarm_in_itself_needs_no_rule_and_may_have_one():
    button = '[devices.b]\ndriver = "button"\npin = 27\n'
    own = '[[devices.b.alarms]]\nname = "help"\nquantity = "pressed"\nequals = true\nhold = "2 s"\n'
    assert load(SMALL + button).devices["b"].alarms == (AlarmRule(name="pressed", quantity="pressed", equals=True),)
    assert load(SMALL + button + own).devices["b"].alarms == (
        AlarmRule(name="help", quantity="pressed", equals=True, hold=2),
    )


@pytest.mark.parametrize("written", ["2026-05-01", '"2026-05-01"'])
def test_a_date_needs_no_quotes(written):
    config = load(SMALL + f'[devices.b]\ndriver = "button"\npin = 27\ntested_on = {written}\n')
    assert config.devices["b"].settings.tested_on == date(2026, 5, 1)


def test_a_private_port_is_a_path_or_a_table():
    device = '[devices.a]\ndriver = "plantower"\nport = '
    by_id = "/dev/serial/by-id/usb-Prolific_USB-Serial_Controller_D-if00-port0"
    assert load(SMALL + device + f'"{by_id}"').devices["a"].port == Port(path=by_id)
    table = '{ path = "/dev/ttyAMA0", line = "19200 8E1" }'
    assert load(SMALL + device + table).devices["a"].port == Port(
        path="/dev/ttyAMA0", line=SerialLine(19200, parity="E")
    )


def test_a_device_that_is_polled_seldom_is_not_called_silent_between_two_polls():
    meter = '[devices.m]\ndriver = "sdm120"\nport = "/dev/ttyUSB0"\nevery = "10 min"\n'
    assert load(SMALL + meter).devices["m"].silent_after == 1800


def test_a_device_that_rests_by_our_own_order_is_not_silent_meanwhile():
    dust = '[devices.d]\ndriver = "sds011"\nport = "/dev/ttyS1"\n'
    assert load(SMALL + dust).devices["d"].silent_after == 30
    assert load(SMALL + dust + "period = 10\n").devices["d"].silent_after == 1800
    assert load(SMALL + dust + "period = 10\nsilent_after = 700\n").devices["d"].silent_after == 700
    gas = '[devices.g]\ndriver = "winsen"\nport = "/dev/ttyS1"\nask_every = "1 min"\n'
    assert load(SMALL + gas).devices["g"].silent_after == 180


def test_durations_of_a_drivers_own_settings_are_written_like_all_others():
    button = '[devices.b]\ndriver = "button"\npin = 27\nhold = "50 ms"\n'
    assert load(SMALL + button).devices["b"].settings.hold == 0.05


def test_which_quantities_there_are_follows_from_the_settings():
    level = '[devices.l]\ndriver = "a02yyuw"\nport = "/dev/ttyS1"\n'
    rules = "[devices.l.water_level]\ndeadband = 0.1\n"
    assert "water_level" in load(SMALL + level + "mount_height = 5\n" + rules).devices["l"].rules
    (said,) = problems(SMALL + level + rules)
    assert said.startswith(
        "gateway.toml:8: devices.l.water_level: is neither a known key nor a quantity of this device"
    )


def test_settings_may_be_tables_and_have_any_name():
    line = '[devices.w]\ndriver = "line"\nport = "/dev/ttyUSB0"\njson = { wind_speed = "wind.speed" }\n'
    device = load(SMALL + line + 'units = { wind_speed = "m/s" }\n[devices.w.wind_speed]\nscale = 0.514444').devices[
        "w"
    ]
    assert device.settings.json == {"wind_speed": "wind.speed"}
    assert device.rules["wind_speed"].scale == 0.514444


def test_a_mark_in_front_and_windows_line_ends_do_no_harm(tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_bytes(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    assert load(file).gateway.id == "pkt-0042"


# --- what was set over the file -----------------------------------------------------------------------------


def test_single_keys_can_be_set_over_the_file():
    config = load(
        EXAMPLE,
        overrides={
            "uplinks.city.url": "mqtt://127.0.0.1:41234",
            "journal.commit_interval": "250 ms",
            "devices.air-1.pm2_5.deadband": "0.25",
            "devices.level-1.alarms.0.above": "3",
            "devices.rain-1.label": '{ en = "Rain", th = "ฝน" }',
            '"uplinks"."city".username': "it's",
        },
    )
    assert config.uplinks["city"].port == 41234
    assert config.uplinks["city"].username == "it's"
    assert config.journal.commit_interval == 0.25
    assert config.devices["air-1"].rules["pm2_5"].deadband == 0.25
    assert config.devices["level-1"].alarms[0].above == 3
    assert config.devices["rain-1"].label == Labels(en="Rain", th="ฝน")


def test_a_value_cannot_bring_other_keys_along():
    config = load(SMALL, overrides={"uplinks.city.username": '"a"\nurl = "mqtt://evil"'})
    assert config.uplinks["city"].url == "mqtt://127.0.0.1"


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("uplinks.city.window", "0", "--set uplinks.city.window: must be 2 or more, not 0"),
        ("uplinks.city.urk", "x", "--set uplinks.city.urk: is not a known key; did you mean 'url'?"),
        ("uplinks..url", "x", "--set uplinks..url: is not a key such as 'uplinks.city.url'"),
        ("", "x", "--set : is not a key such as 'uplinks.city.url'"),
        ("a = 1\nb", "x", "--set a = 1\\nb: is not a key such as 'uplinks.city.url'"),
    ],
)
def test_what_is_wrong_with_an_override_is_said_of_the_override(key, value, said):
    assert problems(SMALL, **{key: value}) == [said]


def test_an_override_cannot_go_below_what_is_no_table():
    (said,) = problems(SMALL, **{"gateway.id.x": "1"})
    assert said.startswith("--set gateway.id.x: there is no place for 'x'")


def test_with_overrides_an_empty_text_can_be_whole():
    assert load("", overrides={"gateway.id": "a", "uplinks.x.url": "mqtt://h"}).gateway.id == "a"
