import pytest

from agent.config.model import AlarmRule, Rules
from agent.readings import AlarmEvent, Reading, Stream
from drivers.contract import Reason
from tests.refine.bench import SECOND, Bench, device

FLOOD = AlarmRule(name="flood", quantity="level", above=2.5, clear=2.3)
DRY = AlarmRule(name="dry", quantity="level", below=0.5, clear=0.7)


def test_an_alarm_is_raised_above_its_limit_and_cleared_at_its_clearing_value():
    bench = Bench(device(alarms=[FLOOD]))
    assert bench.take(1, 2.5) == [2.5]
    assert bench.take(2, 2.6) == [2.6, "+flood"]
    assert bench.take(3, 2.4) == [2.4]
    assert bench.take(4, 2.9) == [2.9]
    assert bench.take(5, 2.3) == [2.3, "-flood"]
    raised, cleared = bench.events
    assert raised == AlarmEvent("probe-1", "flood", 2 * SECOND, raised.id, True, "level", 2.6)
    assert cleared == AlarmEvent("probe-1", "flood", 5 * SECOND, raised.id, False, "level", 2.3)


def test_an_alarm_is_raised_below_its_limit():
    bench = Bench(device(alarms=[DRY]))
    said = [bench.take(at, value) for at, value in enumerate((0.5, 0.4, 0.6, 0.7))]
    assert said == [[0.5], [0.4, "+dry"], [0.6], [0.7, "-dry"]]


def test_an_alarm_without_clearing_value_is_cleared_at_its_limit():
    bench = Bench(device(alarms=[AlarmRule(name="flood", quantity="level", above=2.5)]))
    said = [bench.take(at, value) for at, value in enumerate((2.6, 2.5, 2.6))]
    assert said == [[2.6, "+flood"], [2.5, "-flood"], [2.6, "+flood"]]


def test_two_alarms_in_a_row_have_different_ids():
    bench = Bench(device(alarms=[FLOOD]))
    for at, value in enumerate((3, 2, 3, 2)):
        bench.take(at, value)
    first, _, second, _ = (event.id for event in bench.events)
    assert first != second


@pytest.mark.parametrize("nothing", [Reason.NO_ECHO, Reason.NO_REPLY, float("nan"), "wet", True])
def test_a_missing_value_neither_raises_nor_clears(nothing):
    bench = Bench(device(alarms=[FLOOD, DRY]))
    bench.take(1, nothing)
    bench.take(2, 3)
    bench.take(3, nothing)
    assert [event.alarm for event in bench.events] == ["flood"]


def test_an_implausible_value_does_not_clear_an_alarm():
    bench = Bench(device(alarms=[FLOOD], rules=Rules(plausible=(0, 10))))
    assert bench.take(1, 3) == [3, "+flood"]
    assert bench.take(2, -1) == [Reason.OUT_OF_RANGE]


def test_alarms_judge_the_calibrated_value():
    bench = Bench(device(alarms=[FLOOD], rules=Rules(scale=0.001)))
    assert bench.take(1, 2600) == [2.6, "+flood"]


def test_a_sampled_value_must_stay_beyond_the_limit_for_the_hold_time():
    bench = Bench(device(alarms=[AlarmRule(name="flood", quantity="level", above=2.5, hold=5)]))
    assert bench.take(0, 3) == [3]
    assert bench.take(3, 2) == [2]
    assert bench.take(4, 3) == [3]
    assert bench.take(8, Reason.NO_ECHO) == [Reason.NO_ECHO]
    assert bench.tick(9) == []  # nobody has seen the water since
    assert bench.take(9.5, 3.1) == [3.1, "+flood"]


def test_a_silence_begins_the_hold_time_anew():
    bench = Bench(device(alarms=[AlarmRule(name="flood", quantity="level", above=2.5, hold=5)]))
    bench.take(0, 3)
    bench.tick(60)
    assert bench.take(100, 3) == ["-silent", 3]
    assert bench.take(105, 3) == [3, "+flood"]


def test_a_state_that_lasts_raises_its_alarm_when_the_hold_time_ends_although_nothing_comes():
    rule = AlarmRule(name="door", quantity="open", equals=True, hold=2)
    bench = Bench(device("open", event=True, alarms=[rule]))
    bench.take(1, True, "open")
    assert bench.due() == 3
    assert bench.tick(2.9) == []
    assert bench.tick(3) == ["+door"]
    assert bench.events[0].value is True
    assert bench.take(4, False, "open") == [False, "-door"]


def test_a_state_that_ends_within_the_hold_time_raises_nothing():
    rule = AlarmRule(name="door", quantity="open", equals=True, hold=2)
    bench = Bench(device("open", event=True, alarms=[rule]))
    bench.take(1, True, "open")
    bench.take(2, False, "open")
    assert bench.tick(4) == []


def test_an_alarm_can_wait_for_a_state_to_be_false():
    bench = Bench(device("mains", alarms=[AlarmRule(name="outage", quantity="mains", equals=False)]))
    assert bench.take(1, False, "mains") == [False, "+outage"]
    assert bench.take(2, True, "mains") == [True, "-outage"]


def test_a_button_is_an_alarm_in_itself_and_wholly_in_the_alarm_stream():
    bench = Bench(device("pressed", states=("pressed",), event=True))
    assert bench.take(1, False, "pressed") == [False]
    assert bench.take(2.02, True, "pressed", age=0.02) == [True, "+pressed"]
    assert bench.take(3, True, "pressed") == [True]
    assert bench.take(4, False, "pressed") == [False, "-pressed"]
    assert {stream for stream, _ in bench.records} == {Stream.ALARM}
    assert bench.readings[1] == Reading("probe-1", "pressed", 2 * SECOND, True, None, "m")
    assert bench.events[0].at == 2 * SECOND


def test_a_rule_of_the_same_name_refines_what_the_driver_says_of_itself():
    rule = AlarmRule(name="pressed", quantity="pressed", equals=True, hold=3)
    bench = Bench(device("pressed", states=("pressed",), event=True, alarms=[rule]))
    assert bench.take(1, True, "pressed") == [True]
    assert bench.tick(4) == ["+pressed"]


def test_a_raised_alarm_keeps_its_id_through_restarts_and_boots():
    bench = Bench(device(alarms=[FLOOD]))
    bench.take(1, 3)
    bench.restart(2)
    assert bench.take(3, 3) == [3]
    bench.restart(1, boot="b2")
    assert bench.take(2, 2.4) == [2.4]
    assert bench.take(3, 2) == [2, "-flood"]
    raised, cleared = bench.events
    assert raised.id == cleared.id


def test_an_alarm_whose_rule_is_gone_is_cleared_at_the_next_start():
    bench = Bench(device(alarms=[FLOOD, DRY]))
    bench.take(1, 3)
    bench.restart(10, config=device(alarms=[DRY]))
    assert bench.due() == 10
    assert bench.tick(10) == ["-flood"]
    assert bench.tick(11) == []
    assert bench.events[0].id == bench.events[1].id


def test_a_memory_that_is_none_is_refused():
    for nonsense in ({}, {"boot": "b1"}, {**good_memory(), "warm": "soon"}, {**good_memory(), "alarms": [{}]}):
        with pytest.raises(ValueError, match="refiner"):
            Bench(device())._start(device(), 0, "b1", nonsense)


def good_memory():
    return Bench(device()).refiner.memory()


def test_several_raised_alarms_all_stand_after_a_restart():
    bench = Bench(device("level", "open", states=("open",), alarms=[FLOOD]))
    bench.take(1, 3)
    bench.take(1, True, "open")
    bench.restart(2)
    assert bench.tick(2) == []
