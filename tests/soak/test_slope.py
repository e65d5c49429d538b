"""The slope finds a leak that is there, finds none where there is none, and is not led astray by outages."""

import random
from math import isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.soak.slope import growth, rises, theil_sen

MIB = 1 << 20
HOURS = [hour / 2 for hour in range(8, 49)]  # what is left of a day after its warm-up


def memory(hour: float, *, leak: float = 0.0, chance: random.Random) -> float:
    """Return a process of 32 MiB that breathes by 0.4 %, and leaks so many bytes an hour."""
    return 32 * MIB * chance.uniform(0.998, 1.002) + leak * hour


@settings(max_examples=50, deadline=None)  # of 820 pairs of points each
@given(st.integers(0, 1 << 32))
def test_memory_that_breathes_does_not_grow(seed):
    chance = random.Random(seed)
    assert abs(growth([(hour, memory(hour, chance=chance)) for hour in HOURS], 24.0)) < 0.005


@settings(max_examples=50, deadline=None)  # of 820 pairs of points each
@given(st.integers(0, 1 << 32), st.floats(0.02, 1.0))
def test_a_leak_is_found_however_the_memory_breathes(seed, share):
    chance = random.Random(seed)
    leak = 32 * MIB * share / 24
    assert growth([(hour, memory(hour, leak=leak, chance=chance)) for hour in HOURS], 24.0) > 0.01


@given(st.floats(-1e6, 1e6), st.floats(-1e3, 1e3))
def test_the_slope_of_a_line_is_its_slope(start, slope):
    found = theil_sen([(x, start + slope * x) for x in range(20)])
    assert isclose(found, slope, rel_tol=1e-6, abs_tol=1e-6)


def test_outages_in_which_memory_swells_do_not_tilt_the_line():
    chance = random.Random(1)
    points = [
        (hour, memory(hour, chance=chance) + (16 * MIB if 19 <= hour < 21 or 8 <= hour < 10 else 0)) for hour in HOURS
    ]
    assert abs(growth(points, 24.0)) < 0.01


@pytest.mark.parametrize("points", [[], [(1.0, 2.0)], [(1.0, 2.0), (1.0, 3.0)]])
def test_no_line_goes_through_less_than_two_instants(points):
    with pytest.raises(ValueError, match="no slope"):
        theil_sen(points)


def test_a_quarter_at_either_end_is_compared():
    assert rises([1, 1, 9, 2, 3, 3, 4, 4]) == {"first quarter": 1, "last quarter": 4, "most": 9}
