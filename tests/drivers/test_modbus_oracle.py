"""Our Modbus client against pymodbus's server, on a pseudo-terminal, by the real serial port and the real bus."""

import asyncio
import os
import tty

import pytest
from pymodbus.server import ModbusSerialServer
from pymodbus.simulator import DataType, SimData, SimDevice

from agent.host.clock import SystemClock
from agent.sampler.poll import Bus
from drivers import registry
from drivers.contract import FaultKind, SerialLine
from drivers.modbus import client
from drivers.ports.serial import PosixSerialPorts
from tests.drivers.feeding import values

WITHIN = 20.0  # seconds for a test, on a machine that is busy
VOLTAGE = [0x4369, 0x6978]  # 233.412 V


def registers(values):
    return [SimData(0, values=[values.get(at, 0) for at in range(0x60)], datatype=DataType.REGISTERS)]


def device(address, inputs=None, holdings=None):
    coils = [SimData(0, values=[False] * 16, datatype=DataType.BITS)]
    return SimDevice(address, (coils, coils, registers(holdings or {}), registers(inputs or {})))


@pytest.fixture
async def bus():
    """Two pseudo-terminals back to back: pymodbus opens one end, we the other."""
    ends = [os.openpty() for _ in range(2)]
    for master, slave in ends:
        tty.setraw(slave)
        os.set_blocking(master, False)
    loop = asyncio.get_running_loop()
    (one, _), (other, _) = ends
    for source, sink in ((one, other), (other, one)):
        loop.add_reader(source, lambda source=source, sink=sink: os.write(sink, os.read(source, 4096)))
    server = ModbusSerialServer(
        [device(1, inputs={0: VOLTAGE[0], 1: VOLTAGE[1]}), device(2, inputs={}, holdings={0: 536})],
        port=os.ttyname(ends[0][1]),
        baudrate=19200,
    )
    serving = asyncio.create_task(server.serve_forever())
    line = Bus(PosixSerialPorts(), os.ttyname(ends[1][1]), SerialLine(19200), SystemClock())
    yield line
    line.close()
    await server.shutdown()
    await asyncio.gather(serving, return_exceptions=True)
    for master, slave in ends:
        loop.remove_reader(master)
        os.close(master)
        os.close(slave)


async def told(bus, conversation):
    came = []
    async with asyncio.timeout(WITHIN):
        await bus.converse(conversation, lambda items, _at: came.extend(items))
    return came


def poll(name, **settings):
    driver = registry.load(name)
    return driver.make(driver.settings(**settings)).poll()


async def test_a_meter_and_a_sensor_on_one_line(bus):
    assert values(await told(bus, poll("sdm120")))["voltage"] == 233.412
    assert values(await told(bus, poll("sm7901", address=2))) == {"noise": 53.6}


async def test_a_register_that_is_not_there_is_refused(bus):
    def beyond():
        reply = yield from client.read(1, 4, 0x200, 2, within=5.0)
        return reply.faults

    (fault,) = await told(bus, beyond())
    assert (fault.kind, fault.detail) == (FaultKind.REFUSED, "exception 2: illegal data address")


async def test_a_relay_is_switched_and_read_back(bus):
    driver = registry.load("relay8")
    relay = driver.make(driver.settings(address=1, relay=3))
    for on in (True, True, False):
        assert values(await told(bus, relay.switch(on, 60.0))) == {"on": on}
        assert values(await told(bus, relay.look())) == {"on": on}
