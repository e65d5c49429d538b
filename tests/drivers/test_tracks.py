"""Many echoes are one vehicle: when it counts, when it is gone, and what is kept of it."""

from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.contract import Fault, FaultKind, Measurement, Reason
from drivers.tracks import MOST, TrackingDecoder

IDLE = [Measurement("targets", 0)]
NOTHING = [Measurement("vehicle_speed", None, Reason.NO_TARGET)]


class Radar:
    """Says next what was put into it."""

    def __init__(self):
        self.next = deque()

    def feed(self, data):
        assert data
        return self.next.popleft()

    def end(self):
        return []


def echo(speed, distance=None):
    said = [Measurement("vehicle_speed", speed), Measurement("vehicle_toward", speed > 0)]
    return said if distance is None else [*said, Measurement("vehicle_distance", distance)]


class Road:
    """A tracker, the time, and all that it ever said."""

    def __init__(self, **settings):
        self.radar = Radar()
        self.tracker = TrackingDecoder(
            self.radar, **{"send": "vehicles", "clear": 1.5, "echoes": 2, "totals": 60.0, **settings}
        )
        self.said = []

    def until(self, at):
        while (due := self.tracker.due()) is not None and due <= at:
            self.said += [(due, item) for item in self.tracker.tick(due)]

    def see(self, at, *items):
        self.until(at)
        self.radar.next.append([*items])
        self.said += [(at, item) for item in self.tracker.feed(b"-", at)]

    def all(self, quantity):
        return [(at, item.value) for at, item in self.said if getattr(item, "quantity", "") == quantity]

    def values(self, quantity):
        return [value for _, value in self.all(quantity)]


def test_two_echoes_twenty_milliseconds_apart_are_one_car_which_goes_up_when_it_is_gone():
    road = Road()
    road.see(10.0, *echo(4.444, 4.0))
    road.see(10.02, *echo(3.889, 4.0))
    road.until(20.0)
    assert road.all("vehicle_speed") == [(pytest.approx(11.52), pytest.approx(4.167, abs=0.001))]
    [age] = [item.age for _, item in road.said if item.quantity == "vehicle_speed"]
    assert age == pytest.approx(1.5)
    assert road.tracker.memory() == {"vehicles_toward": 1, "vehicles_away": 0}


def test_how_many_are_in_sight_goes_up_when_it_changes_and_an_idle_road_is_clear():
    road = Road()
    road.see(0.0, *IDLE)
    for tick in range(1, 20):
        road.see(tick / 10, *echo(20.0, 80.0 - 2 * tick))
    road.until(60.0)
    assert road.all("targets") == [(0.0, 0), (0.2, 1), (pytest.approx(3.4), 0)]


def test_a_single_echo_is_noise_unless_told_otherwise():
    road, trusting = Road(), Road(echoes=1)
    for one in (road, trusting):
        one.see(0.0, *echo(8.0, 30.0))
        one.until(10.0)
    assert (road.values("vehicle_speed"), trusting.values("vehicle_speed")) == ([], [8.0])


def test_cars_in_a_row_and_those_of_both_directions_are_told_apart():
    road = Road()
    for tick in range(30):
        at = tick / 10
        road.see(at, *echo(15.0, 80.0 - 1.5 * tick), *echo(15.0, 95.0 - 1.5 * tick), *echo(-12.0, 5.0 + 1.2 * tick))
    road.until(10.0)
    assert sorted(road.values("vehicle_speed")) == [-12.0, 15.0, 15.0]
    assert road.tracker.memory() == {"vehicles_toward": 2, "vehicles_away": 1}


def test_one_that_overtakes_another_stays_itself():
    road = Road()
    for tick in range(60):
        at = tick / 10
        road.see(at, *echo(25.0, 180.0 - 2.5 * tick), *echo(12.0, 100.0 - 1.2 * tick))
    road.until(10.0)
    assert sorted(road.values("vehicle_speed")) == [12.0, 25.0]


def test_a_car_that_is_hidden_for_a_moment_is_the_same_car():
    road = Road()
    road.see(0.0, *echo(20.0, 80.0))
    road.see(0.1, *echo(20.0, 78.0))
    road.see(1.3, *echo(20.0, 54.0))
    road.until(5.0)
    assert road.values("vehicle_speed") == [20.0]


def test_without_distances_one_way_and_one_speed_is_one_vehicle():
    road = Road()
    for tick in range(10):
        road.see(tick / 10, *echo(13.0 + tick / 10))
        road.see(tick / 10 + 0.05, *echo(-9.0))
    road.until(10.0)
    assert road.values("vehicle_speed") == [pytest.approx(13.45), -9.0]


def test_what_stands_still_is_no_vehicle():
    road = Road()
    for tick in range(10):
        road.see(tick / 10, *echo(0.0, 20.0))
    road.until(10.0)
    assert road.values("vehicle_speed") == []
    assert road.values("targets") == [0]


def test_the_totals_go_up_at_once_and_then_every_so_often():
    road = Road(totals=10.0)
    for tick in range(251):
        road.see(tick / 10, *IDLE, *(echo(10.0, 50.0 - tick) if tick < 20 else []))
    assert road.all("vehicles") == [(0.0, 0), (10.0, 1), (20.0, 1)]
    assert road.values("vehicles_toward") == [0, 1, 1]
    assert road.values("vehicles_away") == [0, 0, 0]


def test_a_radar_that_says_nothing_falls_silent():
    road = Road(totals=10.0)
    road.see(0.0, *echo(10.0, 50.0))
    road.see(0.1, *echo(10.0, 49.0))
    road.until(1000.0)
    assert max(at for at, _ in road.said) == pytest.approx(10.0)  # the total that has the vehicle in it
    road.see(2000.0, *IDLE)
    assert road.all("vehicles")[-1] == (2000.0, 1)


def test_that_nothing_moves_is_heard():
    road = Road()
    road.see(0.0, *NOTHING)
    assert road.values("vehicles") == [0]
    assert road.values("targets") == [0]


def test_before_anything_is_heard_nothing_is_said():
    road = Road()
    road.see(0.0, Fault(FaultKind.GARBAGE, 0))
    assert [item for _, item in road.said] == [Fault(FaultKind.GARBAGE, 0)]
    assert road.tracker.due() is None


def test_the_totals_survive_a_restart():
    before = Road()
    before.see(0.0, *echo(10.0, 50.0), *echo(10.0, 50.0))
    after = Road()
    after.tracker.recall(before.tracker.memory())
    after.see(0.0, *echo(-10.0, 50.0), *echo(-10.0, 50.0))
    assert after.values("vehicles") == [2]
    assert after.tracker.memory() == {"vehicles_toward": 1, "vehicles_away": 1}
    other = Road()
    other.tracker.recall({})
    assert other.tracker.memory() == {"vehicles_toward": 0, "vehicles_away": 0}


def test_echoes_go_up_as_they_come_if_that_is_wanted_and_the_totals_with_them():
    road = Road(send="echoes")
    road.see(0.0, Measurement("targets", 1), *echo(10.0, 50.0))
    road.see(0.1, Measurement("targets", 1), *echo(10.0, 49.0))
    road.until(10.0)
    assert road.values("vehicle_speed") == [10.0, 10.0]
    assert road.values("targets") == [1, 1]
    assert road.values("vehicles") == [0]
    assert road.tracker.memory()["vehicles_toward"] == 1


def test_more_than_a_beam_can_hold_is_noise_and_not_kept():
    road = Road()
    for tick in range(100):
        road.see(tick / 1000, *echo(5.0, 1000.0 * tick))
    assert len(road.tracker._tracks) == MOST


echoes = st.tuples(st.floats(-70, 70), st.none() | st.floats(0, 300))
moments = st.lists(st.tuples(st.floats(0, 5), st.lists(echoes, max_size=5)), max_size=40)


@settings(deadline=None, max_examples=150)
@given(moments=moments, send=st.sampled_from(["vehicles", "echoes"]), needed=st.integers(1, 4))
def test_whatever_comes_totals_only_grow_each_vehicle_goes_up_once_and_nothing_stays_due(moments, send, needed):
    road = Road(send=send, echoes=needed, totals=2.0)
    at = counted = 0
    for wait, seen in moments:
        at += wait
        road.see(at, *[item for speed, distance in seen for item in echo(speed, distance)])
        total = sum(road.tracker.memory().values())
        assert total >= counted
        counted = total
        due = road.tracker.due()
        assert due is None or due > at
    road.until(at + 100)
    assert road.tracker.due() is None
    if send == "vehicles":
        assert len(road.values("vehicle_speed")) == counted
        assert road.values("targets")[-1:] in ([], [0])
    assert road.values("vehicles")[-1:] in ([], [counted])
    assert len(road.tracker._tracks) == 0
