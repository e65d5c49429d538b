import pytest

from drivers.contract import Fault, FaultKind, Measurement, Reason
from drivers.devices.rain_gauge import DRIVER, STUCK_AFTER, Settings
from tests.drivers import feeding

# Closed for 65 ms and bouncing for 0.1 ms, as measured on a common gauge (karwendel4.de, wind and rain sensor).
TIP = "0:1 1000.00:0 1000.05:1 1000.10:0 1065.00:1 1065.08:0 1065.10:1"


def gauge(**settings):
    return DRIVER.make(Settings(pin=17, **settings))


def lived(device, trace, until):
    """What came but for the rate."""
    return [
        (at, item)
        for at, item in feeding.lived(device, trace, until)
        if isinstance(item, Fault) or item.quantity == "rain"
    ]


def rates(trace, until, **settings):
    """The rate by the second at which it came."""
    came = feeding.lived(gauge(**settings), trace, until)
    return {round(at): item.value for at, item in came if isinstance(item, Measurement) and item.quantity != "rain"}


def test_a_bouncing_tip_is_one_tip_dated_to_its_beginning():
    (_, at_start), (at, tip) = lived(gauge(mm_per_tip=0.2794), TIP, until=10)
    assert at_start == Measurement("rain", 0.0)
    assert (tip.quantity, tip.value) == ("rain", 0.2794)
    assert at - tip.age == pytest.approx(1.0001)


def test_the_total_goes_up_without_rain_too():
    came = lived(gauge(report=300), "0:1", until=1000)
    assert came == [(at, Measurement("rain", 0.0)) for at in (0.0, 300.0, 600.0, 900.0)]


def test_the_total_survives_a_restart():
    first = gauge()
    lived(first, TIP, until=10)
    second = gauge()
    second.recall(first.memory())
    assert [item.value for _, item in lived(second, TIP, until=10)] == [0.2, 0.4]


def test_the_total_does_not_drift():
    device = gauge(mm_per_tip=0.1)
    tips = " ".join(f"{at}000:0 {at}100:1" for at in range(1, 1001))
    assert lived(device, f"0:1 {tips}", until=1100)[-1][1].value == 100.0


def test_a_bucket_that_swings_back_has_not_tipped_again():
    came = [item for _, item in lived(gauge(), "0:1 1000:0 1040:1 1080:0 1120:1", until=10)]
    assert [item.value for item in came if isinstance(item, Measurement)] == [0.0, 0.2]
    assert [item.kind for item in came if isinstance(item, Fault)] == [FaultKind.GARBAGE]


def test_two_tips_in_a_cloudburst_are_two():
    assert [item.value for _, item in lived(gauge(), "0:1 1000:0 1060:1 1110:0 1170:1", until=10)] == [0.0, 0.2, 0.4]


def test_a_contact_that_is_closed_at_start_has_not_tipped():
    assert [item.value for _, item in lived(gauge(), "0:0 1000:1", until=10)] == [0.0]


def test_while_the_contact_is_stuck_the_total_is_not_known():
    came = lived(gauge(report=100), "0:1 1000:0 200000:1", until=201)
    assert [(at, item) for at, item in came if at > 2] == [
        (1 + STUCK_AFTER, Fault(FaultKind.STUCK, 0, "contact closed for 60 s")),
        (1 + STUCK_AFTER, Measurement("rain", None, Reason.STUCK)),
        (161.0, Measurement("rain", None, Reason.STUCK)),
        (200.01, Measurement("rain", 0.2)),
    ]


def test_chatter_without_rest_is_no_rain():
    chatter = " ".join(f"{1000 + at}:{at % 2}" for at in range(500))
    assert [item.value for _, item in lived(gauge(), f"0:1 {chatter}", until=10)] == [0.0]


def test_the_rate_is_that_of_the_last_two_tips_and_sinks_while_none_comes():
    tips = "0:1 1000000:0 1000100:1 1060000:0 1060100:1"
    assert rates(tips, until=2000, report=300) == {
        900: 0.0,  # nothing for a quarter of an hour
        1000: 0.8,  # one tip of 0.2 mm in a quarter of an hour, or in less
        1060: 12.0,
        1360: 2.4,
        1660: 1.2,
        1960: 0.0,
    }


def test_the_rate_is_not_known_at_the_start():
    assert rates("0:1", until=899, report=60) == {}
    assert rates("0:1", until=901, report=60) == {900: 0.0}


def test_the_rate_is_not_known_while_the_contact_is_stuck():
    assert rates("0:1 1000:0", until=70) == {1: 0.8, 61: None}
