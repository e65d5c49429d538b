import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.devices.anemometer import DRIVER, Settings
from tests.drivers.feeding import lived

FACTOR = 0.667  # m/s at 1 Hz, of the SparkFun weather kit


def turning(*stretches):
    """A trace of stretches of (from, to, frequency), each closure half a turn long and bouncing for 0.1 ms."""
    trace = ["0:1"]
    for since, until, hertz in stretches:
        turns = round((until - since) * hertz)
        for turn in range(turns):
            at = 1000 * (since + turn / hertz)
            half = 500 / hertz
            steps = ((0, 0), (0.05, 1), (0.1, 0), (half, 1), (half + 0.05, 0), (half + 0.1, 1))
            trace += [f"{at + after:.3f}:{level}" for after, level in steps]
    return " ".join(trace)


def reports(trace, until, **settings):
    """(mean, gust, lull) of each report."""
    came = [item.value for _, item in lived(DRIVER.make(Settings(pin=6, **settings)), trace, until)]
    return [tuple(came[index : index + 3]) for index in range(0, len(came), 3)]


def test_a_steady_wind_is_its_own_gust_and_lull():
    first, second = reports(turning((0.5, 125, 10)), until=121)
    assert first == pytest.approx((10 * FACTOR,) * 3, rel=0.2)  # it began within this one
    assert second == pytest.approx((10 * FACTOR,) * 3, rel=1e-3)


def test_sixty_metres_a_second():
    assert reports(turning((0.5, 65, 90)), until=61, report=10)[1] == pytest.approx((90 * FACTOR,) * 3, rel=1e-3)


def test_a_gust_is_the_strongest_mean_of_three_seconds():
    (report,) = reports(turning((0.5, 20, 4), (20, 23, 12), (23, 65, 4)), until=61)
    mean, gust, lull = report
    assert gust == pytest.approx(12 * FACTOR, rel=0.05)
    assert mean == pytest.approx((4 * 57 + 12 * 3) / 60 * FACTOR, rel=0.03)
    assert lull == pytest.approx(4 * FACTOR, rel=0.2)


def test_a_shorter_burst_is_a_weaker_gust():
    (report,) = reports(turning((0.5, 20, 4), (20, 21, 12), (21, 65, 4)), until=61)
    assert report[1] == pytest.approx((4 * 2 + 12) / 3 * FACTOR, rel=0.05)


def test_it_is_zero_when_it_stands_still_whatever_the_offset():
    came = reports(turning((0.5, 5, 10)), until=40, report=10, offset=0.4)
    assert came[0][0] > 0.4
    assert came[1:] == [(0.0, 0.0, 0.0)] * 3


def test_a_contact_that_never_moves_is_calm():
    assert reports("0:0", until=121) == [(0.0, 0.0, 0.0)] * 2


def test_factor_and_offset_are_those_of_the_datasheet():
    came = reports(turning((0.5, 30, 5)), until=21, report=10, factor=1.006, offset=0.2)
    assert came[1] == pytest.approx((5 * 1.006 + 0.2,) * 3, rel=1e-3)


@given(st.lists(st.floats(0.005, 8), min_size=3, max_size=60))
def test_no_turn_is_lost_or_counted_twice(pauses):
    trace, at = ["0:1"], 1.0
    for pause in pauses:
        trace.append(f"{1000 * at:.3f}:0 {1000 * (at + pause / 2):.3f}:1")
        at += pause
    until = at + 20
    means = [mean for mean, _, _ in reports(" ".join(trace), until=until, report=5, factor=1)]
    assert sum(means) * 5 == pytest.approx(len(pauses), abs=1.1)  # after the last one it may have gone on for a part
    assert all(lull <= mean <= gust for mean, gust, lull in reports(" ".join(trace), until=until, report=5))
