import struct
from binascii import crc_hqx

import pytest

from drivers.contract import FaultKind, Reason
from drivers.devices.vantage import DRIVER, Settings
from tests.drivers.feeding import answered, decode, faults, values

# A recorded packet of a console without solar sensors.
LOOP = bytes.fromhex(
    "4C4F4F14003E032175DA0239D10204056301FFFFFFFFFFFFFFFFFFFFFFFFFFFFFF4EFFFFFFFFFFFFFF0000FFFF7F0000FFFF0000"
    "00000000000000000000FFFFFFFFFFFFFF0000000000000000000000000000000000002703064B26023E070A0D1163"
)
ACK, AWAKE = b"\x06", b"\n\r"


def changed(packet, offset, layout, value):
    """Return the packet with another value in it."""
    data = bytearray(packet[:-2])
    struct.pack_into("<" + layout, data, offset, value)
    return bytes(data) + crc_hqx(bytes(data), 0).to_bytes(2, "big")


# Made up: 10-minute mean 8.4 mph, gust 23 mph, dew point 75 F, station pressure 29.5 inHg.
LOOP2 = LOOP
for change in ((4, "B", 1), (18, "H", 84), (22, "H", 23), (30, "h", 75), (67, "H", 29_500)):
    LOOP2 = changed(LOOP2, *change)


def decoder():
    return DRIVER.overhear(Settings())


def said(packet, quantity, settings=None):
    return values(DRIVER.overhear(settings or Settings()).feed(packet))[quantity]


def test_a_packet():
    assert values(decode(decoder, LOOP)) == {
        "pressure_sea_level": 1015.41,
        "device_temperature": 22.78,
        "temperature": 22.28,
        "wind_speed": 1.788,
        "wind_speed_average": 2.235,
        "wind_direction": 355,
        "humidity": 78,
        "rain_rate": 0,
        "uv_index": Reason.INVALID,
        "solar_radiation": Reason.INVALID,
        "rain_storm": 0,
        "rain_today": 0,
        "battery_voltage": 4.73,
    }


def test_the_second_kind_of_packets_has_gusts_in_whole_and_means_in_tenths_of_a_mile():
    found = values(decode(decoder, LOOP2))
    assert (found["wind_gust"], found["wind_speed_average"]) == (10.282, 3.755)
    assert (found["dew_point"], found["pressure"]) == (23.89, 998.98)


def test_below_zero():
    assert said(changed(LOOP, 12, "h", -40), "temperature") == -20.0


@pytest.mark.parametrize(
    ("offset", "layout", "dash", "quantity"),
    [
        (7, "H", 0, "pressure_sea_level"),
        (12, "h", 32767, "temperature"),
        (14, "B", 255, "wind_speed"),
        (15, "B", 255, "wind_speed_average"),
        (16, "H", 0, "wind_direction"),
        (16, "H", 32767, "wind_direction"),
        (33, "B", 255, "humidity"),
        (41, "H", 65535, "rain_rate"),
        (46, "H", 65535, "rain_storm"),
    ],
)
def test_dashes_are_no_values(offset, layout, dash, quantity):
    assert said(changed(LOOP, offset, layout, dash), quantity) == Reason.INVALID


def test_a_dew_point_of_255_is_a_dash():
    assert said(changed(LOOP2, 30, "h", 255), "dew_point") == Reason.INVALID


def test_north_is_360():
    assert said(changed(LOOP, 16, "H", 360), "wind_direction") == 360


def test_rain_is_in_clicks_of_the_bucket():
    rain = changed(changed(LOOP, 50, "H", 17), 41, "H", 12)
    assert (said(rain, "rain_today"), said(rain, "rain_rate")) == (3.4, 2.4)
    assert said(rain, "rain_today", Settings(mm_per_click=0.254)) == 4.318


def test_the_oldest_firmware_has_a_p_in_place_of_the_trend():
    assert decode(decoder, changed(LOOP, 3, "B", ord("P"))) == decode(decoder, LOOP)


def test_wake_up_calls_requests_and_acknowledgements_are_no_faults():
    line = b"\n\n" + AWAKE + b"LOOP 1\n" + ACK + LOOP + b"\n" + AWAKE + b"LPS 2 1\n" + ACK + LOOP2
    assert decode(decoder, line) == decode(decoder, LOOP + LOOP2)


def test_a_damaged_packet_is_one_fault():
    assert faults(decode(decoder, LOOP[:20] + b"\x00" + LOOP[21:])) == [(FaultKind.CHECKSUM, 0)]


def test_a_packet_behind_one_that_was_cut_is_read():
    items = decode(decoder, LOOP[:60] + LOOP)
    assert faults(items) == [(FaultKind.CHECKSUM, 0)]
    assert values(items) == values(decode(decoder, LOOP))


# --- asking ---------------------------------------------------------------------------------------------------------


def line(**answers):
    """A console that answers, by the first word of the request; to the wake-up call as one that is awake."""
    given = {"": AWAKE, **answers}
    return lambda ask: given.get(ask.request.decode().split()[0] if ask.request.strip() else "", b"")


def test_a_console_is_woken_and_asked_for_both_packets():
    items = answered(DRIVER.make(Settings()).poll(), line(LOOP=ACK + LOOP, LPS=ACK + LOOP2))
    found = values(items)
    assert faults(items) == []
    assert len(found) == len(items)
    assert (found["battery_voltage"], found["wind_gust"], found["wind_speed_average"]) == (4.73, 10.282, 3.755)


def test_a_console_that_sleeps_soundly_is_woken_up_to_three_times():
    calls = []

    def sleepy(ask):
        calls.append(ask.request)
        return AWAKE if len(calls) == 3 else b""

    poll = DRIVER.make(Settings()).poll()
    assert faults(answered(poll, sleepy))
    assert calls[:4] == [b"\n", b"\n", b"\n", b"LOOP 1\n"]


def test_a_console_that_does_not_wake_is_not_asked():
    assert faults(answered(DRIVER.make(Settings()).poll(), lambda _: b"")) == [(FaultKind.NO_REPLY, 0)]


def test_an_old_console_is_not_asked_again_for_what_it_does_not_know():
    poller = DRIVER.make(Settings())
    asked = []

    def old(ask):
        asked.append(ask.request)
        return line(LOOP=ACK + LOOP, LPS=b"\x21")(ask)

    for _ in range(2):
        items = answered(poller.poll(), old)
        assert faults(items) == []
        assert values(items)["temperature"] == 22.28
    assert asked.count(b"LPS 2 1\n") == 1


def test_a_damaged_answer_is_told_and_the_other_packet_counts():
    items = answered(DRIVER.make(Settings()).poll(), line(LOOP=ACK + LOOP[:-1] + b"\x00", LPS=ACK + LOOP2))
    assert [kind for kind, _ in faults(items)] == [FaultKind.CHECKSUM]
    assert values(items)["temperature"] == 22.28
