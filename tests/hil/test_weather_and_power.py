"""Simulated weather stations and Victron devices against recorded bytes, and against their drivers."""

import random

import pytest

from drivers.contract import Fault, FaultKind, Measurement, Reason
from drivers.registry import load
from hil.devices import vantage, vedirect, wxt53x
from hil.devices.talker import Ailment
from hil.devices.vantage import Vantage, Weather
from hil.devices.vedirect import Charger, Shunt
from hil.devices.wxt53x import Wxt53x
from tests.hil.test_against_drivers import agrees
from tests.hil.test_devices import Tape

# --- bytes of real devices and of their documents -------------------------------------------------------------------


def test_blocks_are_the_recorded_ones():
    shunt = [
        ("PID", "0xA389"), ("V", "12865"), ("VS", "-14"), ("I", "0"), ("P", "0"), ("CE", "0"), ("SOC", "1000"),
        ("TTG", "-1"), ("Alarm", "OFF"), ("AR", "0"), ("BMV", "SmartShunt 500A/50mV"), ("FW", "0405"),
    ]  # fmt: skip
    assert vedirect.block(shunt)[-11:] == b"\nChecksum\tL"
    charger = [
        ("PID", "0xA069"), ("FW", "161"), ("SER#", "HQ2104VESU7"), ("V", "27350"), ("I", "5100"), ("VPV", "106630"),
        ("PPV", "142"), ("CS", "3"), ("MPPT", "2"), ("OR", "0x00000000"), ("ERR", "0"), ("LOAD", "OFF"),
        ("Relay", "OFF"), ("H19", "62753"), ("H20", "20"), ("H21", "141"), ("H22", "67"), ("H23", "322"),
        ("HSDS", "259"),
    ]  # fmt: skip
    assert vedirect.block(charger)[-1:] == b"\x87"


@pytest.mark.parametrize(
    ("head", "values", "data"),
    [
        (
            "0R1",
            {"Dn": 160, "Dm": 182, "Dx": 197, "Sn": 3.0, "Sm": 4.1, "Sx": 5.8},
            b"0R1,Dn=160D,Dm=182D,Dx=197D,Sn=3.0M,Sm=4.1M,Sx=5.8M\r\n",
        ),
        (
            "0R3",
            {"Rc": 0.01, "Rd": 10, "Ri": 0.6, "Hc": 0, "Hd": 0, "Hi": 0},
            b"0R3,Rc=0.01M,Rd=10s,Ri=0.6M,Hc=0.0M,Hd=0s,Hi=0.0M\r\n",
        ),
        ("0R5", {"Th": 16.0, "Vh": 14.1, "Vs": 14.3, "Vr": 3.621}, b"0R5,Th=16.0C,Vh=14.1N,Vs=14.3V,Vr=3.621V\r\n"),
        ("0R2", {"Ta": 24.6, "Ua": 36.9, "Pa": 1027.6}, b"0R2,Ta=24.6C,Ua=36.9P,Pa=1027.6H\r\n"),
        ("0r2", {"Ta": 22.7, "Ua": 55.5, "Pa": 1004.7}, b"0r2,Ta=22.7C,Ua=55.5P,Pa=1004.7H@Fn\r\n"),
    ],
)
def test_messages_are_the_recorded_ones(head, values, data):
    assert wxt53x.message(head, values) == data


def test_a_packet_is_the_recorded_one():
    now = Weather(29_985, 730, 57, 721, 4, 5, 355, 78)
    assert vantage.loop(now, trend=20, next_record=830) == bytes.fromhex(
        "4C4F4F14003E032175DA0239D10204056301FFFFFFFFFFFFFFFFFFFFFFFFFFFFFF4EFFFFFFFFFFFFFF0000FFFF7F0000FFFF0000"
        "00000000000000000000FFFFFFFFFFFFFF0000000000000000000000000000000000002703064B26023E070A0D1163"
    )


# --- against the drivers --------------------------------------------------------------------------------------------

TALKERS = [("vedirect", Charger), ("vedirect", Shunt), ("wxt53x", Wxt53x)]


@pytest.mark.parametrize(("name", "kind"), TALKERS)
def test_a_driver_reads_what_the_device_said(name, kind):
    tape = Tape()
    device = kind("one", tape, random.Random(5))
    for _ in range(50):
        device.speak()
    driver = load(name)
    items = driver.make(driver.settings()).feed(tape.data)
    assert not [item for item in items if isinstance(item, Fault)]
    agrees(device.emitted, items)


@pytest.mark.parametrize(("name", "kind"), [("vedirect", Charger), ("wxt53x", Wxt53x)])
@pytest.mark.parametrize("ailment", [Ailment.GARBAGE, Ailment.TRUNCATED])
def test_a_driver_reads_what_a_device_says_between_its_fits(name, kind, ailment):
    tape = Tape()
    device = kind("one", tape, random.Random(6))
    heard = []
    driver = load(name)
    decoder = driver.make(driver.settings())
    for turn in range(40):
        device.ailment = ailment if turn % 4 == 1 else None
        tape.data = b""
        device.speak()
        items = decoder.feed(tape.data)
        heard += [item for item in items if isinstance(item, Fault)]
    assert 10 <= len(heard) <= 60
    assert {item.kind for item in heard} <= set(driver.faults)


@pytest.mark.parametrize(
    ("kind", "attribute", "value"),
    [(Charger, "night", True), (Charger, "configured", True), (Shunt, "synchronised", False)],
)
def test_victron_devices_in_their_other_states(kind, attribute, value):
    tape = Tape()
    device = kind("one", tape, random.Random(7))
    setattr(device, attribute, value)
    for _ in range(3):
        device.speak()
    driver = load("vedirect")
    items = driver.make(driver.settings()).feed(tape.data)
    assert not [item for item in items if isinstance(item, Fault)]
    agrees(device.emitted, items)


def test_a_transmitter_whose_wind_is_blocked_says_so():
    tape = Tape()
    device = Wxt53x("one", tape, random.Random(7))
    device.blocked = True
    device.speak()
    driver = load("wxt53x")
    agrees(device.emitted, driver.make(driver.settings()).feed(tape.data))
    assert Reason.INVALID in {emission.reason for emission in device.emitted}


@pytest.mark.parametrize("ask", ["all", "composite"])
def test_a_polled_transmitter_answers_with_crc(ask):
    tape = Tape()
    device = Wxt53x("one", tape, random.Random(7), automatic=False)
    driver = load("wxt53x")
    settings = driver.settings(ask=ask)
    device.speak()
    assert tape.data == b""
    tape.say(driver.prompt(settings).data)
    assert tape.data.startswith(b"0r")
    items = driver.make(settings).feed(tape.data)
    assert not [item for item in items if isinstance(item, Fault)]
    agrees(device.emitted, items)


def test_a_transmitter_wants_the_crc_that_belongs_to_a_small_r():
    tape = Tape()
    Wxt53x("one", tape, random.Random(7), automatic=False)
    tape.say(b"0r1abc\r\n")
    assert tape.data == b"0tX,Use chksum GoeIU~\r\n"


def converse(tape: Tape, poll) -> list:
    """Let a poll talk to the console; a request without an answer has its time run out."""
    answer = None
    try:
        while True:
            ask = poll.send(answer)
            tape.data = b""
            tape.say(ask.request)
            answer = ask.find(tape.data)
    except StopIteration as end:
        return end.value


@pytest.mark.parametrize("state", [None, "old", "lost"])
def test_a_console_is_woken_and_asked_for_both_packets(state):
    tape = Tape()
    console = Vantage("one", tape, random.Random(3))
    if state:
        setattr(console, state, True)
    driver = load("vantage")
    poller = driver.make(driver.settings())
    for _ in range(3):
        console.emitted.clear()
        items = converse(tape, poller.poll())
        assert not [item for item in items if isinstance(item, Fault)]
        last = {emission.quantity: emission for emission in console.emitted}
        agrees(list(last.values()), items)
        assert len({item.quantity for item in items}) == len(items)
        assert ("wind_gust" in last) == (state != "old")


@pytest.mark.parametrize(
    ("ailment", "kind"),
    [
        (Ailment.SILENT, FaultKind.NO_REPLY),
        (Ailment.CHECKSUM, FaultKind.CHECKSUM),
        (Ailment.TRUNCATED, FaultKind.TRUNCATED),
        (Ailment.GARBAGE, FaultKind.GARBAGE),
    ],
)
def test_a_console_that_is_ill_makes_faults_and_no_values(ailment, kind):
    tape = Tape()
    console = Vantage("one", tape, random.Random(3))
    console.ailment = ailment
    driver = load("vantage")
    items = converse(tape, driver.make(driver.settings()).poll())
    assert {item.kind for item in items if isinstance(item, Fault)} == {kind}
    assert not [item for item in items if isinstance(item, Measurement)]
