import json
import re

import pytest

from agent import i18n
from agent.cli import command_line
from agent.config.load import load
from agent.config.schema import schema
from drivers import registry
from drivers.quantities import QUANTITIES
from tests.cli.roadside import roadside
from tests.config.test_load import SMALL


def test_every_driver_is_listed_with_what_it_measures():
    result = roadside("drivers")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == registry.names()
    (plantower,) = [line for line in lines if line.startswith("plantower")]
    assert "  pm1, pm2_5, pm10, " in plantower


@pytest.fixture(params=["en", "th"])
def told(request, capsys):
    """What is told of a driver in a language, in this process: a new one for each would take minutes."""

    def tell(name):
        with i18n.speaking(request.param):
            assert command_line().main(["drivers", name], standalone_mode=False) == 0
        return capsys.readouterr().out

    return tell


@pytest.mark.parametrize("name", registry.names())
def test_each_driver_tells_its_settings_in_both_languages(name, told):
    text = told(name)
    for setting in registry.load(name).settings.__dataclass_fields__:
        assert f"\n  {setting} " in text


@pytest.mark.parametrize("locale", ["C.UTF-8", "th_TH.UTF-8"])
def test_the_language_is_that_of_the_locale(locale):
    result = roadside("drivers", "plantower", locale=locale)
    assert (result.returncode, result.stderr) == (0, "")
    assert ("Settings" in result.stdout) == (locale == "C.UTF-8")


def test_a_driver_tells_type_limits_default_unit_and_help():
    text = roadside("drivers", "rain_gauge").stdout
    assert "Connection    GPIO input\n" in text
    assert "Silent after  900 s without a value\n" in text
    assert "  pin         0 to 27         required  GPIO number (BCM)" in text
    assert "  mm_per_tip  0 to 10 mm      0.2 mm    Rain of one tip" in text
    assert "  pull        up, down, none  up        Resistor" in text
    assert f"  rain       mm    {QUANTITIES['rain'].title}\n" in text


def test_a_serial_driver_tells_its_line():
    assert "serial, 2400 8N1, asked every 10 s; may share its port" in roadside("drivers", "sdm120").stdout


def test_a_driver_tells_what_every_such_device_has_beside_its_own_settings():
    meter, siren = roadside("drivers", "sdm120").stdout, roadside("drivers", "siren").stdout
    assert "  port          text or table   required  The serial port: a path, the name of a shared one" in meter
    assert "  every         0.1 to 86400 s  10 s      How often" in meter
    assert "  label         { en, th }      -         Name of the device, for people" in meter
    assert "  sounds_for    list           -      Of an output" in siren
    assert "\n  port" not in siren
    assert "sounds_for" not in meter
    assert "Rules of a quantity: [devices.sdm120-1.voltage]\n  offset       number    0      Added" in meter
    assert "Alarms: [[devices.sdm120-1.alarms]], one or more\n  name      text          required" in meter
    assert "stuck_after" in meter
    assert "stuck_after" not in siren


@pytest.mark.parametrize("name", registry.names())
def test_the_example_of_each_driver_can_be_put_into_a_configuration(name, told, tmp_path):
    text = told(name)
    example = text[text.rindex("\n[devices.") :]
    file = tmp_path / "gateway.toml"
    file.write_text(SMALL + example, "utf-8")
    assert list(load(file).devices) == [f"{name.replace('_', '-')}-1"]
    others = example.replace("\nport =", "\n# port =").replace("# port = {", "port = {")
    file.write_text(SMALL + others, "utf-8")
    assert list(load(file).devices) == [f"{name.replace('_', '-')}-1"]


def test_the_quantities_are_listed_with_their_units():
    result = roadside("drivers", "--quantities")
    assert result.returncode == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == list(QUANTITIES)
    assert re.search(r"\nrain +mm +Rain since the gauge was installed\n", result.stdout)


def test_a_model_is_answered_with_its_driver():
    assert roadside("drivers", "PMS5003").stderr == "'PMS5003' is not a driver; did you mean 'plantower'?\n"


def test_an_unknown_driver_is_answered_with_the_nearest():
    result = roadside("drivers", "nema")
    assert result.returncode == 78
    assert "'nmea'" in result.stderr


def test_the_schema_is_printed_whole():
    result = roadside("schema")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout) == schema()
