import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import FaultKind, Reason
from drivers.devices.wxt53x import DRIVER, LIMIT, Settings
from tests.drivers.feeding import decode, faults, measurements, values

# WXT520 manual M210906EN, "Automatic mode", and WXT510 manual, "Polling with CRC".
WIND = b"0r1,Sn=0.1M,Sm=0.1M,Sx=0.1MGOG\r\n"
AIR = b"0r2,Ta=22.7C,Ua=55.5P,Pa=1004.7H@Fn\r\n"
SUPERVISOR = b"0r5,Th=25.0C,Vh=10.6#,Vs=10.8V,Vr=3.369VO]T\r\n"
PLAIN = b"0R2,Ta=24.6C,Ua=36.9P,Pa=1027.6H\r\n"


def decoder():
    return DRIVER.make(Settings())


def said(fields):
    return values(decode(decoder, b"0R0," + fields + b"\r\n"))


def test_a_number_whose_unit_is_a_hash_is_no_value():
    assert values(decode(decoder, SUPERVISOR))["heater_voltage"] == Reason.INVALID


@given(bit=st.integers(0, len(AIR[:-2]) * 8 - 1))
def test_a_flipped_bit_in_a_message_with_crc_never_makes_a_value(bit):
    damaged = bytearray(AIR)
    damaged[bit // 8] ^= 1 << bit % 8
    found = measurements(decoder().feed(bytes(damaged)))
    # A capital R says that there is no CRC: then the last field, with the CRC in it, is none.
    assert found in ([], measurements(decoder().feed(AIR))) or damaged[1:2] == b"R"


@pytest.mark.parametrize(
    ("field", "hectopascal"),
    [(b"1013.2H", 1013.2), (b"1.0132B", 1013.2), (b"101320.0P", 1013.2), (b"760.0M", 1013.25), (b"29.92I", 1013.21)],
)
def test_pressure_in_any_unit(field, hectopascal):
    assert said(b"Pa=" + field) == {"pressure": pytest.approx(hectopascal, abs=0.01)}


@pytest.mark.parametrize(("field", "speed"), [(b"5.0M", 5.0), (b"18.0K", 5.0), (b"10.0S", 4.4704), (b"10.0N", 5.1444)])
def test_wind_in_any_unit(field, speed):
    assert said(b"Sm=" + field) == {"wind_speed": speed}


def test_temperature_and_rain_in_any_unit():
    assert said(b"Ta=-4.0F,Rc=1.000I,Ri=0.50I") == {"temperature": -20.0, "rain": 25.4, "rain_rate": 12.7}


@pytest.mark.parametrize("letter", ["N", "V", "W", "F"])
def test_the_heater_may_be_in_any_state(letter):
    assert said(f"Vh=12.0{letter}".encode()) == {"heater_voltage": 12.0}


@pytest.mark.parametrize(
    "field",
    [b"Ta=246C", b"Ta=2.46C", b"Ta=24.6", b"Ta=24.6D", b"Ta=240.6C", b"Ua=100.1P", b"Dm=361D", b"Dm=20D", b"Ta24.6C"],
)
def test_a_field_that_looks_otherwise_is_left_out_and_told(field):
    items = decode(decoder, b"0R0," + field + b",Sm=0.1M\r\n")
    assert values(items) == {"wind_speed": 0.1}
    assert faults(items) == [(FaultKind.MALFORMED, 0)]


def test_fields_that_we_do_not_know_are_passed_over():
    assert said(b"Tr=111.3C,Sr=0.000029V,Id=HEL___,Ta=20.0C") == {"temperature": 20.0}


@pytest.mark.parametrize(
    "line",
    [b"0TX,Start-up", b"0tX,Use chksum GoeIU~", b"0R0", b"0r3Kid", b"0rBVT", b"0R3!", b"?", b"0", b"0XU,A=0,M=P", b""],
)
def test_texts_requests_and_settings_are_no_faults(line):
    assert decode(decoder, line + b"\r\n" + PLAIN) == decode(decoder, PLAIN)


def test_any_address_is_read():
    assert values(decode(decoder, b"P" + PLAIN[1:])) == values(decode(decoder, PLAIN))


def test_a_line_that_lost_its_end_does_not_take_the_next_one_with_it():
    items = decode(decoder, PLAIN[:20] + PLAIN)
    assert faults(items) == [(FaultKind.TRUNCATED, 0)]
    assert values(items) == values(decode(decoder, PLAIN))


def test_at_the_end_of_a_recording_fields_that_have_their_unit_count():
    device = decoder()
    assert device.feed(PLAIN[:25]) == []
    items = device.end()
    assert values(items) == {"temperature": 24.6, "humidity": 36.9}
    assert faults(items) == [(FaultKind.TRUNCATED, 0)]


def test_noise_without_an_end_is_given_up():
    items = decoder().feed(b"x" * LIMIT + b"\r\n" + PLAIN)
    assert faults(items) == [(FaultKind.GARBAGE, 0)]
    assert values(items) == values(decode(decoder, PLAIN))


@pytest.mark.parametrize(
    ("settings", "request_"),
    [(Settings(), b"0rBVT\r\n"), (Settings(ask="composite"), b"0r0Kld\r\n")],
)
def test_it_is_asked_with_crc(settings, request_):
    assert DRIVER.prompt(settings).data == request_


def test_an_automatic_one_is_sent_nothing_if_so_wanted():
    assert DRIVER.prompt(Settings(ask="nothing")) is None


def test_an_address_is_one_character():
    with pytest.raises(ValueError, match="one digit or letter"):
        Settings(address="12")


def test_the_rain_goes_on_after_the_device_was_reset():
    device = DRIVER.timed(Settings())
    rain = [
        values(device.feed(b"0R3,Rc=%s,Ri=0.0M\r\n" % counter, 0.0))["rain"]
        for counter in (b"1.20M", b"1.30M", b"0.00M", b"0.10M", b"0.10M")
    ]
    assert rain == [Reason.WARMING_UP, 1.2, 1.2, 1.2, 1.3]
    later = DRIVER.timed(Settings())
    later.recall(device.memory())
    assert values(later.feed(b"0R3,Rc=0.10M\r\n", 9.0)) == {"rain": 1.3}
