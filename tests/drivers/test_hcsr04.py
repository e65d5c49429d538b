import pytest

from drivers.contract import Measurement, Reason
from drivers.devices.hcsr04 import DRIVER, Settings


def told(echo, **settings):
    (item,) = DRIVER.make(Settings(trigger=23, echo=24, **settings)).take(echo)
    return item


def test_the_distance_is_half_of_what_sound_goes_meanwhile():
    assert told(0.01, temperature=20) == Measurement("water_distance", 1.717)
    assert told(0.01, temperature=40) == Measurement("water_distance", 1.778)


def test_a_known_height_makes_a_level_of_it():
    assert told(0.01, temperature=20, mount_height=3.0) == Measurement("water_level", 1.283)


@pytest.mark.parametrize(
    ("echo", "reason"),
    [(0.038, Reason.NO_ECHO), (0.0001, Reason.OUT_OF_RANGE), (Reason.NO_REPLY, Reason.NO_REPLY)],
)
def test_nothing_too_near_or_no_answer_is_no_number(echo, reason):
    assert told(echo) == Measurement("water_distance", None, reason)
