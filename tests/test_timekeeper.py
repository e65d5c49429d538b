"""The timekeeper against clocks whose true time the test knows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.readings import Anchor
from agent.seams import Sync
from agent.timekeeper import BUILT, DRIFT, KEPT, WANDER, Timekeeper

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
TRUE_START = 1_764_000_000 * SECOND  # a UTC in 2025, where the boot of each test begins
BOOT = "b0" * 16
EARLIER = "a0" * 16


class PiClock:
    """A crystal that drifts, a wall clock that is somewhere else, and the truth."""

    def __init__(self, boot: str = BOOT, drift: float = 0.0) -> None:
        self.boot = boot
        self.passed = 0  # true nanoseconds since boot
        self.drift = drift
        self.wrong_by = -40 * 365 * 86_400 * SECOND  # no battery clock: 1985
        self.sync: Sync | None = None

    def truth(self) -> int:
        return TRUE_START + self.passed

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
