"""The simulation finds bugs: each of these is planted in a process of its own, and must be found."""

import pytest

from tests.simulation.bugs import BUGS, SEEDS, is_clean, look_for

ONE_OF_EACH_SIMULATION = {repr(bug.fit): name for name, bug in BUGS.items()}.values()  # some bugs share one


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name):
    assert look_for(name), f"not found with {SEEDS} seeds"


@pytest.mark.parametrize("name", ONE_OF_EACH_SIMULATION)
def test_nothing_fails_where_nothing_is_planted(name):
    for seed in range(1000, 1003):
        assert is_clean(seed, BUGS[name].fit), f"seed {seed}, fitted for {name!r}"
