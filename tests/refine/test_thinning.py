import pytest

from agent.config.model import AlarmRule, Rules
from drivers.contract import Reason
from tests.refine.bench import SECOND, Bench, device

DEADBAND = Rules(deadband=0.5, heartbeat=30)
WINDOW = Rules(window=10)


def test_values_near_the_last_one_that_went_up_are_withheld():
    bench = Bench(device(rules=DEADBAND))
    said = [bench.take(at, value) for at, value in enumerate((2, 2.5, 1.5, 2.6, 3.1, 3.2))]
    assert said == [[2], [], [], [2.6], [], [3.2]]
    assert bench.withheld == [("level", "deadband", at) for at in (1, 2, 4)]


def test_a_steady_value_goes_up_once_a_heartbeat():
    bench = Bench(device(rules=DEADBAND))
    assert [at for at in range(0, 100, 5) if bench.take(at, 2)] == [0, 30, 60, 90]


def test_a_change_of_reason_goes_up_and_its_repeats_do_not():
    bench = Bench(device(rules=DEADBAND))
    taken = (2, Reason.NO_ECHO, Reason.NO_ECHO, Reason.INVALID, 2, 2)
    assert [bench.take(at, value) for at, value in enumerate(taken)] == [
        [2], [Reason.NO_ECHO], [], [Reason.INVALID], [2], [],
    ]  # fmt: skip


def test_what_raises_or_clears_an_alarm_goes_up():
    bench = Bench(device(rules=DEADBAND, alarms=[AlarmRule(name="flood", quantity="level", above=2.1, clear=2)]))
    said = [bench.take(at, value) for at, value in enumerate((2, 2.2, 2.3, 2, 2))]
    assert said == [[2], [2.2, "+flood"], [], [2, "-flood"], []]


def test_states_and_texts_within_a_deadband_go_up_when_they_change():
    bench = Bench(device(rules=DEADBAND))
    assert [bench.take(at, value) for at, value in enumerate((True, True, False, "auto", "auto"))] == [
        [True], [], [False], ["auto"], [],
    ]  # fmt: skip


def test_after_a_restart_the_first_value_goes_up():
    bench = Bench(device(rules=DEADBAND))
    bench.take(1, 2)
    bench.restart(2)
    assert bench.take(3, 2) == [2]


def test_a_window_yields_mean_lowest_and_highest_at_its_end():
    bench = Bench(device(rules=WINDOW))
    for at, value in ((10, 1), (14, 2), (19.9, 4)):
        assert bench.take(at, value) == []
    assert bench.due() == 20
    assert bench.tick(19.99) == []
    assert bench.tick(20.5) == [2.33333333, 1, 4]
    assert [(reading.quantity, reading.at, reading.unit, reading.partial) for reading in bench.readings] == [
        (quantity, 20 * SECOND, "m", False) for quantity in ("level:mean", "level:min", "level:max")
    ]
    assert bench.withheld == [("level", "window", at) for at in (10, 14, 19.9)]


def test_the_next_measurement_ends_a_window_too():
    bench = Bench(device(rules=WINDOW))
    bench.take(11, 1)
    assert bench.take(20, 5) == [1, 1, 1]
    assert bench.tick(30) == [5, 5, 5]


def test_a_window_without_measurements_yields_nothing():
    bench = Bench(device(rules=WINDOW))
    bench.take(11, 1)
    bench.tick(20)
    assert bench.due() == 71  # when it is silent
    assert bench.tick(70) == []


def test_the_first_window_after_a_start_is_partial():
    bench = Bench(device(rules=WINDOW), at=13)
    bench.take(14, 1)
    bench.tick(20)
    bench.take(21, 1)
    bench.tick(30)
    bench.restart(35)
    bench.take(36, 1)
    bench.tick(40)
    assert [reading.partial for reading in bench.readings[::3]] == [True, False, True]


def test_a_window_with_a_missing_value_is_partial_and_the_change_of_reason_goes_up_at_once():
    bench = Bench(device(rules=WINDOW))
    assert bench.take(10, 1) == []
    assert bench.take(11, Reason.NO_ECHO) == [Reason.NO_ECHO]
    assert bench.take(12, Reason.NO_ECHO) == []
    assert bench.take(13, 3) == [3]
    assert bench.tick(20) == [2, 1, 3]
    assert all(reading.partial for reading in bench.readings[-3:])


def test_a_window_with_nothing_but_missing_values_yields_the_reason():
    bench = Bench(device(rules=WINDOW))
    bench.take(10, Reason.NO_ECHO)
    assert bench.tick(20) == []  # it went up by itself
    bench.take(21, Reason.NO_ECHO)
    assert bench.tick(30) == [Reason.NO_ECHO]


def test_a_window_around_a_silence_or_a_warm_up_is_partial():
    bench = Bench(device(rules=WINDOW, silent_after=15, warm_up=12))
    bench.take(0, 1)
    bench.take(11, 1)
    for at in (12, 20):
        bench.take(at, 1)
    bench.tick(35)
    for at in (51, 62, 63, 70):
        bench.take(at, 1)
    bench.tick(80)
    means = [reading for reading in bench.readings if reading.quantity in {"level", "level:mean"}]
    assert [(mean.at // SECOND, mean.value, mean.partial) for mean in means] == [
        (20, 1, True), (30, 1, False), (35, None, False), (63, 1, False), (70, 1, True), (80, 1, False),
    ]  # fmt: skip


def test_what_raises_an_alarm_goes_up_and_is_in_the_mean():
    bench = Bench(device(rules=WINDOW, alarms=[AlarmRule(name="flood", quantity="level", above=2)]))
    bench.take(10, 1)
    assert bench.take(11, 3) == [3, "+flood"]
    assert bench.tick(20) == [2, 1, 3]


def test_states_and_texts_are_not_averaged():
    bench = Bench(device(rules=WINDOW))
    assert bench.take(10, True) == [True]
    assert bench.take(11, "auto") == ["auto"]
    assert bench.tick(20) == []


@pytest.mark.parametrize("values", [[1.7e308, 1.7e308], [0.1, 0.1, 0.1], [123456789012, 123456789013]])
def test_a_mean_never_leaves_the_values_it_is_made_of(values):
    bench = Bench(device(rules=WINDOW))
    for at, value in enumerate(values):
        bench.take(at, value)
    mean, low, high = bench.tick(10)
    assert low <= mean <= high
