"""The recordings are in recordings/winsen.txt; here is what makes an answer dust or gas when nobody said which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import Fault, FaultKind
from drivers.devices.winsen import DRIVER, Settings, prompt, recognise
from tests.drivers.feeding import decode, faults, values


def frame(*data):
    return bytes((0xFF, *data, -sum(data) & 0xFF))


def decoder(**settings):
    return lambda: DRIVER.make(Settings(**settings))


@given(st.lists(st.integers(min_value=0, max_value=1000), min_size=3, max_size=3).map(sorted))
def test_pm1_is_least_and_pm10_most_in_any_dust(masses):
    pm1, pm2_5, pm10 = masses
    assert recognise(pm2_5, pm10, pm1) == "dust"


@given(st.integers(min_value=1, max_value=5000), st.floats(min_value=30.03 / 24.5, max_value=30.03 / 22.4))
def test_formaldehyde_is_a_third_more_in_micrograms_than_in_ppb(ppb, micrograms_per_ppb):
    assert recognise(int(ppb * micrograms_per_ppb), 0, ppb) == "hcho"


@pytest.mark.parametrize("words", [(60, 0, 28), (37, 0, 0), (636, 0x4200, 0), (5, 0, 20)])
def test_what_is_neither_is_not_guessed(words):
    assert recognise(*words) == ""


def test_what_is_set_is_believed_whatever_the_numbers():
    answer = frame(0x86, 0, 37, 0, 0, 0, 0)
    assert faults(decode(decoder(), answer)) == [(FaultKind.MALFORMED, 0)]
    assert values(decode(decoder(measures="co"), answer)) == {"co": 3700.0}
    assert values(decode(decoder(measures="no2", resolution=0.01), answer)) == {"no2": 370.0}


def test_a_gas_we_have_no_name_for_is_told_where_it_came():
    assert decode(decoder(), frame(0x04, 3, 1, 0, 5, 0x13, 0x88) + frame(0x31, 3, 1, 0, 5, 0, 100)) == [
        ("co", 500.0, None, 0.0),
        Fault(FaultKind.MALFORMED, 9, "gas 31"),
    ]


def test_nothing_is_sent_to_a_module_unless_it_is_said_how_often():
    assert prompt(Settings()) is None
    assert prompt(Settings(ask_every=5)).every == 5
