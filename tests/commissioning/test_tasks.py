"""Every driver has a task that its device can do."""

import json
from types import SimpleNamespace

import pytest

from agent import decoding
from agent.commissioning import tasks
from agent.commissioning.tasks import Kind
from agent.config.load import load
from agent.config.problems import ConfigError
from agent.sampler.pipeline import Latest
from drivers import registry, trials
from drivers.contract import Measurement

GATEWAY = """
[gateway]
id = "pkt-0001"
[uplinks.city]
url = "mqtt://127.0.0.1"
[devices.it]
"""


def made(name):
    """Return a driver with the settings that it has when none are given, or None if it cannot do without."""
    driver = registry.load(name)
    try:
        return driver, decoding.settings(driver, {})
    except ConfigError:
        return None


DRIVERS = {name: pair for name in registry.TABLE if (pair := made(name)) is not None}


@pytest.mark.parametrize("name", DRIVERS)
def test_what_a_driver_is_tried_by_is_among_its_quantities(name):
    driver, settings = DRIVERS[name]
    trial = driver.trial(settings) if driver.trial else trials.by_quantity(driver.quantities(settings))
    if trial is not None:
        assert trial.quantity in driver.quantities(settings)
        assert trial.text[0].isupper()
        assert not trial.text.endswith(".")
        assert 0 < trial.within <= 300


def task_of(text, *measured):
    """Return the task of a device of which some quantities have been measured."""
    device = load(GATEWAY + text).devices["it"]
    latest = {name: Latest(Measurement(name, 1.0), 0) for name in measured}
    return tasks.taken_up(json.loads(json.dumps(tasks.of(SimpleNamespace(device=device, latest=latest)))))


@pytest.mark.parametrize(
    ("text", "measured", "kind", "quantity"),
    [
        ('driver = "button"\npin = 4', [], Kind.MOVES, "pressed"),
        ('driver = "button"\npin = 4\nmeasures = "open"', [], Kind.MOVES, "open"),
        ('driver = "rain_gauge"\npin = 4', [], Kind.MOVES, "rain"),
        ('driver = "siren"\npin = 4', [], Kind.SWITCHES, "on"),
        ('driver = "a02yyuw"\nport = "/dev/ttyUSB0"', ["water_distance"], Kind.MOVES, "water_distance"),
        ('driver = "nmea"\nport = "/dev/ttyUSB0"', ["latitude", "satellites"], Kind.LIVES, ""),
        ('driver = "nmea"\nport = "/dev/ttyUSB0"', ["wind_speed", "wind_direction"], Kind.MOVES, "wind_speed"),
        ('driver = "nmea"\nport = "/dev/ttyUSB0"', [], Kind.LIVES, ""),
        ('driver = "ld2451"\nport = "/dev/ttyUSB0"', [], Kind.MOVES, "vehicle_speed"),
        ('driver = "host"', [], Kind.LIVES, ""),
    ],
)
def test_a_device_is_tried_by_what_it_says(text, measured, kind, quantity):
    task = task_of(text, *measured)
    assert (task.kind, task.quantity) == (kind, quantity)


def test_two_tips_of_the_rain_gauge_that_is_configured_are_wanted():
    assert task_of('driver = "rain_gauge"\npin = 4\nmm_per_tip = 0.5').by == 1.0


def test_what_is_plausible_is_said_in_the_values_before_calibration():
    text = 'driver = "a02yyuw"\nport = "/dev/ttyUSB0"\nwater_distance = { plausible = [0, 4], scale = -2, offset = 1 }'
    assert task_of(text).plausible == {"water_distance": (-1.5, 0.5)}


def test_a_slow_device_has_three_rounds():
    assert task_of('driver = "host"\nevery = "60 s"').within == 180.0
