"""The timekeeper against clocks whose true time the test knows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.readings import Anchor
from agent.seams import Sync
from agent.timekeeper import BUILT, DRIFT, KEPT, STEADY, WANDER, ClockFault, Timekeeper, date_by

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
TRUE_START = 1_764_000_000 * SECOND  # a UTC in 2025, where the boot of each test begins
BOOT = "b0" * 16
EARLIER = "a0" * 16


class PiClock:
    """A crystal that drifts, a wall clock that is somewhere else, and the truth."""

    def __init__(self, boot: str = BOOT, drift: float = 0.0) -> None:
        self.boot = boot
        self.started = TRUE_START  # the true UTC of the boot
        self.passed = 0  # true nanoseconds since boot
        self.drift = drift
        self.wrong_by = -40 * 365 * 86_400 * SECOND  # no battery clock: 1985
        self.sync: Sync | None = None

    def truth(self) -> int:
        return self.started + self.passed

    def boottime(self) -> int:
        return round(self.passed * (1 + self.drift))

    def utc(self) -> int:
        return self.truth() + self.wrong_by

    def synchronised(self) -> Sync | None:
        return self.sync

    def synchronise(self, *, wrong_by: int = 0, uncertainty: float = 0.05) -> None:
        self.wrong_by = wrong_by
        self.sync = Sync("kernel", uncertainty)


class SlowClock(PiClock):
    """A busy machine: each look at the boottime takes 20 ms."""

    def boottime(self) -> int:
        self.passed += SECOND // 50
        return super().boottime()


def test_a_clock_that_is_not_synchronised_makes_no_anchor_and_dates_nothing():
    clock = PiClock()
    keeper = Timekeeper(clock)
    for _ in range(3):
        clock.passed += 20 * MINUTE
        clock.wrong_by += 5 * SECOND
        assert keeper.look() == []
    assert keeper.date(BOOT, clock.boottime()) is None
    assert keeper.state() == (None, None, None, BUILT, None)


def test_what_was_read_before_the_first_synchronisation_is_dated_by_it():
    clock = PiClock()
    keeper = Timekeeper(clock)
    clock.passed = 2 * MINUTE
    read_at, true = clock.boottime(), clock.truth()
    clock.passed += 3 * MINUTE
    clock.synchronise()
    assert keeper.look() == [Anchor(BOOT, clock.boottime(), clock.truth(), 0.05, "kernel")]
    dated = keeper.date(BOOT, read_at)
    assert dated is not None
    assert dated.utc == true
    assert dated.uncertainty == pytest.approx(0.05 + DRIFT * 180)


def test_a_new_anchor_comes_every_ten_minutes_and_after_a_step_of_more_than_50_ms():
    clock = PiClock()
    clock.synchronise()
    keeper = Timekeeper(clock)
    assert keeper.look()
    clock.passed += MINUTE
    assert keeper.look() == []
    clock.wrong_by += SECOND * 49 // 1000
    assert keeper.look() == []
    clock.wrong_by += SECOND * 2 // 1000
    assert keeper.look()
    clock.passed += 10 * MINUTE - 1
    assert keeper.look() == []
    clock.passed += 1
    assert keeper.look()


def test_an_anchor_of_this_boot_outlives_the_agent():
    clock = PiClock()
    clock.synchronise()
    first = Timekeeper(clock)
    [anchor] = first.look()
    clock.passed += MINUTE
    second = Timekeeper(clock)
    second.recall(first.memory())
    assert second.look() == []
    assert second.state()[:3] == (clock.sync, anchor, pytest.approx(0.05 + DRIFT * 60))


def test_an_instant_is_outside_its_boots_anchors_is_dated_by_the_nearest_one():
    keeper = Timekeeper(PiClock())
    keeper.recall([Anchor(EARLIER, at * SECOND, at * SECOND + offset, 0.1, "") for at, offset in ((10, 1), (90, 2))])
    keeper.recall([Anchor(BOOT, 50 * SECOND, 7, 0.1, "")])
    assert keeper.date(EARLIER, 0) == (1, pytest.approx(0.101))
    assert keeper.date(EARLIER, 190 * SECOND) == (190 * SECOND + 2, pytest.approx(0.11))
    assert keeper.date("cc" * 16, 50 * SECOND) is None


def test_an_anchor_owns_up_to_how_long_it_took_to_read_the_clocks():
    clock = SlowClock()
    clock.synchronise(uncertainty=0.05)
    [anchor] = Timekeeper(clock).look()
    assert anchor is not None
    assert anchor.uncertainty == pytest.approx(0.06)


def test_recalling_twice_keeps_each_anchor_once():
    keeper = Timekeeper(PiClock())
    anchors = [Anchor(BOOT, at, at, 0.1, "") for at in (5, 9)]
    keeper.recall(anchors)
    keeper.recall(reversed(anchors))
    assert keeper.memory() == anchors


def test_anchors_of_a_long_life_are_thinned_so_that_uncertainty_grows_with_age_alone():
    clock = PiClock()
    clock.synchronise()
    keeper = Timekeeper(clock)
    keeper.recall([Anchor(EARLIER, at, TRUE_START - 9 * MINUTE + at, 0.1, "") for at in (1, MINUTE, 2 * MINUTE)])
    for _ in range(3000):
        assert keeper.look()
        clock.passed += 10 * MINUTE
    kept = keeper.memory()
    earlier, now = ([anchor.at for anchor in kept if anchor.boot == boot] for boot in (EARLIER, BOOT))
    assert len(kept) == KEPT
    assert (earlier[0], earlier[-1]) == (1, 2 * MINUTE)
    assert (now[0], now[-1]) == (0, clock.boottime() - 10 * MINUTE)
    for age in range(0, 3000 * 600, 1000):
        dated = keeper.date(BOOT, clock.boottime() - age * SECOND)
        assert dated is not None
        assert dated.uncertainty <= 0.111 + DRIFT * age / 10


def test_of_very_many_boots_the_oldest_are_forgotten():
    clock = PiClock()
    clock.synchronise()
    keeper = Timekeeper(clock)
    keeper.look()
    for boot in range(KEPT):
        keeper.recall([Anchor(f"{boot:032x}", 5, TRUE_START - (KEPT - boot) * MINUTE, 0.1, "")])
    assert len(keeper.memory()) == KEPT
    assert keeper.date(f"{0:032x}", 5) is None
    assert keeper.date(f"{1:032x}", 5) is not None
    assert keeper.date(BOOT, 5) is not None


# What may happen to a wall clock, and for how many seconds nothing else happens.
UNCERTAINTY = st.floats(0, 2)
EVENTS = st.one_of(
    st.tuples(st.just("step"), st.floats(-1e9, 1e9)),  # set by hand, or by a daemon that then says it is not sure
    st.tuples(st.just("lose"), st.none()),
    st.tuples(st.just("synchronise"), st.tuples(UNCERTAINTY, st.floats(-1, 1))),
    st.tuples(st.just("restart"), st.none()),
)


@given(st.floats(-DRIFT, DRIFT), st.lists(st.tuples(EVENTS, st.floats(0, 100_000)), max_size=30))
def test_the_stated_uncertainty_holds_whatever_happens_to_the_wall_clock(drift, schedule):
    clock = PiClock(drift=drift / (1 + DRIFT))  # DRIFT is of the boottime
    keeper = Timekeeper(clock)
    instants = [(clock.boottime(), clock.truth())]
    for (event, argument), seconds in schedule:
        if event == "step":
            clock.wrong_by, clock.sync = round(argument * SECOND), None
        elif event == "lose":
            clock.sync = None
        elif event == "synchronise":
            uncertainty, part = argument
            clock.synchronise(wrong_by=round(uncertainty * part * SECOND), uncertainty=uncertainty)
        else:
            before, keeper = keeper, Timekeeper(clock)
            keeper.recall(before.memory())
        keeper.look()
        clock.passed += round(seconds * SECOND)
        instants.append((clock.boottime(), clock.truth()))
        keeper.look()
    for at, true in instants:
        dated = keeper.date(BOOT, at)
        assert (dated is None) == (not keeper.memory())
        if dated is not None:
            assert abs(dated.utc - true) <= dated.uncertainty * SECOND + 10  # nanoseconds of rounding


@given(
    st.floats(-DRIFT + WANDER, DRIFT - WANDER),
    st.lists(st.tuples(st.floats(-WANDER / 2, WANDER / 2), st.floats(1, 50_000)), min_size=2, max_size=20),
    st.lists(st.tuples(st.integers(0, 19), st.floats(0, 1), st.floats(-1, 1)), min_size=1, max_size=6),
)
def test_a_crystal_that_wanders_stays_within_what_is_stated_between_any_anchors(mean, days, looks):
    instants = [(0, TRUE_START)]
    for wander, seconds in days:
        at, true = instants[-1]
        passed = round(seconds * SECOND)
        instants.append((at + round(passed * (1 + (mean + wander) / (1 + DRIFT))), true + passed))
    made = {}
    for which, uncertainty, part in looks:
        at, true = instants[which % len(instants)]
        made[at] = Anchor(BOOT, at, true + round(uncertainty * part * SECOND), uncertainty, "")
    anchors = [made[at] for at in sorted(made)]
    for at, true in instants:
        dated = date_by(anchors, at)
        assert dated is not None
        assert abs(dated.utc - true) <= dated.uncertainty * SECOND + 1000  # nanoseconds of rounding


# --- the floor -----------------------------------------------------------------------------------------------------


def next_boot(keeper, clock, off=SECOND):
    """Cut the power for a while; return the clock of the next boot, still at the right time of day, and its keeper."""
    booted = PiClock(f"{int(clock.boot, 16) + 1:032x}")
    booted.started = clock.truth() + off
    later = Timekeeper(booted)
    later.recall(keeper.memory())
    later.recall_boots(keeper.boots())
    return booted, later


def lived(seconds, *, synchronised=True):
    clock = PiClock()
    keeper = Timekeeper(clock)
    if synchronised:
        clock.synchronise()
    keeper.look()
    clock.passed += seconds * SECOND
    keeper.look()
    return clock, keeper


def test_it_is_later_than_the_last_time_of_the_boot_before_also_without_a_clock():
    before, keeper = lived(900)
    clock, keeper = next_boot(keeper, before)
    clock.passed = 100 * SECOND
    assert keeper.look() == []
    state = keeper.state()
    assert state.sync is None
    assert before.truth() + 99 * SECOND < state.floor < clock.truth()
    assert keeper.not_before(clock.boot, 0) == pytest.approx(before.truth(), abs=SECOND)


def test_a_wall_clock_that_claims_an_earlier_day_is_not_believed_and_the_fault_has_a_name():
    clock, keeper = next_boot(*reversed(lived(900)))
    clock.synchronise(wrong_by=-86_400 * SECOND)
    assert keeper.look() == []
    assert (keeper.state().sync, keeper.state().fault) == (None, ClockFault.BEFORE_FLOOR)
    clock.synchronise()
    assert keeper.look()
    assert keeper.state().fault is None


def test_a_wall_clock_from_before_this_software_is_not_believed_although_nothing_else_is_known():
    clock = PiClock()
    clock.synchronise(wrong_by=BUILT - TRUE_START - 86_400 * SECOND)
    assert Timekeeper(clock).look() == []


def test_a_synchronised_clock_that_jumps_by_hours_is_not_believed_at_once():
    clock, keeper = lived(900)
    for wrong_by in (7200, -7200):
        clock.synchronise(wrong_by=wrong_by * SECOND)
        clock.passed += MINUTE
        assert keeper.look() == []
        assert keeper.state().fault is ClockFault.JUMPED
        now = keeper.date(BOOT, clock.boottime())
        assert abs(now.utc - clock.truth()) <= now.uncertainty * SECOND


def test_where_the_floor_was_wrong_an_hour_of_steady_synchronisation_overrules_it():
    before = PiClock()
    keeper = Timekeeper(before)
    before.synchronise(wrong_by=10 * 365 * 86_400 * SECOND)  # a server that had gone mad
    assert keeper.look()
    clock, keeper = next_boot(keeper, before)
    clock.synchronise()
    looks = 0
    while not keeper.look():
        assert keeper.state().fault is ClockFault.BEFORE_FLOOR
        clock.passed += 5 * SECOND
        looks += 1
    assert looks == STEADY // (5 * SECOND)
    assert keeper.state().fault is None
    assert keeper.date(clock.boot, 0).utc == pytest.approx(clock.started, abs=SECOND)
    assert keeper.floor() < clock.truth()
    _, keeper = next_boot(keeper, clock)
    assert keeper.floor() < clock.truth() + SECOND


def test_a_clock_in_doubt_that_moves_again_begins_its_hour_anew():
    clock, keeper = next_boot(*reversed(lived(900)))
    clock.synchronise(wrong_by=-86_400 * SECOND)
    for _ in range(3):
        for _ in range(59):
            assert keeper.look() == []
            clock.passed += MINUTE
        clock.wrong_by -= 10 * SECOND


# --- boots that never had an anchor --------------------------------------------------------------------------------


def test_a_boot_without_an_anchor_is_dated_between_its_neighbours():
    first, keeper = lived(900)
    second, keeper = next_boot(keeper, first, off=600 * SECOND)
    second.passed = 300 * SECOND
    assert keeper.look() == []
    third, keeper = next_boot(keeper, second, off=600 * SECOND)
    assert keeper.date(second.boot, 0) is None
    third.synchronise()
    anchor, estimate = keeper.look()
    assert (anchor.boot, estimate.boot, estimate.source) == (third.boot, second.boot, "estimate")
    dated = keeper.date(second.boot, 100 * SECOND)
    assert abs(dated.utc - (second.started + 100 * SECOND)) <= dated.uncertainty * SECOND
    assert dated.uncertainty == pytest.approx(600, rel=0.01)
    third.passed += 20 * MINUTE
    assert [one.boot for one in keeper.look()] == [third.boot]


def test_a_boot_without_an_anchor_before_it_stays_undated():
    first, keeper = lived(900, synchronised=False)
    second, keeper = next_boot(keeper, first)
    second.synchronise()
    assert [one.boot for one in keeper.look()] == [second.boot]
    assert keeper.date(first.boot, 0) is None


def test_neighbours_that_contradict_each_other_bound_nothing():
    first, keeper = lived(900)
    second, keeper = next_boot(keeper, first)
    second.passed = 9000 * SECOND
    keeper.look()
    third, keeper = next_boot(keeper, second)
    third.synchronise(wrong_by=-8000 * SECOND)
    third.passed = STEADY + MINUTE
    keeper.look()
    third.passed += STEADY
    assert [one.boot for one in keeper.look()] == [third.boot]


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.booleans()), min_size=2, max_size=8))
def test_whatever_boots_come_and_go_no_date_is_off_by_more_than_it_states(boots):
    clock, keeper = PiClock(), None
    keeper = Timekeeper(clock)
    lives = []
    for ran, off, synchronised in boots:
        keeper.look()
        lives.append((clock, clock.boottime()))
        clock.passed += ran * SECOND
        if synchronised:
            clock.synchronise()
        keeper.look()
        lives.append((clock, clock.boottime()))
        if not synchronised:
            floor = keeper.not_before(clock.boot, clock.boottime())
            assert floor is None or floor <= clock.truth()
        clock, keeper = next_boot(keeper, clock, off * SECOND)
    clock.synchronise()
    keeper.look()
    for one, at in lives:
        dated = keeper.date(one.boot, at)
        if dated is not None:
            assert abs(dated.utc - (one.started + at)) <= dated.uncertainty * SECOND + 1000
    seen = [synchronised for _, _, synchronised in boots]
    for (one, _), (_, _, synchronised) in zip(lives[::2], boots, strict=True):
        is_bounded = True in seen[: [each.boot for each, _ in lives[::2]].index(one.boot) + 1]
        assert (keeper.date(one.boot, 0) is not None) == (synchronised or is_bounded)
