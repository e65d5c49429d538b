import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import FaultKind, Reason
from drivers.devices.vedirect import DRIVER, LIMIT, Settings
from tests.drivers.feeding import decode, faults, measurements, values


def block(*lines):
    data = b"".join(b"\r\n" + line.replace(" ", "\t").encode() for line in lines) + b"\r\nChecksum\t"
    return data + bytes([-sum(data) & 0xFF])


CHARGER = block("PID 0xA053", "V 12780", "I -120", "VPV 38020", "PPV 142", "CS 3", "MPPT 2", "ERR 0", "LOAD ON")
HEX = b":A0102000543\n"


def decoder():
    return DRIVER.make(Settings())


def said(*lines):
    return values(decode(decoder, block(*lines)))


def test_a_charger():
    assert values(decode(decoder, CHARGER)) == {
        "battery_voltage": 12.78,
        "battery_current": -0.12,
        "pv_voltage": 38.02,
        "pv_power": 142,
        "charger_state": "bulk",
        "tracker_state": "tracking",
        "charger_error": 0,
        "load_on": True,
    }


def test_yields_are_in_kilowatt_hours():
    assert said("H19 62753", "H20 20", "H21 141", "H22 67") == {
        "yield_total": 627.53,
        "yield_today": 0.2,
        "power_max_today": 141,
        "yield_yesterday": 0.67,
    }


def test_a_battery_monitor():
    assert said("P -118", "CE -10700", "SOC 876", "TTG 1440", "Alarm ON", "VS -14", "T 31") == {
        "battery_power": -118,
        "consumed_charge": 10.7,
        "state_of_charge": 87.6,
        "time_to_go": 1440,
        "alarm": True,
        "starter_voltage": -0.014,
        "battery_temperature": 31,
    }


def test_an_inverter():
    assert said("AC_OUT_V 22986", "AC_OUT_I 4", "AC_OUT_S 92") == {
        "voltage": 229.86,
        "current": 0.4,
        "apparent_power": 92,
    }


def test_what_the_device_does_not_know_has_no_value():
    assert set(said("SOC ---", "CE ---", "TTG ---", "T ---").values()) == {Reason.INVALID}


def test_a_battery_that_is_not_emptied_lasts_for_longer_than_can_be_said():
    assert said("TTG -1") == {"time_to_go": Reason.OUT_OF_RANGE}


def test_a_state_that_we_do_not_know_is_its_number():
    assert said("CS 250", "OR 0x00000101") == {"charger_state": "250", "off_reason": 257}


def test_labels_that_we_do_not_know_are_passed_over():
    assert said("NEW 1", "SER# HQ2129ABCDE", "V 12000") == {"battery_voltage": 12.0}


def test_a_value_that_makes_no_sense_is_told_and_the_others_count():
    items = decode(decoder, block("V 12x", "I 0", "LOAD MAYBE"))
    assert [kind for kind, _ in faults(items)] == [FaultKind.MALFORMED] * 2
    assert values(items) == {"battery_current": 0.0}


@pytest.mark.parametrize("at", [0, *range(1, len(CHARGER) + 1, 7), len(CHARGER)])
def test_a_hex_line_anywhere_is_no_part_of_the_sum(at):
    label = CHARGER.index(b"Checksum")
    if label < at < len(CHARGER):
        at = label  # only within the last label it is not looked for
    assert decode(decoder, CHARGER[:at] + HEX + CHARGER[at:] + CHARGER) == decode(decoder, CHARGER * 2)


def test_a_port_that_speaks_hex_alone_for_a_while_is_no_fault():
    assert decoder().feed(HEX * 500 + CHARGER) == decoder().feed(CHARGER)


@given(bit=st.integers(0, len(CHARGER) * 8 - 1))
def test_a_flipped_bit_never_makes_a_value(bit):
    damaged = bytearray(CHARGER)
    damaged[bit // 8] ^= 1 << bit % 8
    device = decoder()
    assert measurements([*device.feed(bytes(damaged)), *device.end()]) == []


def test_a_block_behind_one_that_was_cut_is_read():
    items = decode(decoder, CHARGER[:40] + CHARGER)
    assert faults(items) == [(FaultKind.TRUNCATED, 2)]
    assert values(items) == values(decode(decoder, CHARGER))


def test_a_block_behind_noise_is_read():
    items = decode(decoder, b"\x98\xe6\x80\x00" + CHARGER)
    assert faults(items) == [(FaultKind.GARBAGE, 0)]
    assert values(items) == values(decode(decoder, CHARGER))


def test_the_end_of_a_block_that_is_right_by_chance_is_not_believed():
    tail = block("V 12000", "I 5")
    assert faults(decode(decoder, b"\x98\xe6" + tail)) == [(FaultKind.CHECKSUM, 0)]


def test_noise_without_an_end_is_given_up():
    items = decoder().feed(b"\xff" * LIMIT + CHARGER)
    assert faults(items) == [(FaultKind.GARBAGE, 0)]
    assert values(items) == values(decode(decoder, CHARGER))
