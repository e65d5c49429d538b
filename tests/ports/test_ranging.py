"""gpiozero's DistanceSensor on its own mock pins: a trigger that makes the echo of another pin."""

import asyncio
import threading
import time

import pytest
from gpiozero.pins.mock import MockFactory, MockTriggerPin
from gpiozero.threads import GPIOThread

from drivers.contract import Reason
from drivers.ports.gpio import GpiozeroPorts
from drivers.seams import PortError, PortFault

SOON = 5.0  # seconds
TRIGGER, ECHO = 23, 24


@pytest.fixture
def factory():
    return MockFactory()


@pytest.fixture
def ports(factory):
    ports = GpiozeroPorts(time.monotonic, lambda: factory)
    yield ports
    ports.close()


def sensor(factory, seconds):
    factory.pin(TRIGGER, pin_class=MockTriggerPin, echo_pin=factory.pin(ECHO), echo_time=seconds)


async def until(line, fits):
    async with asyncio.timeout(SOON):
        while not fits(echo := await line.measure()):
            pass
    return echo


async def test_an_echo_lasts_as_long_as_it_did(factory, ports):
    sensor(factory, 0.01)
    line = ports.ranging(TRIGGER, ECHO)
    echo = await until(line, lambda echo: isinstance(echo, float))
    assert echo == pytest.approx(0.01, rel=0.5)  # the mock sleeps, and so may be late
    line.close()


async def test_a_sensor_that_does_not_answer_is_told_and_no_old_distance(factory, ports):
    sensor(factory, 0.002)
    line = ports.ranging(TRIGGER, ECHO)
    await until(line, lambda echo: isinstance(echo, float))
    factory.pin(TRIGGER).echo_pin = factory.pin(5)  # its wire is off
    assert await until(line, lambda echo: echo is Reason.NO_REPLY) is Reason.NO_REPLY
    line.close()


async def test_nobody_asks_any_more_when_its_trigger_is_given_back(factory, ports):
    asking = []

    class Trigger(MockTriggerPin):
        def close(self):
            asking.extend(thread for thread in threading.enumerate() if isinstance(thread, GPIOThread))
            super().close()

    factory.pin(TRIGGER, pin_class=Trigger, echo_pin=factory.pin(ECHO), echo_time=0.002)
    line = ports.ranging(TRIGGER, ECHO)
    await until(line, lambda echo: isinstance(echo, float))
    line.close()
    assert not asking


async def test_its_pins_are_taken_until_it_is_closed(factory, ports):
    sensor(factory, 0.002)
    line = ports.ranging(TRIGGER, ECHO)
    for pin in (TRIGGER, ECHO):
        with pytest.raises(PortError) as caught:
            ports.input(pin, pull="up", active="low")
        assert caught.value.fault is PortFault.TAKEN
    line.close()
    line.close()
    ports.input(ECHO, pull="up", active="low").close()
