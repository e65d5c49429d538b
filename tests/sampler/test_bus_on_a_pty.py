"""A real bus of simulated devices on a pseudo-terminal: the silence between two telegrams."""

import asyncio
import random
import time

from agent.host.clock import SystemClock
from agent.sampler.poll import GAP, Bus
from drivers import registry
from drivers.contract import SerialLine
from drivers.ports.serial import PosixSerialPorts
from hil.devices.modbus import Meter
from hil.devices.talker import Ailment
from hil.wires.pty import Pty
from tests.drivers.feeding import values

LINE = SerialLine(1200)
WITHIN = 20.0  # seconds, on a machine that is busy


async def test_three_and_a_half_characters_of_silence_lie_between_an_answer_and_the_next_request(tmp_path):
    asked_at = []
    with Pty(tmp_path / "rs485") as wire:
        wire.listen(lambda _: asked_at.append(time.time()))
        meters = [Meter(f"m-{n}", wire, random.Random(n), profile="pzem004t", address=n, delay=(0, 0)) for n in (1, 2)]
        meters.append(Meter("m-3", wire, random.Random(3), profile="pzem004t", address=3))
        meters[2].ailment = Ailment.SILENT
        bus = Bus(PosixSerialPorts(), str(wire.link), LINE, SystemClock())
        running = [asyncio.create_task(meter.run()) for meter in meters]
        driver = registry.load("pzem004t")
        came = []
        try:
            async with asyncio.timeout(WITHIN):
                for address in (1, 2, 3, 1, 2, 1):
                    poller = driver.make(driver.settings(address=address))
                    await bus.converse(poller.poll(), lambda items, _at: came.append(values(items)))
        finally:
            bus.close()
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
    assert [len(each) for each in came] == [7, 7, 0, 7, 7, 7]
    answered_at = sorted({emission.at for meter in meters for emission in meter.emitted})
    for answered in answered_at[:-1]:
        following = next(at for at in asked_at if at > answered)
        assert following - answered >= GAP * 10 / LINE.baud
