from agent.config.model import AlarmRule, Rules
from drivers.contract import Reason
from tests.refine.bench import Bench, device

STUCK = Reason.STUCK
RULES = Rules(stuck_after=100)


def run(bench, start, stop, value, step=10):
    """Measure the same value every few seconds and return all that came of it."""
    return [said for at in range(start, stop, step) for said in bench.take(at, value)]


def test_a_value_that_stays_the_same_for_too_long_is_no_value():
    bench = Bench(device(rules=RULES))
    assert run(bench, 0, 100, 7.5) == [7.5] * 10
    assert bench.take(100, 7.5) == [STUCK, "+stuck"]
    assert bench.take(110, 7.5) == [STUCK]
    assert bench.take(120, 7.4) == [7.4, "-stuck"]
    raised, cleared = bench.events
    assert raised.id == cleared.id
    assert (raised.quantity, raised.value, cleared.value) == ("level", 7.5, 7.4)


def test_a_value_that_changes_is_not_stuck():
    bench = Bench(device(rules=RULES))
    run(bench, 0, 90, 1)
    run(bench, 90, 100, 2)
    assert run(bench, 100, 190, 1) == [1] * 9


def test_a_missing_value_is_no_change():
    bench = Bench(device(rules=RULES))
    run(bench, 0, 90, 1)
    bench.take(95, Reason.NO_ECHO)
    assert bench.take(100, 1) == [STUCK, "+stuck"]
    assert bench.take(110, Reason.NO_ECHO) == [Reason.NO_ECHO]
    assert bench.take(120, 1) == [STUCK]


def test_the_state_of_an_event_device_is_never_stuck():
    bench = Bench(device("level", event=True, rules=RULES))
    assert run(bench, 0, 300, 1) == [1] * 30


def test_a_stuck_value_does_not_clear_an_alarm():
    bench = Bench(device(rules=RULES, alarms=[AlarmRule(name="flood", quantity="level", above=5)]))
    run(bench, 0, 200, 6)
    assert [event.alarm for event in bench.events] == ["flood", "stuck"]


def test_a_stuck_device_stays_stuck_through_a_restart_until_it_changes():
    bench = Bench(device(rules=RULES))
    run(bench, 0, 110, 7.5)
    bench.restart(5, boot="b2")
    assert bench.take(6, 7.5) == [STUCK]
    assert bench.take(7, 8) == [8, "-stuck"]


def test_the_count_begins_anew_after_a_silence():
    bench = Bench(device(rules=RULES))
    run(bench, 0, 90, 1)
    bench.tick(140)
    assert run(bench, 150, 250, 1) == ["-silent", *[1] * 10]


def test_a_silence_does_not_free_a_stuck_value():
    bench = Bench(device(rules=RULES))
    run(bench, 0, 110, 1)
    bench.tick(200)
    assert bench.take(201, 1) == ["-silent", STUCK]


def test_an_alarm_of_a_check_that_was_switched_off_is_cleared():
    bench = Bench(device(rules=RULES))
    run(bench, 0, 110, 1)
    bench.restart(120, config=device())
    assert bench.take(121, 1) == ["-stuck", 1]
