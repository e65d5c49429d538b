"""The simulated air sensors: against recorded bytes, against our drivers, and what they do when told to."""

import random
import struct

import pytest

from drivers.contract import Fault, FaultKind, Reason
from drivers.registry import load
from drivers.shdlc import unescape
from hil.devices import hpma115, mhz19, plantower, sds011, sps30, winsen
from hil.devices.hpma115 import Hpma115
from hil.devices.mhz19 import Mhz19
from hil.devices.plantower import Plantower
from hil.devices.sds011 import Sds011
from hil.devices.sps30 import Sps30
from hil.devices.talker import Ailment
from hil.devices.winsen import Winsen
from tests.drivers.feeding import answered, measurements, values
from tests.drivers.recordings import recordings
from tests.hil.test_against_drivers import agrees
from tests.hil.test_devices import Tape

DEVICES = [
    ("plantower", Plantower, {}, {}),
    ("plantower", Plantower, {"kind": "pms3003"}, {}),
    ("plantower", Plantower, {"kind": "pms5003t"}, {}),
    ("plantower", Plantower, {"kind": "pms5003s"}, {}),
    ("plantower", Plantower, {"kind": "pms5003st"}, {}),
    ("sds011", Sds011, {}, {}),
    ("sds011", Sds011, {"coarse": True}, {}),
    ("sps30", Sps30, {}, {}),
    ("hpma115", Hpma115, {}, {}),
    ("hpma115", Hpma115, {"compact": True}, {}),
    ("hpma115", Hpma115, {"speaks": True}, {}),
    ("hpma115", Hpma115, {"speaks": True, "compact": True}, {}),
    ("mhz19", Mhz19, {}, {}),
    ("mhz19", Mhz19, {"limit": 600}, {"limit": 600}),
    ("winsen", Winsen, {}, {}),
    ("winsen", Winsen, {"kind": "ze08_ch2o"}, {}),
    ("winsen", Winsen, {"kind": "ze25_o3"}, {}),
    ("winsen", Winsen, {"kind": "zh03b"}, {}),
    ("winsen", Winsen, {"kind": "zh03b", "asked": True}, {}),
    ("winsen", Winsen, {"kind": "ze08_ch2o", "asked": True}, {}),
    ("winsen", Winsen, {"asked": True}, {"measures": "co"}),
    ("winsen", Winsen, {"kind": "ze25_o3", "asked": True}, {"measures": "o3"}),
]


@pytest.fixture
def tape():
    return Tape()


def made(device, tape, **options):
    return device("air-1", tape, random.Random(5), **options)


def read(name, data, **settings):
    driver = load(name)
    decoder = (getattr(driver, "overhear", None) or driver.make)(driver.settings(**settings))
    return [*decoder.feed(data), *decoder.end()]


@pytest.mark.parametrize(("name", "kind", "options", "settings"), DEVICES)
def test_a_driver_reads_what_the_device_said(name, kind, options, settings, tape):
    device = made(kind, tape, **options)
    for _ in range(50):
        device.utter(device.compose())
    items = read(name, tape.data, **settings)
    assert not [item for item in items if isinstance(item, Fault)]
    agrees(device.emitted, items)


@pytest.mark.parametrize(("name", "kind", "options", "settings"), DEVICES)
@pytest.mark.parametrize("ailment", [Ailment.GARBAGE, Ailment.CHECKSUM, Ailment.TRUNCATED])
def test_a_driver_reads_what_a_device_says_between_its_fits(name, kind, options, settings, ailment, tape):
    device = made(kind, tape, **options)
    for turn in range(40):
        device.ailment = ailment if turn % 4 == 1 else None
        device.utter(device.compose())
    items = read(name, tape.data, **settings)
    assert [item for item in items if isinstance(item, Fault)]
    agrees(device.emitted, items)


@pytest.mark.parametrize(
    ("name", "kind", "options", "state"),
    [
        ("plantower", Plantower, {}, {"error": 2}),
        ("plantower", Plantower, {"kind": "pms5003t"}, {"error": 2}),
        ("sds011", Sds011, {}, {"fan": False}),
        ("sds011", Sds011, {"coarse": True}, {"fan": False}),
        ("sps30", Sps30, {}, {"fault": True}),
        ("hpma115", Hpma115, {}, {"fan": False}),
        ("hpma115", Hpma115, {"speaks": True, "compact": True}, {"fan": False}),
        ("mhz19", Mhz19, {}, {"booting": True}),
        ("winsen", Winsen, {}, {"failed": True}),
        ("winsen", Winsen, {}, {"foul": True}),
        ("winsen", Winsen, {"kind": "zh03b"}, {"fan": False}),
    ],
)
def test_a_driver_says_why_there_is_nothing(name, kind, options, state, tape):
    device = made(kind, tape, **options)
    for key, value in state.items():
        setattr(device, key, value)
    device.speak()
    items = read(name, tape.data)
    assert any(item.reason for item in measurements(items))
    agrees(device.emitted, items)


# --- the same bytes as a real one ---


def words(data, layout=None):
    return struct.unpack(layout or f">{(len(data) - 6) // 2}H", data[4:-2])


def rebuilt(name, data):
    """Return what the simulator makes of the values in one recorded frame."""
    match name, data[:2].hex():
        case "plantower", _:
            return plantower.packed(words(data))
        case "sds011", _:
            low, high = struct.unpack("<2H", data[2:6])
            return sds011.frame(data[1], low, high, int.from_bytes(data[6:8], "big"))
        case "hpma115", _:
            size = (len(data) - 4) // 2
            return hpma115.asked(struct.unpack(f">{size}H", data[3:-1])[: 4 if size > 2 else 2])
        case "mhz19", _:
            ppm, temperature, status, last = struct.unpack(">HBBH", data[2:8])
            return mhz19.reading(ppm, temperature=temperature - 40, status=status, last=last)
        case "winsen", "ff86":
            return winsen.answer(*struct.unpack(">3H", data[2:8]))
        case _:
            return winsen.unasked(*struct.unpack(">4B2H", data[:8])[1:])


@pytest.mark.parametrize("name", ["plantower", "sds011", "hpma115", "mhz19", "winsen"])
def test_each_good_frame_that_was_recorded_is_made_again_bit_for_bit(name):
    plain = [recording for recording in recordings(name) if "; recorded" in recording.head[0]]
    frames = [recording.data for recording in plain if not any("fault" in line for line in recording.expected)]
    assert [rebuilt(name, frame) for frame in frames] == frames
    assert frames


def test_the_examples_of_the_manuals_are_made_bit_for_bit():
    assert hpma115.asked([48, 49]) == bytes.fromhex("40 05 04 00 30 00 31 56")
    assert hpma115.asked([48, 49, 50, 51]) == bytes.fromhex("40 0D 04 00 30 00 31 00 32 00 33 00 00 00 00 E9")
    assert sds011.frame(sds011.REPORT, 1236, 2618, 0xA160) == bytes.fromhex("AA C0 D4 04 3A 0A A1 60 1D AB")
    assert winsen.answer(42, 0, 32) == bytes.fromhex("FF 86 00 2A 00 00 00 20 30")
    assert winsen.unasked(0x17, 4, 0, 37, 5000) == bytes.fromhex("FF 17 04 00 00 25 13 88 25")


def test_each_answer_of_an_sps30_that_was_recorded_is_made_again_bit_for_bit():
    answers = [recording for recording in recordings("sps30") if recording.data[1:5] == b"\0\x03\0\x28"]
    answers = [recording for recording in answers if "; recorded" in recording.head[0]]
    for recording in answers:
        assert sps30.values(struct.unpack(">10f", unescape(recording.data)[5:45])) == recording.data
    assert len(answers) == 10


# --- commands ---


def test_a_plantower_sleeps_wakes_with_zeros_and_can_be_asked(tape):
    device = made(Plantower, tape)
    tape.say(bytes.fromhex("42 4D E4 00 00 01 73"))
    assert tape.data == bytes.fromhex("42 4D 00 04 E4 00 01 77")
    device.speak()
    assert not device.emitted
    tape.say(bytes.fromhex("42 4D E4 00 01 01 74"))
    device.speak()
    assert {emission.reason for emission in device.emitted} == {Reason.WARMING_UP}
    tape.say(bytes.fromhex("42 4D E1 00 00 01 70"))
    before = len(device.emitted)
    device.speak()
    assert len(device.emitted) == before
    tape.say(bytes.fromhex("42 4D E2 00 00 01 71"))
    assert len(device.emitted) > before


def test_an_sds011_takes_the_working_period_that_our_driver_sends_although_it_slept(tape):
    driver = load("sds011")
    assert driver.prompt(driver.settings()) is None
    device = made(Sds011, tape)
    tape.say(bytes.fromhex("AA B4 06 01 00 00 00 00 00 00 00 00 00 00 00 FF FF 05 AB"))
    assert tape.data == bytes.fromhex("AA C5 06 01 00 00 A1 60 08 AB")
    device.speak()
    assert not device.emitted
    prompt = driver.prompt(driver.settings(period=5))
    tape.say(prompt.data)
    assert device.period == 5
    assert prompt.pause == 300
    device.speak()
    assert device.emitted


def test_an_sds011_in_query_mode_speaks_when_asked(tape):
    device = made(Sds011, tape)
    tape.say(bytes.fromhex("AA B4 02 01 01 00 00 00 00 00 00 00 00 00 00 FF FF 02 AB"))
    device.speak()
    assert not device.emitted
    tape.say(bytes.fromhex("AA B4 04 00 00 00 00 00 00 00 00 00 00 00 00 FF FF 02 AB"))
    assert device.emitted


def test_a_winsen_is_asked_by_our_prompt_once_it_was_switched_to_questions(tape):
    driver = load("winsen")
    assert driver.prompt(driver.settings()) is None
    device = made(Winsen, tape)
    tape.say(bytes.fromhex("FF 01 78 41 00 00 00 00 46"))
    assert device.asked
    tape.say(driver.prompt(driver.settings(ask_every=10)).data)
    assert values(read("winsen", tape.data, measures="co"))["co"] == device.emitted[0].value


# --- polls ---


def polled(name, tape, **settings):
    """Let our driver ask once; return what came of it."""
    driver = load(name)

    def line(ask):
        before = len(tape.data)
        tape.say(ask.request)
        return tape.data[before:]

    return answered(driver.make(driver.settings(**settings)).poll(), line)


@pytest.mark.parametrize(("name", "kind"), [("hpma115", Hpma115), ("mhz19", Mhz19)])
def test_a_driver_asks_and_is_answered(name, kind, tape):
    device = made(kind, tape)
    items = polled(name, tape)
    agrees(device.emitted, items)


def test_an_sps30_is_started_when_it_refuses_and_read_from_then_on(tape):
    device = made(Sps30, tape)
    [fault] = polled("sps30", tape)
    assert fault.kind is FaultKind.REFUSED
    assert device.measuring
    device.fresh = False
    assert polled("sps30", tape) == []
    device.fresh = True
    items = polled("sps30", tape)
    agrees(device.emitted, items)


def test_an_sps30_that_sleeps_is_woken(tape):
    device = made(Sps30, tape)
    device.asleep = True
    [fault] = polled("sps30", tape)
    assert fault.kind is FaultKind.NO_REPLY
    assert device.measuring
    assert not device.asleep


def test_an_hpma115_that_was_stopped_is_started(tape):
    device = made(Hpma115, tape)
    device.measuring = False
    [fault] = polled("hpma115", tape)
    assert fault.kind is FaultKind.REFUSED
    assert device.measuring
    items = polled("hpma115", tape)
    agrees(device.emitted, items)


@pytest.mark.parametrize(("name", "kind"), [("hpma115", Hpma115), ("mhz19", Mhz19), ("sps30", Sps30)])
@pytest.mark.parametrize(
    ("ailment", "kinds"),
    [
        (Ailment.SILENT, {FaultKind.NO_REPLY}),
        (Ailment.GARBAGE, {FaultKind.GARBAGE}),
        (Ailment.CHECKSUM, {FaultKind.CHECKSUM}),
        (Ailment.TRUNCATED, {FaultKind.TRUNCATED}),
    ],
)
def test_a_driver_says_what_was_wrong_with_an_answer(name, kind, ailment, kinds, tape):
    device = made(kind, tape)
    if kind is Sps30:
        device.measuring = True
    device.ailment = ailment
    assert {item.kind for item in polled(name, tape)} == kinds
