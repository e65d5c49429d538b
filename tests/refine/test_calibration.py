import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.model import Rules
from agent.refine.calibration import Calibration
from drivers.contract import Reason


@pytest.mark.parametrize(
    ("value", "scale", "offset", "right"),
    [
        (2.3, 1, 0.2, 2.5),  # 2.5000000000000004 in binary fractions
        (1.1, 3, 0, 3.3),  # 3.3000000000000003
        (100000.1, 1, -100000, 0.1),  # 0.10000000000582077
        (7, 0.001, 0, 0.007),
        (98.2947123, 1, 0, 98.2947123),
        (-4, 2, 1, -7),
    ],
)
def test_a_calibrated_value_looks_as_if_reckoned_on_paper(value, scale, offset, right):
    assert Calibration(Rules(scale=scale, offset=offset)).apply(value, None) == (right, None)


def test_an_uncalibrated_value_stays_what_it_was():
    value, _ = Calibration(Rules()).apply(12, None)
    assert isinstance(value, int)


@pytest.mark.parametrize("value", [True, False, "auto"])
def test_states_and_texts_are_not_calibrated_nor_judged(value):
    assert Calibration(Rules(scale=2, plausible=(10, 20))).apply(value, None) == (value, None)


def test_a_value_outside_the_plausible_range_is_none_and_says_so():
    calibration = Calibration(Rules(offset=1, plausible=(0, 5)))
    assert calibration.apply(-1, None) == (0, None)
    assert calibration.apply(4, None) == (5, None)
    assert calibration.apply(4.1, None) == (None, Reason.OUT_OF_RANGE)
    assert calibration.apply(-1.1, None) == (None, Reason.OUT_OF_RANGE)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, 1e308])
def test_a_number_that_json_cannot_carry_is_invalid(value):
    assert Calibration(Rules(scale=100)).apply(value, None) == (None, Reason.INVALID)


def test_a_measurement_without_value_keeps_its_reason():
    assert Calibration(Rules(scale=2)).apply(None, Reason.NO_ECHO) == (None, Reason.NO_ECHO)


FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(FINITE, FINITE.filter(bool), FINITE)
def test_reckoning_in_decimal_is_no_further_off_than_in_binary(value, scale, offset):
    calibrated, _ = Calibration(Rules(scale=scale, offset=offset)).apply(value, None)
    assert calibrated == pytest.approx(value * scale + offset, rel=1e-9, abs=abs(offset) * 1e-9)
