import json

import pytest

from agent.config.schema import schema
from drivers import registry
from drivers.quantities import QUANTITIES
from tests.cli.roadside import roadside


def test_every_driver_is_listed_with_what_it_measures():
    result = roadside("drivers")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines] == registry.names()
    (plantower,) = [line for line in lines if line.startswith("plantower")]
    assert plantower.endswith("pm1, pm2_5, pm10")


@pytest.mark.parametrize("name", registry.names())
def test_each_driver_tells_its_settings_in_both_languages(name):
    driver = registry.load(name)
    for locale in ("C.UTF-8", "th_TH.UTF-8"):
        result = roadside("drivers", name, locale=locale)
        assert (result.returncode, result.stderr) == (0, "")
        for setting in driver.settings.__dataclass_fields__:
            assert f"\n  {setting} " in result.stdout


def test_a_driver_tells_type_limits_default_unit_and_help():
    text = roadside("drivers", "rain_gauge").stdout
    assert "Connection    GPIO input\n" in text
    assert "Silent after  900 s without a value\n" in text
    assert "  pin         0 to 27         required  GPIO number (BCM)" in text
    assert "  mm_per_tip  0 to 10 mm      0.2 mm    Rain of one tip" in text
    assert "  pull        up, down, none  up        Resistor" in text
    assert f"  rain  mm  {QUANTITIES['rain'].title}\n" in text


def test_a_serial_driver_tells_its_line():
    assert "serial, 2400 8N1, asked every 10 s; may share its port" in roadside("drivers", "sdm120").stdout


def test_an_unknown_driver_is_answered_with_the_nearest():
    result = roadside("drivers", "nema")
    assert result.returncode == 78
    assert "'nmea'" in result.stderr


def test_the_schema_is_printed_whole():
    result = roadside("schema")
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout) == schema()
