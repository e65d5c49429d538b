"""The recordings are in recordings/plantower.txt; here is what they cannot say."""

import pytest

from drivers.contract import FaultKind, Reason
from drivers.devices.plantower import DRIVER, Settings
from tests.drivers.feeding import decode, faults, values

# Recorded from a PMS5003, PM2.5 and PM10 of 8 (avaldebe/PyPMS), and made up by the tests of the same project.
GOOD = bytes.fromhex("42 4D 00 1C 00 00 00 08 00 08 00 00 00 08 00 08 00 D2 00 46 00 2D 00 1E 00 00 00 00 97 00 02 C5")
DUSTY = bytes.fromhex("42 4D 00 1C 00 05 00 0D 00 16 00 05 00 0D 00 16 02 FD 00 FC 00 1D 00 0F 00 06 00 06 97 00 03 C5")
FALSE_LENGTH_GOOD_SUM = bytes.fromhex(
    "42 4D 00 00 00 05 00 0D 00 16 00 05 00 0D 00 16 02 FD 00 FC 00 1D 00 0F 00 06 00 06 97 00 03 A9"
)
# Recorded from a PMS5003T at 21.2 Cel, and a frame of 32 bytes that could be from any model.
WARM = bytes.fromhex("42 4D 00 1C 00 17 00 27 00 29 00 16 00 23 00 29 10 08 04 A9 01 16 00 0C 00 D4 00 E0 9A 00 04 AA")
ACKNOWLEDGEMENT = bytes.fromhex("42 4D 00 04 E1 00 01 74")  # of the command for passive mode


def decoder(model="auto"):
    return DRIVER.make(Settings(model=model))


def with_sum(body):
    return body + sum(body).to_bytes(2, "big")


def test_the_three_sizes_are_told_apart():
    assert list(values(decode(decoder, DUSTY)).items())[:3] == [("pm1", 5), ("pm2_5", 13), ("pm10", 22)]


def test_counts_in_a_tenth_of_a_litre_become_counts_in_a_cubic_centimetre():
    assert values(decode(decoder, GOOD))["n0_3"] == 2.1


def test_a_temperature_is_recognised_because_a_count_never_rises_with_the_size():
    assert values(decode(decoder, WARM))["temperature"] == 21.2
    assert "n5" not in values(decode(decoder, WARM))
    assert "temperature" not in values(decode(decoder, DUSTY))


@pytest.mark.parametrize(("model", "named"), [("pms5003", "n5"), ("pms5003t", "temperature"), ("pms5003s", "hcho")])
def test_a_model_that_is_set_is_believed(model, named):
    assert named in values(decode(lambda: decoder(model), WARM))


@pytest.mark.parametrize("model", ["auto", "pms3003", "pms5003", "pms5003s", "pms5003t", "pms5003st"])
def test_what_a_model_measures_is_announced(model):
    measured = values(decode(lambda: decoder(model), GOOD + WARM))
    if model not in {"pms3003", "pms5003st"}:  # these send frames of another length
        assert set(measured) <= set(DRIVER.quantities(Settings(model=model)))


def test_an_error_byte_takes_all_values_away_but_a_version_none():
    faulty = with_sum(GOOD[:-3] + b"\x01")
    assert set(values(decode(decoder, faulty)).values()) == {Reason.INVALID}
    newer = with_sum(GOOD[:-4] + b"\x98\x00")
    assert values(decode(decoder, newer)) == values(decode(decoder, GOOD))


def test_a_false_length_is_refused_although_the_sum_is_right():
    items = decode(decoder, FALSE_LENGTH_GOOD_SUM + GOOD)
    assert faults(items) == [(FaultKind.BAD_LENGTH, 0)]
    assert values(items)["pm10"] == 8


def test_what_follows_a_false_length_is_one_fault_with_it_but_endless_noise_is_told():
    false, noise = FALSE_LENGTH_GOOD_SUM[:4], b"\0"
    assert faults(decode(decoder, false + noise * 252 + GOOD)) == [(FaultKind.BAD_LENGTH, 0)]
    told = [(FaultKind.BAD_LENGTH, 0), (FaultKind.GARBAGE, 256)]
    assert faults(decode(decoder, false + noise * 253 + GOOD)) == told
    behind = false + GOOD + noise
    assert faults([*decode(decoder, behind + GOOD)]) == [(FaultKind.BAD_LENGTH, 0), (FaultKind.GARBAGE, 36)]


def test_an_acknowledgement_is_neither_values_nor_a_fault():
    assert decode(decoder, ACKNOWLEDGEMENT) == []
    assert values(decode(decoder, ACKNOWLEDGEMENT + DUSTY))["pm1"] == 5
