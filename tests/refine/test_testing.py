"""While a device is being tested: everything is marked, and when it ends what is so is said anew, in earnest."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.config.model import AlarmRule, Rules
from agent.readings import Acknowledgement, AlarmEvent
from tests.refine.bench import SECOND, Bench, device

FLOOD = AlarmRule(name="flood", quantity="level", above=2.5, clear=2.3)


class TestBench(Bench):
    __test__ = False

    def testing(self, at, testing):
        return self._keep(self.refiner.set_testing(testing, at * SECOND))


def marks(bench):
    return [record.test for _, record in bench.records]


def test_what_a_tested_device_says_is_marked_and_what_it_says_before_and_after_is_not():
    bench = TestBench(device())
    bench.take(1, 3)
    bench.testing(2, True)
    bench.take(3, 4)
    bench.testing(4, False)
    bench.take(5, 5)
    assert marks(bench) == [False, True, False]


def test_an_alarm_raised_in_a_test_is_cleared_as_one_and_raised_in_earnest_with_the_next_value():
    bench = TestBench(device(alarms=[FLOOD]))
    bench.testing(1, True)
    assert bench.take(2, 3) == [3, "+flood"]
    assert bench.testing(3, False) == ["-flood"]
    assert bench.take(4, 3) == [3, "+flood"]
    assert [event.test for event in bench.events] == [True, True, False]
    assert len({event.id for event in bench.events}) == 2


def test_a_state_that_lasts_is_raised_in_earnest_at_once_when_the_test_ends():
    bench = TestBench(device("pressed", states=("pressed",), event=True))
    bench.testing(1, True)
    bench.take(2, True, "pressed")
    assert bench.testing(3, False) == ["-pressed", "+pressed"]
    assert [event.test for event in bench.events] == [True, True, False]


def test_an_alarm_that_stood_before_a_test_stays_in_earnest_to_its_end():
    bench = TestBench(device(alarms=[FLOOD]))
    bench.take(1, 3)
    bench.testing(2, True)
    assert bench.take(3, 1) == [1, "-flood"]
    assert [event.test for event in bench.events] == [False, False]
    assert [one.test for one in bench.readings] == [False, True]


def test_the_mark_of_an_alarm_survives_a_restart():
    bench = TestBench(device(alarms=[FLOOD]))
    bench.testing(1, True)
    bench.take(2, 3)
    bench.restart(3)
    bench.testing(3, True)
    assert bench.testing(4, False) == ["-flood"]
    assert [event.test for event in bench.events] == [True, True]


def test_a_device_that_falls_silent_in_a_test_is_reported_in_earnest_when_that_ends():
    bench = TestBench(device())
    bench.testing(1, True)
    bench.tick(60)
    bench.testing(61, False)
    bench.tick(62)
    assert [(event.raised, event.test) for event in bench.events] == [(True, True), (False, True), (True, False)]


def test_a_window_that_holds_anything_of_a_test_is_a_test():
    bench = TestBench(device(rules=Rules(window=10)))
    bench.take(1, 3)
    bench.testing(2, True)
    bench.take(3, 9)
    bench.testing(4, False)
    for at in (5, 12, 23):
        bench.take(at, 3)
    assert [(one.at // SECOND, one.test) for one in bench.readings if one.quantity == "level:mean"] == [
        (10, True),
        (20, False),
    ]


def test_after_a_test_the_first_value_goes_up_however_near_it_is_to_one_of_the_test():
    bench = TestBench(device(rules=Rules(deadband=1)))
    bench.testing(1, True)
    bench.take(2, 3)
    bench.testing(3, False)
    assert bench.take(4, 3) == [3]


def test_whoever_takes_note_of_an_alarm_is_recorded_under_its_id_while_it_stands():
    bench = TestBench(device(alarms=[FLOOD]))
    bench.take(1, 3)
    alarm = bench.events[0]
    ((_, record),) = bench.refiner.acknowledge(alarm.id, 2 * SECOND, "somchai")
    assert record == Acknowledgement("probe-1", "flood", 2 * SECOND, alarm.id, "somchai", "level")
    bench.take(3, 1)
    assert bench.refiner.acknowledge(alarm.id, 4 * SECOND, "somchai") == []


@given(st.lists(st.booleans() | st.sampled_from([1.0, 3.0]), max_size=30))
def test_whatever_happens_an_alarm_ends_as_it_began_and_a_test_leaves_none_behind(history):
    bench = TestBench(device(alarms=[FLOOD]))
    testing = False
    for at, what in enumerate(history, 1):
        if isinstance(what, bool):
            bench.testing(at, what)
            testing = what
        else:
            bench.take(at, what)
    standing: dict[str, AlarmEvent] = {}
    for event in bench.events:
        if event.raised:
            standing[event.id] = event
        else:
            assert standing.pop(event.id).test == event.test
    assert testing or not any(event.test for event in standing.values())
