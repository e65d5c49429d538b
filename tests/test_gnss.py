"""The time of day from a GNSS receiver: what it may say, what it may do, and what a rolled-over week does not do."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.gnss import AGREE, Gnss
from agent.timekeeper import BUILT, SECOND, ClockFault, Timekeeper
from drivers.contract import TimeFix
from tests.test_timekeeper import BOOT, MINUTE, PiClock

WEEKS_1024 = 1024 * 7 * 86_400 * SECOND
YEAR = 365 * 86_400 * SECOND


class Bench:
    """A gateway with a receiver that says one sentence a second."""

    def __init__(self, *, dates: bool) -> None:
        self.clock = PiClock()
        self.gnss = Gnss(dates=dates)
        self.keeper = Timekeeper(self.clock, self.gnss)

    def hear(self, count=AGREE, *, wrong_by=0, late=0.4):
        """Let so many sentences come; each says when it was true, and comes a little later."""
        for _ in range(count):
            self.clock.passed += SECOND
            said = (self.clock.truth() + wrong_by) / SECOND - late
            self.gnss.take(TimeFix(said, 1.0, 0.5), self.clock.boottime())

    def dated(self):
        return self.keeper.date(BOOT, self.clock.boottime())


@pytest.fixture
def source():
    return Bench(dates=True)


@pytest.fixture
def witness():
    return Bench(dates=False)


def test_where_nothing_else_is_known_a_source_dates_after_several_fixes_that_agree(source):
    source.hear(AGREE - 1)
    assert source.keeper.look() == []
    source.hear(1)
    (anchor,) = source.keeper.look()
    assert (anchor.source, anchor.uncertainty) == ("gnss", 1.0)
    assert abs(source.dated().utc - source.clock.truth()) <= SECOND
    assert source.keeper.state().sync.source == "gnss"


def test_the_jitter_of_its_sentences_makes_no_new_anchors(source):
    source.hear()
    assert source.keeper.look()
    for late in (0.05, 0.9, 0.3, 0.7):
        source.hear(1, late=late)
        assert source.keeper.look() == []


def test_a_witness_never_dates(witness):
    witness.hear()
    assert witness.keeper.look() == []
    assert witness.dated() is None
    assert witness.keeper.state().fault is None


def test_a_synchronised_wall_clock_goes_before_a_source(source):
    source.clock.synchronise()
    source.hear()
    (anchor,) = source.keeper.look()
    assert anchor.source == "kernel"
    assert source.keeper.state().fault is None


@pytest.mark.parametrize("dates", [True, False])
def test_a_receiver_that_disagrees_with_the_clock_is_a_fault_and_changes_nothing(dates):
    bench = Bench(dates=dates)
    bench.clock.synchronise()
    bench.keeper.look()
    bench.hear(wrong_by=30 * SECOND)
    bench.keeper.look()
    assert bench.keeper.state().fault is ClockFault.GNSS_DISAGREES
    bench.clock.sync = None
    bench.keeper.look()
    assert bench.keeper.state().fault is ClockFault.GNSS_DISAGREES
    assert abs(bench.dated().utc - bench.clock.truth()) <= bench.dated().uncertainty * SECOND


@pytest.mark.parametrize("times", [-2, -1, 1])
def test_a_week_that_rolled_over_is_named(source, times):
    source.clock.synchronise()
    source.keeper.look()
    source.hear(wrong_by=times * WEEKS_1024)
    source.keeper.look()
    assert source.keeper.state().fault is ClockFault.GNSS_ROLLOVER


def test_a_week_that_rolled_over_dates_nothing_also_where_no_other_clock_is_known(source):
    source.hear(wrong_by=-WEEKS_1024)
    assert source.keeper.look() == []
    assert source.keeper.state().fault is ClockFault.GNSS_ROLLOVER


@pytest.mark.parametrize("wrong_by", [-5 * YEAR, 17 * YEAR])
def test_a_day_that_cannot_be_dates_nothing(source, wrong_by):
    source.hear(wrong_by=wrong_by)
    assert source.keeper.look() == []
    assert source.keeper.state().fault is ClockFault.GNSS_IMPLAUSIBLE


def test_fixes_that_jump_never_agree(source):
    for second in range(20):
        source.hear(1, wrong_by=second % 3 * 60 * SECOND)
        assert source.keeper.look() == []


def test_a_receiver_that_fell_silent_says_nothing(source):
    source.hear()
    source.clock.passed += MINUTE
    assert source.keeper.look() == []


def test_a_receiver_that_says_what_a_doubted_clock_says_ends_the_doubt(witness):
    witness.clock.synchronise(wrong_by=7200 * SECOND)  # a server that was wrong at first
    witness.keeper.look()
    witness.clock.synchronise()
    assert witness.keeper.look() == []
    assert witness.keeper.state().fault is ClockFault.JUMPED
    witness.hear()
    assert witness.keeper.look()
    assert witness.keeper.state().fault is None


@given(st.lists(st.tuples(st.integers(-(10**11), 10**11), st.floats(0, 0.99), st.integers(1, 8)), max_size=12))
def test_whatever_a_source_says_only_what_is_plausible_and_steady_dates(said):
    bench = Bench(dates=True)
    for wrong_by, late, count in said:
        bench.hear(count, wrong_by=wrong_by * SECOND, late=late)
        for anchor in bench.keeper.look():
            assert BUILT - SECOND <= anchor.utc <= BUILT + 15 * 366 * 86_400 * SECOND
            assert abs(anchor.utc - bench.clock.truth() - wrong_by * SECOND) <= SECOND
    assert len({anchor.utc // (2 * YEAR) for anchor in bench.keeper.memory()}) <= 1
