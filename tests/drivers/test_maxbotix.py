import pytest

from drivers.contract import FaultKind, Reason
from drivers.devices.maxbotix import DRIVER, Settings
from tests.drivers.feeding import decode, faults, measurements, values

BANNER = b"HRXL-MaxSonar-WRMT\rPN:MB7389\rCopyright 2011-2013\rMaxBotix Inc.\rRoHS 1.8b090  0713\rTempI\r"


def decoder(**settings):
    return lambda: DRIVER.make(Settings(**settings))


def line(*millimetres):
    return b"".join(b"R%04d\r" % one for one in millimetres)


def read(model, *millimetres):
    items = decode(decoder(model=model), line(*millimetres))
    assert faults(items) == []
    return [item.reason or item.value for item in measurements(items)]


def test_a_line_is_a_distance_or_with_the_height_of_the_sensor_a_level():
    assert values(decode(decoder(), line(1739))) == {"water_distance": 1.739}
    assert values(decode(decoder(mount_height=5.0), line(1739))) == {"water_level": 3.261}


def test_what_it_says_of_itself_at_power_up_is_no_fault():
    items = decode(decoder(), BANNER + line(1739))
    assert faults(items) == []
    assert values(items) == {"water_distance": 1.739}


@pytest.mark.parametrize("missed", range(1, len(BANNER)))
def test_nor_is_it_if_its_beginning_was_missed(missed):
    items = decode(decoder(), BANNER[missed:] + line(1739))
    assert len(faults(items)) <= 1  # a few characters that are left of a line can be anything
    assert values(items) == {"water_distance": 1.739}


def test_told_the_model_each_value_means_what_it_means_there():
    assert read("5 m", 300, 301, 500, 4999, 5000) == [Reason.OUT_OF_RANGE, 0.301, 0.5, 4.999, Reason.NO_ECHO]
    assert read("10 m", 500, 501, 5000, 9998, 9999) == [Reason.OUT_OF_RANGE, 0.501, 5.0, 9.998, Reason.NO_ECHO]


def test_untold_it_takes_what_has_a_meaning_for_either_model_for_that():
    assert read("auto", 300) == [Reason.OUT_OF_RANGE]
    assert read("auto", 500) == [Reason.OUT_OF_RANGE]
    assert read("auto", 5000) == [Reason.NO_ECHO]
    assert read("auto", 9999) == [Reason.NO_ECHO]


def test_untold_it_finds_out_and_changes_its_mind_when_a_line_tells_otherwise():
    assert read("auto", 7000, 5000, 500) == [7.0, 5.0, Reason.OUT_OF_RANGE]
    assert read("auto", 9999, 5000) == [Reason.NO_ECHO, 5.0]
    assert read("auto", 412, 500, 5000) == [0.412, 0.5, Reason.NO_ECHO]
    assert read("auto", 412, 7000, 5000) == [0.412, 7.0, 5.0]


def test_what_is_nearer_than_it_can_measure_is_never_a_number():
    assert read("auto", 0, 299) == [Reason.OUT_OF_RANGE] * 2
    assert read("10 m", 0, 499) == [Reason.OUT_OF_RANGE] * 2


@pytest.mark.parametrize("damaged", [b"R17?4\r", b"R174\r", b"R17394\r", b"1739\r", b"R\r", b"r1739\r"])
def test_a_damaged_line_is_a_fault_and_the_next_is_read(damaged):
    items = decode(decoder(), damaged + line(1734))
    assert len(faults(items)) == 1
    assert values(items) == {"water_distance": 1.734}


def test_a_line_of_the_wrong_polarity_is_asked_about():
    items = decoder()().feed(bytes((43, 192, 6, 6, 179, 89, 30, 0)) * 100)
    assert {kind for kind, _ in faults(items)} == {FaultKind.GARBAGE}
    assert len(items) < 10
    assert all("inverted" in item.detail for item in items)
