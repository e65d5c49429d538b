from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.backoff import HELD, LONGEST_CEILING, OF_MANY, Backoff
from tests.uplink.outbox import Dice


class Highest(Dice):
    """The longest wait each time."""

    def uniform(self, low: float, high: float) -> float:
        assert low == 0.0
        return high


def test_the_ceiling_doubles_up_to_a_minute():
    backoff = Backoff(Highest())
    assert [backoff.failed() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]


def test_where_many_share_what_failed_even_the_first_wait_is_long():
    backoff = Backoff(Highest(), shortest=OF_MANY)
    assert [backoff.failed() for _ in range(5)] == [5, 10, 20, 40, 60]
    assert backoff.failed(HELD) == OF_MANY


def test_a_connection_must_hold_before_it_counts_as_good():
    backoff = Backoff(Highest())
    assert [backoff.failed(held) for held in (0, 0, HELD - 1, HELD, 0)] == [1, 2, 4, 1, 2]


@given(held=st.lists(st.floats(0, 100)), seed=st.integers())
def test_any_wait_is_below_the_ceiling(held: list[float], seed: int):
    backoff = Backoff(Dice(seed))
    assert all(0 <= backoff.failed(seconds) <= LONGEST_CEILING for seconds in held)
