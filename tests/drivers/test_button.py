from datetime import date

import pytest

from drivers.contract import Measurement
from drivers.devices.button import DRIVER, Settings
from tests.drivers.feeding import lived


def button(**settings):
    return DRIVER.make(Settings(pin=27, **settings))


def states(trace, until):
    return [(at, item.value) for at, item in lived(button(), trace, until)]


def test_the_first_state_is_told():
    assert states("0:1", until=10) == [(0.03, False)]
    assert states("0:0", until=10) == [(0.03, True)]


def test_each_change_is_told_and_dated_to_its_beginning():
    came = lived(button(), "0:1 1000:0 1004:1 1008:0 2000:1", until=10)
    assert [(at, item.value, round(at - item.age, 4)) for at, item in came] == [
        (0.03, False, 0.0),
        (1.038, True, 1.008),
        (2.03, False, 2.0),
    ]


def test_a_touch_shorter_than_the_hold_time_is_nothing():
    assert states("0:1 1000:0 1020:1", until=10) == [(0.03, False)]


def test_the_state_is_told_again_and_again():
    came = lived(button(report=60), "0:1 30000:0", until=100)
    assert came[1:] == [
        (30.03, Measurement("pressed", value=True, age=came[1][1].age)),
        (90.03, Measurement("pressed", value=True)),
    ]


@pytest.mark.parametrize("measures", ["pressed", "open", "tampered", "mains_failed"])
def test_what_it_measures_is_an_alarm_in_itself(measures):
    assert DRIVER.quantities(Settings(pin=27, measures=measures)) == {measures: ""}
    assert [item.quantity for _, item in lived(button(measures=measures), "0:0", until=10)] == [measures]
    assert measures in DRIVER.alarms
    assert DRIVER.event


def test_the_day_of_its_last_test_makes_a_reminder_of_the_next():
    settings = Settings(pin=27, measures="open", tested_on=date(2026, 5, 1))
    assert DRIVER.quantities(settings) == {"open": "", "test_due": ""}
    assert DRIVER.tested_on(settings) == date(2026, 5, 1)
