import pytest

from drivers.contract import Fault, FaultKind, Reason
from drivers.devices.loop_detector import DRIVER, Settings
from tests.drivers.feeding import lived


def loop(**settings):
    return DRIVER.make(Settings(pin=13, **settings))


def told(trace, until, device=None, **settings):
    """Quantities and values with their seconds; reasons where there is none."""
    came = lived(device or loop(**settings), trace, until)
    return [
        (at, item.kind) if isinstance(item, Fault) else (at, item.quantity, item.reason or item.value)
        for at, item in came
    ]


def of(quantity, came):
    return [(one[0], one[2]) for one in came if one[1] == quantity]


def test_a_vehicle_is_counted_when_it_comes_and_measured_when_it_goes():
    assert told("0:1 1000:0 1850:1", until=10) == [
        (0.0, "vehicles", 0),
        (0.005, "occupied", False),
        (1.005, "vehicles", 1),
        (1.005, "occupied", True),
        (1.855, "occupied", False),
        (1.855, "vehicle_duration", 0.85),
    ]


def test_occupancy_is_the_share_of_the_report():
    came = told("0:1 3000:0 9000:1 57000:0 63000:1", until=121)
    assert of("occupancy", came) == [(60.0, 15.0), (120.0, 5.0)]
    assert of("vehicle_duration", came) == [(9.005, 6.0), (63.005, 6.0)]


def test_what_stands_there_at_the_start_occupies_and_has_not_come():
    came = told("0:0 30000:1", until=61)
    assert of("occupied", came)[0] == (0.005, True)
    assert of("vehicles", came) == [(0.0, 0), (60.0, 0)]
    assert of("occupancy", came) == [(60.0, 50.0)]


def test_in_pulse_mode_vehicles_alone_are_known():
    assert told("0:1 1000:0 1125:1 4000:0 4125:1", until=61, mode="pulse") == [
        (0.0, "vehicles", 0),
        (1.005, "vehicles", 1),
        (4.005, "vehicles", 2),
        (60.0, "vehicles", 2),
    ]
    assert DRIVER.quantities(Settings(pin=13, mode="pulse")) == {"vehicles": "count"}


def test_ten_minutes_of_presence_are_a_fault_and_nothing_is_known_until_it_ends():
    came = told("0:1 1000:0 700000:1", until=781)
    assert (601.0, FaultKind.STUCK) in came
    vehicles = of("vehicles", came)
    assert [one for one in vehicles if one[0] > 600] == [
        (601.0, Reason.STUCK),
        (660.0, Reason.STUCK),
        (700.005, 1),
        (720.0, 1),
        (780.0, 1),
    ]
    occupancy = dict(of("occupancy", came))
    assert occupancy[600.0] == 100.0
    assert occupancy[660.0] == occupancy[720.0] == Reason.STUCK
    assert occupancy[780.0] == 0.0
    assert of("vehicle_duration", came) == []


def test_the_total_survives_a_restart():
    first = loop()
    told("0:1 1000:0 1850:1", until=10, device=first)
    second = loop()
    second.recall(first.memory())
    assert of("vehicles", told("0:1 1000:0 1850:1", until=10, device=second)) == [(0.0, 1), (1.005, 2)]


@pytest.mark.parametrize("shortest", ["3", "4.9"])
def test_a_relay_that_bounces_is_no_vehicle(shortest):
    assert of("vehicles", told(f"0:1 1000:0 {1000 + float(shortest)}:1", until=10)) == [(0.0, 0)]
