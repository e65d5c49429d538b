"""Each simulated device against bytes that a real one sent, or that its datasheet prints."""

import asyncio
import random
import struct
from typing import Any

import pytest

from drivers.contract import Reason
from hil.devices import a02yyuw, modbus, nmea, plantower
from hil.devices.a02yyuw import A02yyuw
from hil.devices.nmea import Nmea
from hil.devices.plantower import Plantower
from hil.devices.sdm120 import Sdm120
from hil.devices.talker import Ailment
from tests.hil.waiting import until


class Tape:
    """A wire that remembers what was written to it."""

    def __init__(self) -> None:
        self.data = b""
        self.say: Any = None

    def write(self, data: bytes) -> int:
        self.data += data
        return len(self.data)

    def listen(self, heard: Any) -> None:
        self.say = heard


@pytest.fixture
def tape() -> Tape:
    return Tape()


@pytest.fixture
def chance() -> random.Random:
    return random.Random(7)


# A PMS7003 in clean air, and an A01NYUB over water: recorded from devices. SDM120: the maker's protocol document.
PMS = bytes.fromhex("424d001c0000000800080000000800 0800d20046002d001e00000000970002c5".replace(" ", ""))
READ_VOLTAGE = bytes.fromhex("01 04 00 00 00 02 71 CB")


def test_a_plantower_frame_is_the_recorded_one():
    assert plantower.packed([0, 8, 8, 0, 8, 8, 210, 70, 45, 30, 0, 0, 0x9700]) == PMS


def test_a_plantower_says_the_words_for_air_and_not_the_factory_ones(tape, chance):
    device = Plantower("air-1", tape, chance)
    device.speak()
    words = struct.unpack(">14H", tape.data[4:32])
    assert [emission.value for emission in device.emitted[:3]] == list(words[3:6])
    assert [emission.value for emission in device.emitted[3:]] == [count / 100 for count in words[6:12]]
    assert [emission.quantity for emission in device.emitted[:3]] == ["pm1", "pm2_5", "pm10"]
    assert {(emission.start, emission.end) for emission in device.emitted} == {(0, 32)}
    assert sum(tape.data[:30]) == words[13]


@pytest.mark.parametrize(("millimetres", "data"), [(925, "FF 03 9D 9F"), (914, "FF 03 92 94"), (0, "FF 00 00 FF")])
def test_an_a02yyuw_frame_is_the_recorded_one(millimetres, data):
    assert a02yyuw.frame(millimetres) == bytes.fromhex(data)


def test_an_a02yyuw_says_a_distance_or_with_a_mount_height_a_level(tape, chance):
    A02yyuw("level-1", tape, chance).speak()
    device = A02yyuw("level-1", tape, chance, mount_height=5.0)
    device.speak()
    [level] = device.emitted
    assert level.quantity == "water_level"
    assert level.value == pytest.approx(5 - int.from_bytes(tape.data[5:7], "big") / 1000)


def test_an_a02yyuw_without_echo_says_so(tape, chance):
    device = A02yyuw("level-1", tape, chance)
    device.echo = False
    device.speak()
    [emission] = device.emitted
    assert (emission.value, emission.reason) == (None, Reason.NO_ECHO)
    assert tape.data == bytes.fromhex("FF 00 00 FF")


def test_an_nmea_sentence_has_the_checksum_of_a_recorded_one():
    body = "GNGGA,223745.00,3806.62964,N,12237.61382,W,2,12,0.54,83.1,M,-29.5,M,,0000"
    assert nmea.sentence(body) == f"${body}*44\r\n".encode()


@pytest.mark.parametrize(
    ("degrees", "digits", "fields"),
    [(38.110494, 2, "3806.62964,N"), (-122.626897, 3, "12237.61382,W"), (7.99999999, 2, "0800.00000,N")],
)
def test_an_angle_is_degrees_and_minutes(degrees, digits, fields):
    positive, negative = ("N", "S") if digits == 2 else ("E", "W")
    assert nmea.angle(degrees, digits, positive, negative) == fields


def test_a_receiver_says_what_its_sentences_carry(tape, chance):
    device = Nmea("gnss-1", tape, chance)
    device.speak()
    said = {emission.quantity: emission for emission in device.emitted}
    assert set(said) == {"speed", "latitude", "longitude", "altitude", "satellites", "hdop"}
    gga = tape.data[said["hdop"].start : said["hdop"].end].decode().split(",")
    assert gga[0] == "$GNGGA"
    degrees, minutes = int(gga[2][:2]), float(gga[2][2:])
    assert said["latitude"].value == pytest.approx(degrees + minutes / 60, abs=1e-9)
    assert (said["satellites"].value, said["hdop"].value) == (int(gga[7]), float(gga[8]))
    rmc = tape.data[said["speed"].start : said["speed"].end].decode().split(",")
    assert said["speed"].value == pytest.approx(float(rmc[7]) * 0.514444, abs=1e-6)


def test_a_receiver_without_a_fix_gives_no_position(tape, chance):
    device = Nmea("gnss-1", tape, chance)
    device.fix = False
    device.speak()
    assert b",V," in tape.data
    assert {emission.reason for emission in device.emitted} == {Reason.NO_FIX}


@pytest.mark.parametrize("kind", [Plantower, A02yyuw, Nmea])
@pytest.mark.parametrize("ailment", list(Ailment))
def test_an_ill_device_emits_nothing_and_gets_well(kind, ailment, tape, chance):
    device = kind("ill-1", tape, chance)
    device.ailment = ailment
    device.speak()
    assert device.emitted == []
    assert bool(tape.data) is (ailment is not Ailment.SILENT)
    device.ailment = None
    device.speak()
    assert device.emitted


def test_the_same_seed_says_the_same():
    tapes = [Tape(), Tape()]
    for tape in tapes:
        device = Plantower("air-1", tape, random.Random(3))
        for _ in range(20):
            device.speak()
    assert tapes[0].data == tapes[1].data


# --- the meter ---


def test_the_crc_is_that_of_the_makers_document():
    assert modbus.crc(READ_VOLTAGE[:6]) == READ_VOLTAGE[6:]
    assert modbus.crc(bytes.fromhex("01 84 02")) == bytes.fromhex("C2 C1")


@pytest.fixture
async def meter(tape, chance):
    device = Sdm120("meter-1", tape, chance, delay=(0, 0))
    task = asyncio.create_task(device.run())
    yield device
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_meter_answers_a_request_for_its_voltage(tape, meter):
    tape.say(READ_VOLTAGE)
    await until(lambda: tape.data)
    assert tape.data[:3] == bytes.fromhex("01 04 04")
    assert modbus.crc(tape.data[:-2]) == tape.data[-2:]
    [emission] = meter.emitted
    assert (emission.quantity, emission.unit) == ("voltage", "V")
    assert emission.value == struct.unpack(">f", tape.data[3:7])[0]


async def test_a_meter_answers_many_registers_at_once_with_zero_where_there_is_nothing(tape, meter):
    request = bytes.fromhex("01 04 00 00 00 4C")
    tape.say(b"\x00" + request + modbus.crc(request))
    await until(lambda: tape.data)
    assert len(tape.data) == 3 + 0x4C * 2 + 2
    assert tape.data[7:15] == bytes(8)
    assert [emission.quantity for emission in meter.emitted] == [
        "voltage", "current", "active_power", "apparent_power", "reactive_power", "power_factor", "frequency",
        "energy_import", "energy_export",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("request_", "code"),
    [("01 03 00 00 00 02", 1), ("01 04 02 00 00 02", 2), ("01 04 00 01 00 02", 2), ("01 04 00 00 00 52", 3)],
)
async def test_a_meter_refuses_what_it_does_not_have(tape, meter, request_, code):
    request = bytes.fromhex(request_)
    tape.say(request + modbus.crc(request))
    await until(lambda: tape.data)
    assert tape.data[:3] == bytes([1, request[1] | 0x80, code])
    assert meter.emitted == []


async def test_a_meter_ignores_others_and_broken_requests(tape, meter):
    other = bytes.fromhex("02 04 00 00 00 02")
    tape.say(other + modbus.crc(other))
    tape.say(READ_VOLTAGE[:-1] + b"\x00")
    tape.say(READ_VOLTAGE[:4])
    tape.say(READ_VOLTAGE[4:7])
    assert tape.data == b""
    tape.say(READ_VOLTAGE)
    await until(lambda: tape.data)
    assert len(meter.emitted) == 1


def test_a_meter_shows_what_a_bad_line_does_to_its_answers(tape, chance):
    meter = Sdm120("meter-1", tape, chance)
    meter.leading_zero = meter.echo = True
    meter.answer(READ_VOLTAGE)
    assert tape.data.startswith(READ_VOLTAGE + b"\x00\x01\x04\x04")
    [emission] = meter.emitted
    assert (emission.start, emission.end) == (9, 18)


@pytest.mark.parametrize("ailment", list(Ailment))
def test_an_ill_meter_emits_nothing(tape, chance, ailment):
    meter = Sdm120("meter-1", tape, chance)
    meter.ailment = ailment
    meter.answer(READ_VOLTAGE)
    assert meter.emitted == []
