import pytest

from drivers.contract import Fault, FaultKind, Measurement, Reason
from drivers.devices.pulse_counter import DRIVER, Settings
from tests.drivers.feeding import lived

TWO = "0:1 1000:0 1030:1 4000:0 4030:1"  # S0 pulses of 30 ms


def counter(**settings):
    return DRIVER.make(Settings(pin=5, **settings))


def test_the_total_and_the_rate_of_each_report():
    assert lived(counter(), TWO, until=121) == [
        (0.0, Measurement("pulses", 0)),
        (60.0, Measurement("pulses", 2)),
        (60.0, Measurement("pulse_rate", 2.0)),
        (120.0, Measurement("pulses", 2)),
        (120.0, Measurement("pulse_rate", 0.0)),
    ]


def test_a_k_factor_makes_of_pulses_what_the_meter_counts():
    settings = {"counts": "energy_import", "pulses_per_unit": 1000}
    assert DRIVER.quantities(Settings(pin=5, **settings)) == {"energy_import": "kWh", "pulse_rate": "1/min"}
    assert lived(counter(**settings), TWO, until=61)[1] == (60.0, Measurement("energy_import", 0.002))


def test_a_quantity_that_roadside_does_not_know_has_a_unit_of_its_own():
    settings = Settings(pin=5, counts="water_used", unit="m3", pulses_per_unit=100)
    assert DRIVER.quantities(settings) == {"water_used": "m3", "pulse_rate": "1/min"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"counts": "water_used"}, "unit: the unit of water_used is missing"),
        ({"counts": "energy_import", "unit": "Wh"}, "unit: energy_import is always in 'kWh'"),
        ({"counts": "Water used", "unit": "m3"}, "counts: 'Water used' cannot be a quantity"),
    ],
)
def test_settings_that_make_no_sense(settings, said):
    with pytest.raises(ValueError, match=said):
        Settings(pin=5, **settings)


def test_the_total_survives_a_restart_whatever_the_k_factor():
    first = counter()
    lived(first, TWO, until=10)
    second = counter(counts="energy_import", pulses_per_unit=1000)
    second.recall(first.memory())
    assert lived(second, TWO, until=61)[1] == (60.0, Measurement("energy_import", 0.004))


def test_bounce_and_a_contact_that_is_closed_at_start_are_no_pulses():
    assert lived(counter(), "0:0 1000:1 2000:0 2001:1 2002:0 2040:1", until=61)[1] == (60.0, Measurement("pulses", 1))


def test_while_the_contact_is_stuck_the_total_is_not_known():
    assert lived(counter(report=600), "0:1 1000:0 100000:1", until=101)[1:] == [
        (61.0, Fault(FaultKind.STUCK, 0, "contact closed for 60 s")),
        (61.0, Measurement("pulses", None, Reason.STUCK)),
        (61.0, Measurement("pulse_rate", None, Reason.STUCK)),
        (100.01, Measurement("pulses", 1)),
        (100.01, Measurement("pulse_rate", 0.0)),
    ]


def test_a_meter_may_rest_with_its_contact_closed():
    came = lived(counter(stuck_after=86_400), "0:1 1000:0", until=3670)
    assert not [item for _, item in came if isinstance(item, Fault)]
    assert came[-2] == (3660.0, Measurement("pulses", 1))


def test_forty_pulses_a_second_are_counted():
    trace = " ".join(f"{at}:0 {at + 12.5}:1" for at in range(1000, 3500, 25))
    assert lived(counter(), f"0:1 {trace}", until=61)[1] == (60.0, Measurement("pulses", 100))
