from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import Measurement, Reason
from drivers.totals import Total, WithTotal


def totals(counters, memory=None):
    total = Total(2)
    total.recall(memory or {})
    return [total.add(counter) for counter in counters]


def test_a_total_is_one_message_behind():
    assert totals([1.0, 1.2, 1.5]) == [None, 1.0, 1.2]


def test_a_total_goes_on_when_the_counter_starts_anew():
    assert totals([1.0, 1.0, 0.0, 0.2, 0.2]) == [None, 1.0, 1.0, 1.0, 1.2]


def test_a_damaged_number_moves_nothing():
    assert totals([1.0, 1.0, 9.0, 1.0, 1.0]) == [None, 1.0, 1.0, 1.0, 1.0]
    assert totals([1.0, 1.0, 0.1, 1.0, 1.0]) == [None, 1.0, 1.0, 1.0, 1.0]


def test_a_damaged_number_at_the_start_moves_nothing():
    assert totals([8.0, 0.1, 0.2]) == [None, 0.1, 0.1]


def test_after_a_restart_what_was_counted_meanwhile_is_added():
    total = Total(2)
    total.add(1.0)
    total.add(1.0)
    assert totals([1.5, 1.5], total.memory()) == [1.0, 1.5]


def test_after_a_restart_a_counter_that_was_reset_meanwhile_is_added_whole():
    assert totals([0.4, 0.4], {"total": 3.0, "counted": 1.0}) == [3.0, 3.4]


@given(st.lists(st.integers(0, 50), min_size=2))
def test_a_total_of_a_counter_that_only_grows_is_the_counter(steps):
    counters = [float(sum(steps[: index + 1])) for index in range(len(steps))]
    assert totals(counters) == [None, *counters[:-1]]


class Echo:
    """Says what it is fed as numbers."""

    def feed(self, data):
        return [Measurement("rain", float(data)), Measurement("wind_speed", 1.0)]

    def end(self):
        return []


def test_other_quantities_are_left_alone():
    decoder = WithTotal(Echo(), "rain", 2)
    assert decoder.feed(b"1.5", 0.0) == [
        Measurement("rain", None, Reason.WARMING_UP),
        Measurement("wind_speed", 1.0),
    ]
    assert decoder.feed(b"1.5", 1.0)[0] == Measurement("rain", 1.5)
