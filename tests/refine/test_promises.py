"""What holds for every device, whatever it says and however often the agent is killed in between."""

from hypothesis import given
from hypothesis import strategies as st

from agent.config.model import AlarmRule, Rules
from agent.refine.presence import UNHEARD
from drivers.contract import Reason
from tests.refine.bench import Bench, device

ABOVE, CLEAR = 2.5, 2.0
QUANTITIES = ("level", "open")
REASONS = st.sampled_from([Reason.NO_ECHO, Reason.NO_REPLY, Reason.INVALID])
VALUES = {
    "level": st.sampled_from([1.9, 2.0, 2.1, 2.4, 2.5, 2.6, 99.0, float("nan")]) | st.floats(0, 5) | REASONS,
    "open": st.booleans() | REASONS,
}
MEASURED = st.one_of(*(st.tuples(VALUES[name], st.just(name)) for name in QUANTITIES))
STEPS = st.tuples(
    st.tuples(st.just("take"), MEASURED) | st.tuples(st.sampled_from(["tick", "restart", "boot"]), st.none()),
    st.sampled_from([0, 0.5, 1, 3, 5, 10, 61]),  # seconds until then
)
RULES = st.builds(
    lambda thinning, stuck_after: Rules(plausible=(0, 10), stuck_after=stuck_after, **thinning),
    st.sampled_from([{}, {"deadband": 0.3, "heartbeat": 6}, {"window": 4}]),
    st.sampled_from([None, 5]),
)
DEVICES = st.builds(
    lambda rules, hold, warm_up, event: device(
        *QUANTITIES,
        states=("open",),
        event=event,
        warm_up=warm_up,
        rules={"level": rules},
        alarms=[AlarmRule(name="flood", quantity="level", above=ABOVE, clear=CLEAR, hold=hold)],
    ),
    RULES,
    st.sampled_from([0, 2]),
    st.sampled_from([0, 4]),
    st.booleans(),
)
LIVES = st.lists(STEPS, max_size=60)


def live(config, steps, look=lambda _bench, _at: None):
    """Let a device live, look after each step, and return the bench."""
    bench, at, boots = Bench(config), 0.0, 1
    for (step, argument), seconds in steps:
        at += seconds
        if step == "take":
            bench.tick(at)
            bench.take(at, *argument)
        elif step == "tick":
            bench.tick(at)
        elif step == "restart":
            bench.restart(at)
        else:
            boots += 1
            at = 1.0
            bench.restart(at, boot=f"b{boots}")
        look(bench, at)
    return bench


@given(DEVICES, LIVES)
def test_each_measurement_is_either_a_reading_or_withheld(config, steps):
    bench = Bench(config)
    at = 0.0
    for (step, argument), seconds in steps:
        at += seconds
        bench.tick(at)
        if step != "take":
            continue
        readings, withheld = len(bench.readings), len(bench.withheld)
        bench.take(at, *argument)
        assert (len(bench.readings) - readings) + (len(bench.withheld) - withheld) == 1


@given(DEVICES, LIVES)
def test_raises_and_clears_alternate_and_share_their_ids_whatever_restarts_come_between(config, steps):
    standing, used = {}, set()
    for event in live(config, steps).events:
        name = (event.alarm, event.quantity)
        if event.raised:
            assert name not in standing
            assert event.id not in used
            standing[name] = event.id
            used.add(event.id)
        else:
            assert standing.pop(name) == event.id


@given(DEVICES, LIVES)
def test_a_limit_is_raised_beyond_and_cleared_at_the_clearing_value_and_never_in_between(config, steps):
    for event in live(config, steps).events:
        if event.alarm == "flood":
            assert event.value > ABOVE if event.raised else event.value <= CLEAR


@given(DEVICES, LIVES)
def test_after_a_tick_nothing_is_due_and_nothing_is_left_to_say(config, steps):
    def look(bench, at):
        bench.tick(at)
        assert bench.due() is None or bench.due() > at
        assert bench.tick(at) == []

    live(config, steps, look)


@given(DEVICES, LIVES)
def test_no_reading_has_a_value_and_a_reason_or_neither(config, steps):
    for reading in live(config, steps).readings:
        assert (reading.value is None) != (reading.reason is None)


@given(DEVICES, LIVES)
def test_a_device_is_reported_silent_exactly_when_it_was_not_heard_for_so_long(config, steps):
    bench, at, heard = Bench(config), 0.0, 0.0
    for (step, argument), seconds in steps:
        at += seconds
        bench.tick(at)
        assert ("silent", "") in bench.refiner._alarms.raised or at - heard < config.silent_after
        if step == "take":
            bench.take(at, *argument)
            if argument[0] not in UNHEARD:
                heard = at
        silences = [event.raised for event in bench.events if event.alarm == "silent"]
        assert silences[-1:] == ([True] if at - heard >= config.silent_after else [False] if silences else [])


@given(LIVES)
def test_a_kill_at_any_moment_changes_nothing_for_the_alarms(steps):
    limits = [AlarmRule(name="flood", quantity="level", above=ABOVE, clear=CLEAR)]
    config = device(*QUANTITIES, states=("open",), alarms=limits, silent_after=1e9)
    lives, killed = Bench(config), Bench(config)
    at = 0.0
    for (step, argument), seconds in steps:
        at += seconds
        killed.restart(at)
        for bench in (lives, killed):
            if step == "take":
                bench.take(at, *argument)
            else:
                bench.tick(at)
        assert killed.events == lives.events
