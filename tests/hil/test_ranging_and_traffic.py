"""Simulated distance sensors and traffic radars against recorded bytes, and against their drivers."""

import random
from datetime import UTC, datetime

import pytest

from drivers.contract import Fault, Measurement
from drivers.registry import load
from hil.devices import a02yyuw, ld2451, maxbotix, ops243, tfmini, wavetronix
from hil.devices.a02yyuw import A02yyuw
from hil.devices.ld2451 import Ld2451, Target
from hil.devices.maxbotix import Maxbotix
from hil.devices.ops243 import Ops243
from hil.devices.talker import Ailment
from hil.devices.tfmini import Tfmini
from hil.devices.wavetronix import Wavetronix
from tests.hil.test_against_drivers import agrees
from tests.hil.test_devices import Tape

# --- bytes of real devices and of their documents -------------------------------------------------------------------


def test_frames_are_the_recorded_ones():
    assert a02yyuw.frame(222, sum_all=False) == bytes.fromhex("FF 00 DE DE")
    assert maxbotix.frame(1739) == b"R1739\r"
    assert tfmini.frame(237, 0x1571, 5.0) == bytes.fromhex("59 59 ED 00 71 15 28 08 55")  # its log had 56


@pytest.mark.parametrize(
    ("target", "alarm", "data"),
    [
        (Target(-17, 4, True, 16, 255), True, "F4 F3 F2 F1 07 00 01 01 6F 04 01 10 FF F8 F7 F6 F5"),
        (Target(-17, 4, True, 14, 192), True, "F4 F3 F2 F1 07 00 01 01 6F 04 01 0E C0 F8 F7 F6 F5"),
        (Target(-7, 14, False, 4, 255), False, "F4 F3 F2 F1 07 00 01 00 79 0E 00 04 FF F8 F7 F6 F5"),
        (Target(0, 2, True, 3, 186), True, "F4 F3 F2 F1 07 00 01 01 80 02 01 03 BA F8 F7 F6 F5"),
    ],
)
def test_a_report_of_an_ld2451_is_the_recorded_one(target, alarm, data):
    assert ld2451.report([target], alarm=alarm) == bytes.fromhex(data)


def test_commands_and_idle_reports_of_an_ld2451_are_those_of_its_protocol():
    assert ld2451.report([]) == bytes.fromhex("F4 F3 F2 F1 00 00 F8 F7 F6 F5")
    assert ld2451.command(0xFF, b"\x01\x00") == bytes.fromhex("FD FC FB FA 04 00 FF 00 01 00 04 03 02 01")


def test_lines_of_an_ops243_are_those_of_its_manual():
    assert ops243.plain(3.6, 137.429) == b"137.429, 3.6\r\n"
    assert ops243.plain(145.7) == b"145.7\r\n"
    assert ops243.as_json([-45.2], [500]) == b'{"speed": -45.2, "magnitude": 500}\r\n'
    assert ops243.as_json([12.1, 10.3], [50, 20.5]) == b'{"speed": [12.1, 10.3], "magnitude": [50, 20.5]}\r\n'


@pytest.mark.parametrize(
    ("at", "fields", "data"),
    [
        (
            datetime(2009, 5, 28, 23, 4, 4, 902_000, tzinfo=UTC),
            (0, 70.5, 73.9, 773, 163.1, 3),
            b"2009:05:28,23:04:04.902,00,0070.5,0073.9,00000773,0163.1,03\r\n",
        ),
        (
            datetime(2014, 1, 14, 20, 53, 22, 283_000, tzinfo=UTC),
            (0, -47.6, 16.9, 316, 28.0, 2),
            b"2014:01:14,20:53:22.283,00,-47.6,0016.9,00000316,0028.0,02\r\n",
        ),
    ],
)
def test_lines_of_a_click_512_are_those_of_its_guide(at, fields, data):
    assert wavetronix.line(at, *fields) == data


# --- drivers read what the devices say ------------------------------------------------------------------------------

TALKERS = [
    ("a02yyuw", A02yyuw, {"sum_all": False}, {"sum": "data"}),
    ("maxbotix", Maxbotix, {}, {}),
    ("maxbotix", Maxbotix, {"reach": 10}, {}),
    ("maxbotix", Maxbotix, {"mount_height": 5.0}, {"mount_height": 5.0}),
    ("tfmini", Tfmini, {}, {}),
    ("ld2451", Ld2451, {}, {}),
    ("ld2451", Ld2451, {"between": 1.5, "doubled": True, "silent_when_empty": True}, {}),
    ("ops243", Ops243, {"json": True}, {}),
    ("ops243", Ops243, {"json": True, "reports": 4}, {}),
    ("wavetronix", Wavetronix, {}, {}),
    ("wavetronix", Wavetronix, {"units": "metric"}, {"units": "metric"}),
]


def heard(name, tape, **settings):
    driver = load(name)
    decoder = driver.make(driver.settings(**settings))
    return [*decoder.feed(tape.data), *decoder.end()]


@pytest.mark.parametrize(("name", "kind", "options", "settings"), TALKERS)
def test_a_driver_reads_what_the_device_said(name, kind, options, settings):
    tape = Tape()
    device = kind("one", tape, random.Random(5), **options)
    for _ in range(300):
        device.speak()
    items = heard(name, tape, **settings)
    assert not [item for item in items if isinstance(item, Fault)]
    agrees(device.emitted, items)


@pytest.mark.parametrize(("name", "kind", "options", "settings"), TALKERS)
@pytest.mark.parametrize("ailment", [Ailment.GARBAGE, Ailment.CHECKSUM, Ailment.TRUNCATED])
def test_a_driver_reads_what_a_device_says_between_its_fits(name, kind, options, settings, ailment):
    tape = Tape()
    device = kind("one", tape, random.Random(6), **options)
    for turn in range(200):
        device.ailment = ailment if turn % 4 == 1 else None
        device.speak()
    items = heard(name, tape, **settings)
    assert [item for item in items if isinstance(item, Fault)]
    agrees(device.emitted, items)


@pytest.mark.parametrize(
    ("name", "kind", "options", "state"),
    [
        ("a02yyuw", A02yyuw, {}, {"near": True}),
        ("maxbotix", Maxbotix, {}, {"echo": False}),
        ("maxbotix", Maxbotix, {}, {"near": True}),
        ("maxbotix", Maxbotix, {"reach": 10}, {"echo": False}),
        ("maxbotix", Maxbotix, {"reach": 10}, {"near": True}),
        ("tfmini", Tfmini, {}, {"echo": False}),
        ("tfmini", Tfmini, {"code": -1}, {"echo": False}),
        ("tfmini", Tfmini, {}, {"glare": True}),
        ("ops243", Ops243, {"blank": "BZ"}, {"vehicle": None}),
        ("ops243", Ops243, {"blank": "BL"}, {"vehicle": None}),
        ("ops243", Ops243, {"json": True, "blank": "BL"}, {"vehicle": None}),
        ("wavetronix", Wavetronix, {}, {"wrong_way": True}),
    ],
)
def test_a_driver_says_why_there_is_nothing_and_what_is_wrong(name, kind, options, state):
    tape = Tape()
    device = kind("one", tape, random.Random(7), **options)
    for key, value in state.items():
        setattr(device, key, value)
    device.speak()
    device.speak()
    items = heard(name, tape)
    assert not [item for item in items if isinstance(item, Fault)]
    agrees(device.emitted, items)


def test_a_sensor_that_needs_a_trigger_speaks_when_the_driver_prompts_it():
    tape = Tape()
    device = A02yyuw("one", tape, random.Random(8), triggered=True)
    driver = load("a02yyuw")
    assert driver.prompt(driver.settings()) is None
    prompt = driver.prompt(driver.settings(trigger=0.5))
    assert prompt.every == 0.5
    tape.say(prompt.data)
    tape.write(prompt.data)  # the adapter echoes
    items = heard("a02yyuw", tape)
    assert not [item for item in items if isinstance(item, Fault)]
    agrees(device.emitted, items)


def test_a_sensor_of_the_wrong_polarity_is_asked_for():
    tape = Tape()
    device = Maxbotix("one", tape, random.Random(8))
    device.inverted = True
    for _ in range(100):
        device.speak()
    items = heard("maxbotix", tape)
    assert {type(item) for item in items} == {Fault}
    assert len(items) < 10
    assert all("inverted" in fault.detail for fault in items)


@pytest.mark.parametrize(
    ("name", "kind", "command"),
    [
        ("ld2451", Ld2451, ld2451.command(ld2451.ENABLE, b"\x01\x00")),
        ("tfmini", Tfmini, tfmini.summed(bytes((0x5A, 4, tfmini.GET_VERSION)))),
        ("ops243", Ops243, b"U?\r\n"),
    ],
)
def test_answers_to_commands_are_passed_over(name, kind, command):
    tape = Tape()
    device = kind("one", tape, random.Random(9))
    device.speak()
    before = len(tape.data)
    tape.say(command)
    assert len(tape.data) > before
    device.speak()
    items = heard(name, tape)
    assert not [item for item in items if isinstance(item, Fault)]
    agrees(device.emitted, items)


def test_devices_that_are_set_up_or_switched_off_say_nothing():
    tape = Tape()
    radar = Ld2451("one", tape, random.Random(9))
    tape.say(ld2451.command(ld2451.ENABLE, b"\x01\x00"))
    radar.speak()
    assert radar.emitted == []
    tape.say(ld2451.command(ld2451.END))
    radar.speak()
    assert radar.emitted
    lidar = Tfmini("two", tape, random.Random(9))
    tape.say(tfmini.summed(bytes((0x5A, 5, tfmini.SWITCH_OUTPUT, 0))))
    lidar.speak()
    assert lidar.emitted == []


def test_a_radar_tells_its_unit_and_the_driver_believes_it():
    tape = Tape()
    device = Ops243("one", tape, random.Random(9))
    tape.say(b"US\r\n")
    device.speak()
    items = heard("ops243", tape)
    agrees([one for one in device.emitted if one.quantity == "vehicle_speed"], items)


# --- vehicles are counted once --------------------------------------------------------------------------------------


@pytest.mark.parametrize("doubled", [False, True])
@pytest.mark.parametrize("silent_when_empty", [False, True])
@pytest.mark.parametrize("seed", range(2))
def test_each_vehicle_goes_up_once_however_many_echoes_it_gave(seed, doubled, silent_when_empty):
    tape = Tape()
    radar = Ld2451("one", tape, random.Random(seed), between=6.0, doubled=doubled, silent_when_empty=silent_when_empty)
    driver = load("ld2451")
    decoder = driver.timed(driver.settings())
    items = []
    for turn in range(3000):  # five minutes
        at = turn / 10
        while (due := decoder.due()) is not None and due <= at:
            items += decoder.tick(due)
        tape.data = b""
        radar.speak()
        items += decoder.feed(tape.data, at)
    speeds = [item.value for item in items if isinstance(item, Measurement) and item.quantity == "vehicle_speed"]
    assert radar.passed > 30
    # Two that are side by side at one speed are one to a radar; some are still in sight.
    assert 0.95 * radar.passed <= len(speeds) <= radar.passed
    assert len(speeds) <= sum(decoder.memory().values()) <= len(speeds) + len(radar.road) + 2
    assert len(items) < 6 * len(speeds)
