"""What counts as moved, switched and alive."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.commissioning.judging import Judge
from agent.commissioning.tasks import Kind, Task

LEVEL = Task(device="level-1", title="", driver="a02yyuw", kind=Kind.MOVES, quantity="water_level", by=0.2, within=60.0)
BUTTON = dataclasses.replace(LEVEL, quantity="pressed", by=0.0)
SIREN = dataclasses.replace(LEVEL, kind=Kind.SWITCHES, quantity="on", by=0.0)
METER = dataclasses.replace(LEVEL, kind=Kind.LIVES, quantity="", by=0.0)


def judged(task, *values, quantity=None):
    judge = Judge(task)
    for value in values:
        judge.take({"quantity": quantity or task.quantity, "value": value, "unit": "m", "reason": None})
    return judge


@pytest.mark.parametrize(
    ("values", "passed"),
    [((), False), ((1.0,), False), ((1.0, 1.1), False), ((1.0, 1.1, 0.9), True), ((1.0, 1.2), True)],
)
def test_a_number_has_to_move_far_enough_either_way(values, passed):
    assert judged(LEVEL, *values).passed is passed


def test_what_was_before_counts_and_is_not_enough_alone():
    before = dataclasses.replace(LEVEL, before={"water_level": 2.0})
    assert not Judge(before).passed
    assert judged(before, 1.0).passed


def test_a_total_of_decimal_fractions_is_not_failed_by_the_last_digit():
    assert judged(dataclasses.replace(LEVEL, by=0.6), 0.1 + 0.2, 0.3 + 0.6).passed


def test_a_report_without_a_tip_is_no_rain_but_any_vehicle_is_a_vehicle():
    rain = dataclasses.replace(LEVEL, quantity="rain", by=0.4, before={"rain": 7.2})
    assert not judged(rain, 7.2, 7.2).passed
    assert judged(dataclasses.replace(LEVEL, quantity="vehicle_speed", by=0.0), 13.9).passed


def test_a_state_has_to_change():
    closed = dataclasses.replace(BUTTON, before={"pressed": False})
    assert not judged(closed, False).passed
    assert judged(closed, True).passed
    assert not judged(dataclasses.replace(BUTTON, before={"pressed": True}), True).passed
    assert not judged(BUTTON, True).passed


def test_an_output_has_to_be_on_and_off_again():
    off = dataclasses.replace(SIREN, before={"on": False})
    assert [judged(off, *values).passed for values in ((), (True,), (True, False), (False,))] == [
        *(False, False, True, False)
    ]


def test_a_value_that_comes_once_may_be_the_last_word_of_a_device_that_died():
    assert not judged(METER, 230.0, quantity="voltage").passed
    assert judged(METER, 230.0, 231.0, quantity="voltage").passed


def test_what_the_configuration_calls_impossible_never_passes():
    judge = judged(dataclasses.replace(METER, plausible={"voltage": (200.0, 250.0)}), 10.0, 230.0, quantity="voltage")
    assert (judge.passed, judge.implausible) == (False, ["voltage"])


def test_a_reason_stands_until_a_value_comes_and_faults_are_counted():
    judge = Judge(LEVEL)
    judge.take({"quantity": "water_level", "value": None, "unit": "m", "reason": "no_echo"})
    judge.take({"fault": "checksum", "detail": ""})
    judge.take({"hex": "ff"})
    assert (judge.reasons, judge.faults, judge.passed) == ({"water_level": "no_echo"}, 1, False)
    judge.take({"quantity": "water_level", "value": 1.0, "unit": "m", "reason": None})
    assert judge.reasons == {}


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)


@given(st.lists(st.tuples(st.sampled_from(["water_level", "pressed", "on"]), VALUES)))
def test_whatever_comes_is_judged_and_told(entries):
    for task in (LEVEL, BUTTON, SIREN, METER):
        judge = Judge(task)
        for quantity, value in entries:
            judge.take({"quantity": quantity, "value": value, "unit": "", "reason": None})
            assert judge.passed in {True, False}
            assert judge.moved >= 0
        assert set(judge.arrived) == {quantity for quantity, value in entries if value is not None}
        assert all(arrived.plain()["count"] > 0 for arrived in judge.arrived.values())
