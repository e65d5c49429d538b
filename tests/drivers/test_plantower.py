import pytest

from drivers.contract import FaultKind, Reason
from drivers.devices.plantower import DRIVER, Settings
from tests.drivers.feeding import decode, faults, values

# Recorded from a PMS5003 (avaldebe/PyPMS@45c3bf0, tests/captured_data/PMSx003.hexdump): frames and PM1, PM2.5, PM10.
RECORDED = [
    ("42 4D 00 1C 00 00 00 08 00 08 00 00 00 08 00 08 00 D2 00 46 00 2D 00 1E 00 00 00 00 97 00 02 C5", (0, 8, 8)),
    ("42 4D 00 1C 00 00 00 07 00 07 00 00 00 07 00 07 00 BD 00 3F 00 2A 00 1B 00 00 00 00 97 00 02 9F", (0, 7, 7)),
    ("42 4D 00 1C 00 00 00 06 00 06 00 00 00 06 00 06 00 B4 00 3C 00 1D 00 15 00 00 00 00 97 00 02 7C", (0, 6, 6)),
    ("42 4D 00 1C 00 00 00 05 00 05 00 00 00 05 00 05 00 8A 00 2E 00 17 00 0F 00 00 00 00 97 00 02 34", (0, 5, 5)),
]
# Made up by the tests of the same project (tests/sensors/test_sensor.py, tests/test_message.py).
DUSTY = bytes.fromhex("42 4D 00 1C 00 05 00 0D 00 16 00 05 00 0D 00 16 02 FD 00 FC 00 1D 00 0F 00 06 00 06 97 00 03 C5")
WAKING = bytes.fromhex(
    "42 4D 00 1C 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 AB"
)
FALSE_LENGTH_GOOD_SUM = bytes.fromhex(
    "42 4D 00 00 00 05 00 0D 00 16 00 05 00 0D 00 16 02 FD 00 FC 00 1D 00 0F 00 06 00 06 97 00 03 A9"
)
WRONG_SUM = DUSTY[:-2] + b"\0\0"
ACKNOWLEDGEMENT = bytes.fromhex("42 4D 00 04 E1 00 01 74")  # of the command for passive mode
# Another device on the port, recorded (UedaTakeyuki/mh-z19, issue 52): the same head, 16 bytes a frame.
STRANGER = bytes.fromhex(
    "42 4D 0C 9C 09 AD 02 13 01 28 00 00 E2 00 06 13 42 4D 0C 9C 09 B2 02 15 01 28 00 00 E2 00 06 1A"
)

GOOD = bytes.fromhex(RECORDED[0][0])


def decoder():
    return DRIVER.make(Settings())


@pytest.mark.parametrize(("frame", "expected"), RECORDED)
def test_recorded_frames(frame, expected):
    items = decode(decoder, bytes.fromhex(frame))
    assert values(items) == dict(zip(("pm1", "pm2_5", "pm10"), expected, strict=True))
    assert faults(items) == []


def test_the_three_sizes_are_told_apart():
    assert values(decode(decoder, DUSTY)) == {"pm1": 5, "pm2_5": 13, "pm10": 22}


def test_the_zeros_of_a_waking_sensor_are_not_values():
    assert values(decode(decoder, WAKING)) == dict.fromkeys(("pm1", "pm2_5", "pm10"), Reason.WARMING_UP)


def test_a_false_length_is_refused_although_the_sum_is_right():
    items = decode(decoder, FALSE_LENGTH_GOOD_SUM + GOOD)
    assert faults(items) == [(FaultKind.BAD_LENGTH, 0), (FaultKind.GARBAGE, 4)]
    assert values(items)["pm10"] == 8


def test_a_huge_length_is_not_waited_for():
    assert faults(decode(decoder, STRANGER)) == [
        (FaultKind.BAD_LENGTH, 0),
        (FaultKind.GARBAGE, 4),
        (FaultKind.BAD_LENGTH, 16),
    ]


def test_a_wrong_sum_is_a_fault_and_no_values():
    items = decode(decoder, WRONG_SUM + GOOD)
    assert faults(items) == [(FaultKind.CHECKSUM, 0)]
    assert values(items) == {"pm1": 0, "pm2_5": 8, "pm10": 8}


def test_a_frame_behind_a_cut_one_is_found():
    items = decode(decoder, GOOD[:20] + DUSTY)
    assert faults(items) == [(FaultKind.CHECKSUM, 0)]
    assert values(items)["pm10"] == 22


def test_a_tail_and_a_stray_first_byte_are_noise():
    items = decode(decoder, DUSTY[3:] + b"\x42" + GOOD)
    assert faults(items) == [(FaultKind.GARBAGE, 0)]
    assert values(items)["pm10"] == 8


def test_an_acknowledgement_is_neither_values_nor_a_fault():
    assert decode(decoder, ACKNOWLEDGEMENT) == []
    assert values(decode(decoder, ACKNOWLEDGEMENT + DUSTY))["pm1"] == 5
