"""The simulated devices and our drivers were written apart, from the makers' documents: here each checks the other."""

import random

import pytest

from drivers.contract import Fault, Measurement
from drivers.registry import load
from hil.devices.a02yyuw import A02yyuw
from hil.devices.nmea import Nmea
from hil.devices.plantower import Plantower
from hil.devices.sdm120 import Sdm120
from hil.devices.talker import Ailment
from hil.emissions import Emission
from tests.hil.test_devices import Tape


def agrees(emitted: list[Emission], items: list) -> None:
    """Everything that was emitted is measured, in the order of each quantity."""
    assert emitted
    for quantity in {emission.quantity for emission in emitted}:
        said = [emission for emission in emitted if emission.quantity == quantity]
        read = [item for item in items if isinstance(item, Measurement) and item.quantity == quantity]
        assert len(read) == len(said)
        for item, emission in zip(read, said, strict=True):
            assert item.reason == emission.reason
            if emission.value is not None:
                assert item.value == pytest.approx(emission.value, abs=emission.step / 2 + 1e-9, rel=0)


TALKERS = [
    ("plantower", Plantower, {}, {}),
    ("a02yyuw", A02yyuw, {}, {}),
    ("a02yyuw", A02yyuw, {"mount_height": 5.0}, {"mount_height": 5.0}),
    ("nmea", Nmea, {}, {}),
]


@pytest.mark.parametrize(("name", "kind", "options", "settings"), TALKERS)
def test_a_driver_reads_what_the_device_said(name, kind, options, settings):
    tape = Tape()
    device = kind("one", tape, random.Random(5), **options)
    for _ in range(50):
        device.speak()
    driver = load(name)
    items = driver.make(driver.settings(**settings)).feed(tape.data)
    assert not [item for item in items if isinstance(item, Fault)]
    agrees(device.emitted, items)


@pytest.mark.parametrize(("name", "kind", "options", "settings"), TALKERS)
@pytest.mark.parametrize("ailment", [Ailment.GARBAGE, Ailment.CHECKSUM, Ailment.TRUNCATED])
def test_a_driver_reads_what_a_device_says_between_its_fits(name, kind, options, settings, ailment):
    tape = Tape()
    device = kind("one", tape, random.Random(6), **options)
    for turn in range(40):
        device.ailment = ailment if turn % 4 == 1 else None
        device.speak()
    driver = load(name)
    items = driver.make(driver.settings(**settings)).feed(tape.data)
    assert [item for item in items if isinstance(item, Fault)]
    agrees(device.emitted, items)


@pytest.mark.parametrize(("kind", "gone"), [(A02yyuw, "echo"), (Nmea, "fix")])
def test_a_driver_says_why_there_is_nothing(kind, gone):
    tape = Tape()
    device = kind("one", tape, random.Random(7))
    setattr(device, gone, False)
    device.speak()
    driver = load(kind.__name__.lower())
    agrees(device.emitted, driver.make(driver.settings()).feed(tape.data))


@pytest.mark.parametrize("noise", ["leading_zero", "echo", None])
def test_a_driver_polls_a_meter(noise):
    tape = Tape()
    meter = Sdm120("meter-1", tape, random.Random(8))
    if noise:
        setattr(meter, noise, True)
    driver = load("sdm120")
    poll = driver.make(driver.settings()).poll()
    ask = next(poll)
    try:
        while True:
            tape.data = b""
            meter.answer(ask.request)
            answer = ask.find(tape.data)
            assert answer is not None
            ask = poll.send(answer)
    except StopIteration as end:
        agrees(meter.emitted, end.value)
    assert len(meter.emitted) == 11
