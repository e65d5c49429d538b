"""Traffic radars: what goes up of LD2451, OPS243-A and Click 512, besides what their recordings show."""

import pytest

from drivers.contract import FaultKind, Measurement
from drivers.devices import ld2451, ops243, wavetronix
from tests.drivers.feeding import decode, faults, measurements, values

HEAD, TAIL = b"\xf4\xf3\xf2\xf1", b"\xf8\xf7\xf6\xf5"
CAR = bytes.fromhex("6F 04 01 10 FF")
RADARS = pytest.mark.parametrize("radar", [ld2451, ops243])


def report(body):
    return HEAD + len(body).to_bytes(2, "little") + body + TAIL


def said(items, quantity):
    return [item.value for item in measurements(items) if item.quantity == quantity]


# --- LD2451 ---------------------------------------------------------------------------------------------------------


def every_echo():
    return ld2451.DRIVER.make(ld2451.Settings())


def test_as_many_targets_as_a_beam_can_hold():
    items = decode(every_echo, report(bytes((20, 1)) + CAR * 20))
    assert faults(items) == []
    assert said(items, "targets") == [20]
    assert said(items, "vehicle_distance") == [4.0] * 20


@pytest.mark.parametrize("length", [1, 3, 6, 8, 103, 107, 0x0FF0, 3228, 0xFFFF])
def test_a_length_that_cannot_be_does_not_hold_up_the_report_behind_it(length):
    items = decode(every_echo, HEAD + length.to_bytes(2, "little") + report(bytes((1, 1)) + CAR))
    assert faults(items) == [(FaultKind.BAD_LENGTH, 0)]
    assert said(items, "targets") == [1]


@pytest.mark.parametrize(
    "body", [bytes((2, 1)) + CAR, bytes((0, 1)) + CAR, bytes((1, 0)), bytes((1, 1)) + bytes.fromhex("6F 04 02 10 FF")]
)
def test_a_report_that_contradicts_itself_is_a_fault(body):
    assert decode(every_echo, report(body))[0].kind is FaultKind.MALFORMED


@pytest.mark.parametrize("place", range(6 + 7, 6 + 7 + 4))
def test_a_tail_that_is_wrong_is_a_fault(place):
    damaged = bytearray(report(bytes((1, 1)) + CAR))
    damaged[place] ^= 1
    items = decode(every_echo, bytes(damaged) + report(b""))
    assert faults(items) == [(FaultKind.MALFORMED, 0)]
    assert said(items, "targets") == [0]


def test_standing_still_has_no_sign():
    [speed] = said(every_echo().feed(report(bytes((1, 0)) + bytes.fromhex("80 04 00 00 FF"))), "vehicle_speed")
    assert str(speed) == "0.0"


# --- OPS243-A -------------------------------------------------------------------------------------------------------


def lines(**settings):
    return lambda: ops243.DRIVER.make(ops243.Settings(**settings))


@pytest.mark.parametrize(
    ("units", "speed"), [("m/s", 10.0), ("cm/s", 0.1), ("ft/s", 3.048), ("km/h", 2.778), ("mph", 4.47)]
)
def test_speeds_are_metres_a_second_whatever_the_sensor_is_set_to(units, speed):
    assert values(decode(lines(units=units), b"10.0\r\n"))["vehicle_speed"] == speed


@pytest.mark.parametrize(
    "line",
    [b'{"speed":[]}', b'{"speed":0}', b'{"speed":[0,0.0]}', b"0", b"-0.0", b'{"speed":"0.0"}', b"137.4, 0.0", b'"mps"'],
)
def test_no_speed_is_no_target_and_no_number(line):
    items = decode(lines(), line + b"\r\n")
    if line == b'"mps"':
        assert faults(items) == [(FaultKind.MALFORMED, 0)]
    else:
        assert [(item.value, item.reason) for item in measurements(items)] == [(None, "no_target")]


@pytest.mark.parametrize("line", [b"[" * 400, b'{"speed":{}}', b'{"speed":"fast"}', b"1,2,3,4", b'{"speed":1e999}'])
def test_what_is_no_report_is_a_fault(line):
    items = decode(lines(), line + b"\r\n12.0\r\n")
    assert len(faults(items)) == 1
    assert said(items, "vehicle_speed") == [12.0]


def test_the_agent_does_not_use_the_line_in_whose_middle_it_joined():
    tracker = ops243.DRIVER.timed(ops243.Settings(send="echoes"))
    assert said(tracker.feed(b"5.7\r\n145.7\r\n", 0.0), "vehicle_speed") == [145.7]


# --- both -----------------------------------------------------------------------------------------------------------


@RADARS
def test_what_goes_up_is_what_the_driver_says_it_measures(radar):
    for send in ("vehicles", "echoes"):
        settings = radar.Settings(send=send)
        assert ("vehicle_toward" in radar.DRIVER.quantities(settings)) == (send == "echoes")
        tracker = radar.DRIVER.timed(settings)
        line = report(bytes((1, 1)) + CAR) if radar is ld2451 else b"\r\n12.0\r\n"
        items = [item for at in (0.0, 0.1, 5.0) for item in tracker.feed(line, at)]
        assert {item.quantity for item in items if isinstance(item, Measurement)} <= set(
            radar.DRIVER.quantities(settings)
        )
        assert said(items, "vehicle_speed")


# --- Click 512 ------------------------------------------------------------------------------------------------------

VEHICLE = b"2009:05:28,23:04:04.902,00,0070.5,0073.9,00000773,0163.1,03\r\n"


@pytest.mark.parametrize("size", range(1, len(VEHICLE) - 2))
def test_a_line_that_was_cut_is_no_vehicle(size):
    items = decode(lambda: wavetronix.DRIVER.make(wavetronix.Settings()), VEHICLE[:size] + b"\r\n" + VEHICLE)
    assert len(faults(items)) == 1
    assert said(items, "vehicle_speed") == [31.516]


def test_a_vehicle_that_comes_the_wrong_way_is_an_alarm():
    assert wavetronix.DRIVER.alarms == ("wrong_way",)
