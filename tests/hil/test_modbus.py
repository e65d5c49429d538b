"""Simulated Modbus devices: what they say is what was recorded, and drivers read them through all that ails a line."""

import random

import pytest

from drivers import registry
from drivers.contract import FaultKind, Reason
from drivers.modbus import reading
from hil.devices.modbus import Board, LineAilment, Meter, crc
from hil.devices.talker import Ailment
from tests.drivers.feeding import answered, faults, values
from tests.hil.test_devices import Tape

METERS = [name for name in reading.shipped() if reading.read(name).values]


def frame(text):
    return bytes.fromhex(text)


@pytest.fixture
def tape():
    return Tape()


def meter(tape, profile, **more):
    return Meter("meter-1", tape, random.Random(3), profile=profile, **more)


def line(tape, *devices):
    """Return a line with these devices for `answered`: each hears the request, and what they say comes back."""

    def ask(request):
        tape.data = b""
        for device in devices:
            device._hear(request.request)
            while not device._requests.empty():
                device.answer(device._requests.get_nowait())
        return tape.data

    return ask


def poll(name, ask, **settings):
    driver = registry.load(name)
    return answered(driver.make(driver.settings(**settings)).poll(), ask)


@pytest.mark.parametrize(
    ("profile", "address", "first", "data", "request_", "reply"),
    [
        ("sdm120", 1, 0, "43696978", "01 04 00 00 00 02 71 CB", "01 04 04 43 69 69 78 10 6E"),
        ("sdm120", 1, 0x48, "462A7521", "01 04 00 48 00 02 F1 DD", "01 04 04 46 2A 75 21 29 8C"),
        ("sm7901", 1, 0, "0218", "01 03 00 00 00 01 84 0A", "01 03 02 02 18 B9 2E"),
        ("xm8589", 1, 0, "0079", "01 03 00 00 00 01 84 0A", "01 03 02 00 79 79 A6"),
        (
            "pzem004t",
            2,
            0,
            "089A002700000006000000010000025700070000",
            "02 04 00 00 00 0A 70 3E",
            "02 04 14 08 9A 00 27 00 00 00 06 00 00 00 01 00 00 02 57 00 07 00 00 3C AB",
        ),
        (
            "fmr20",
            200,
            5000,
            "414C69FC400E5816413956844180" + "00" * 18,
            "C8 03 13 88 00 10 D1 31",
            "C8 03 20 41 4C 69 FC 40 0E 58 16 41 39 56 84 41 80" + " 00" * 18 + " B5 52",
        ),
    ],
)
def test_given_the_values_it_says_what_was_recorded(tape, profile, address, first, data, request_, reply):
    device = meter(tape, profile, address=address)
    device.set(first, frame(data))
    device.answer(frame(request_))
    assert tape.data == frame(reply)


def test_a_board_says_what_is_documented(tape):
    board = Board("relay-1", tape, random.Random(3))
    board.answer(frame("01 05 00 07 FF 00 3D FB"))
    assert tape.data == frame("01 05 00 07 FF 00 3D FB")
    board.answer(frame("01 05 00 00 FF 00 8C 3A"))
    tape.data = b""
    board.answer(frame("01 01 00 00 00 08 3D CC"))
    assert tape.data == frame("01 01 01 81 91 E8")
    body = frame("01 0F 00 00 00 08 01 02")
    board.answer(body + crc(body))
    assert board.coils == [False, True] + [False] * 6


@pytest.mark.parametrize("name", METERS)
def test_each_profile_reads_what_its_device_says(tape, name):
    device = meter(tape, name)
    for _ in range(20):
        device.wander()
        device.emitted.clear()
        said = values(poll(name, line(tape, device)))
        assert {emission.quantity for emission in device.emitted} == said.keys()
        for emission in device.emitted:
            value = said[emission.quantity]
            if value is Reason.OUT_OF_RANGE:
                assert reading.read(name).values[emission.quantity].rails
            else:
                assert value == pytest.approx(emission.value, abs=emission.step / 2 + 1e-9)


@pytest.mark.parametrize(
    ("ailment", "fault"),
    [
        (Ailment.SILENT, FaultKind.NO_REPLY),
        (Ailment.GARBAGE, FaultKind.GARBAGE),
        (Ailment.CHECKSUM, FaultKind.CHECKSUM),
        (Ailment.TRUNCATED, FaultKind.TRUNCATED),
        (LineAilment.REFUSES, FaultKind.REFUSED),
        (LineAilment.WEDGED, FaultKind.GARBAGE),
    ],
)
def test_what_ails_a_device_is_a_fault_and_never_a_value(tape, ailment, fault):
    device = meter(tape, "pzem004t")
    device.ailment = ailment
    items = poll("pzem004t", line(tape, device))
    assert values(items) == {}
    assert fault in [kind for kind, _ in faults(items)]
    device.ailment = None
    assert len(values(poll("pzem004t", line(tape, device)))) == 7


def test_a_busy_device_is_asked_again(tape):
    device = meter(tape, "pzem004t")
    device.ailment = LineAilment.BUSY
    assert len(values(poll("pzem004t", line(tape, device)))) == 7


@pytest.mark.parametrize("noise", ["leading_zero", "trailing_zero", "echo"])
def test_noise_of_the_line_costs_nothing(tape, noise):
    device = meter(tape, "sdm630")
    setattr(device, noise, True)
    assert len(values(poll("sdm630", line(tape, device)))) == 28


def test_several_devices_share_a_line(tape):
    one, other = meter(tape, "pzem004t"), meter(tape, "pzem004t", address=2)
    one.set(0, frame("0959"))
    other.set(0, frame("089A"))
    ask = line(tape, one, other)
    assert values(poll("pzem004t", ask))["voltage"] == 239.3
    assert values(poll("pzem004t", ask, address=2))["voltage"] == 220.2
    assert values(poll("pzem004t", ask, address=3)) == {}
