"""The simulation finds bugs: each of these is planted in a process of its own, and must be found."""

import pytest

from tests.simulation.bugs import BUGS, SEEDS, look_for


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name):
    assert look_for(name), f"not found with {SEEDS} seeds"
