import pytest

from drivers.checksums import sum8
from drivers.contract import FaultKind, Reason
from drivers.devices.a02yyuw import DRIVER, Settings, quantities
from tests.drivers.feeding import decode, faults, fed, values

# Recorded from an A01NYUB (esphome/issues, 5182).
RECORDED = [("FF 03 9D 9F", 0.925), ("FF 03 92 94", 0.914)]
GOOD = bytes.fromhex("FF 03 9D 9F")
# Recorded from an AJ-SR04M, which sums without FF (ptvoinfo/zigbee-configurable-firmware, 274).
AJ_SR04M = bytes.fromhex("FF 00 DE DE")


def decoder(**settings):
    return lambda: DRIVER.make(Settings(**settings))


def frame(millimetres, sum="all"):  # noqa: A002 - as the setting is called
    body = b"\xff" + millimetres.to_bytes(2, "big")
    return body + bytes([sum8(body if sum == "all" else body[1:])])


@pytest.mark.parametrize(("recorded", "metres"), RECORDED)
def test_recorded_frames(recorded, metres):
    assert values(decode(decoder(), bytes.fromhex(recorded))) == {"water_distance": metres}


def test_with_the_height_of_the_sensor_it_is_a_level():
    settings = Settings(mount_height=5.0)
    assert values(DRIVER.make(settings).feed(GOOD)) == {"water_level": 4.075}
    assert quantities(settings) == {"water_level": "m"}


@pytest.mark.parametrize("millimetres", [0, 7501, 0xFFFD, 0xFFFE])
def test_nothing_or_beyond_the_range_is_no_echo(millimetres):
    assert values(decode(decoder(), frame(millimetres))) == {"water_distance": Reason.NO_ECHO}


def test_too_near_is_out_of_range():
    assert values(decode(decoder(), frame(29))) == {"water_distance": Reason.OUT_OF_RANGE}
    assert values(decode(decoder(nearest=0.28, farthest=7.5), frame(7500))) == {"water_distance": 7.5}


def test_another_kind_of_sum_is_not_accepted():
    items = decode(decoder(), AJ_SR04M)
    assert faults(items) == [(FaultKind.CHECKSUM, 0)]
    assert values(items) == {}


@pytest.mark.parametrize("missed", [1, 2, 3])
@pytest.mark.parametrize("summed", ["all", "data"])
def test_every_distance_is_read_in_step_again_after_bytes_were_lost(missed, summed):
    for millimetres in range(30, 7501, 1 if missed == 1 else 5):
        make = decoder(sum=summed)
        items = fed(make(), [(frame(millimetres, summed) * 4)[missed:]])
        assert values(items) == {"water_distance": millimetres / 1000}, millimetres


def test_a_line_that_only_says_ff_is_not_a_fault_a_byte():
    assert len(decode(decoder(), b"\xff" * 100)) <= 25


def test_a_range_without_inside_is_refused():
    with pytest.raises(ValueError, match="nearest"):
        Settings(nearest=5.0, farthest=4.5)


def test_the_sum_of_an_aj_sr04m_has_to_be_asked_for_and_then_is_the_only_one():
    make = decoder(sum="data")
    assert values(decode(make, AJ_SR04M)) == {"water_distance": 0.222}
    assert faults(decode(make, GOOD)) == [(FaultKind.CHECKSUM, 0)]


def test_a_trigger_is_sent_only_if_asked_for_and_its_echo_is_no_fault():
    assert DRIVER.prompt(Settings()) is None
    assert DRIVER.prompt(Settings(trigger=0.5)) == (b"\x55", 0.5, 0.0)
    items = decode(decoder(trigger=0.5), b"\x55" + GOOD + b"\x55\x55" + GOOD)
    assert faults(items) == []
