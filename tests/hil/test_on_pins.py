"""Simulated devices on pins and their drivers were written apart: here each checks the other."""

import asyncio
import random

import pytest

from drivers.contract import Fault, FaultKind, Measurement
from drivers.registry import load
from hil.devices.anemometer import FACTOR, Anemometer
from hil.devices.button import Button
from hil.devices.loop_detector import LoopDetector
from hil.devices.pulse_counter import PulseCounter
from hil.devices.rain_gauge import RainGauge
from hil.pinboard import PinBoard
from tests.uplink import virtual


class Trace(PinBoard):
    """A board that keeps the edges it is asked for."""

    def __init__(self, tmp_path):
        super().__init__(tmp_path / "pins.sock")
        self.made = []
        self._began = asyncio.get_running_loop().time()

    def edges(self, _pin, edges):
        at = asyncio.get_running_loop().time() - self._began
        for level, after in edges:
            at += after
            self.made.append((at, level))

    def read(self, name, until, **settings):
        """What the driver makes of it all."""
        driver = load(name)
        device = driver.make(driver.settings(pin=17, **settings))
        (_, level), *edges = self.made
        items = device.start(0.0, not level)
        for at, level in [*sorted(edges, key=lambda edge: edge[0]), (until, None)]:
            while (due := device.due()) is not None and due <= at:
                items += device.tick(due)
            if level is not None:
                items += device.edge(at, not level)
        return items


def said(items, quantity):
    return [item.value for item in items if isinstance(item, Measurement) and item.quantity == quantity]


def test_each_pulse_of_a_meter_is_counted(tmp_path):
    async def test():
        board = Trace(tmp_path)
        meter = PulseCounter("meter-1", board, random.Random(1), pin=17, counts="energy_import", pulses_per_unit=1000)
        for _ in range(40):
            await asyncio.sleep(0.05)
            await meter.pulse()
        items = board.read("pulse_counter", 70, counts="energy_import", pulses_per_unit=1000)
        assert said(items, "energy_import")[-1] == pytest.approx(sum(one.value for one in meter.emitted))
        assert len(meter.emitted) == 40

    virtual.run(test())


def test_a_meter_that_is_stuck_is_told(tmp_path):
    async def test():
        board = Trace(tmp_path)
        meter = PulseCounter("meter-1", board, random.Random(1), pin=17)
        await asyncio.sleep(1)
        meter.stuck = True
        await meter.pulse()
        assert [item.kind for item in board.read("pulse_counter", 100) if isinstance(item, Fault)] == [FaultKind.STUCK]

    virtual.run(test())


@pytest.mark.parametrize("wind", [0.0, 1.0, 6.0, 60.0])
def test_the_wind_is_what_the_cups_turn_in(tmp_path, wind):
    async def test():
        board = Trace(tmp_path)
        cups = Anemometer("wind-1", board, random.Random(1), pin=17, wind=wind)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(cups.run(), 50)
        items = board.read("anemometer", 41, report=20, factor=FACTOR)
        assert said(items, "wind_speed")[1] == pytest.approx(wind, rel=0.01)
        assert said(items, "wind_gust")[1] == pytest.approx(wind, rel=0.05)

    virtual.run(test())


@pytest.mark.parametrize("mode", ["presence", "pulse"])
def test_each_vehicle_is_counted(tmp_path, mode):
    async def test():
        board = Trace(tmp_path)
        loop = LoopDetector("loop-1", board, random.Random(1), pin=17, mode=mode)
        stays = [0.3, 1.5, 0.8]
        for seconds in stays:
            await asyncio.sleep(2)
            await loop.drive_over(seconds)
        items = board.read("loop_detector", 61, mode=mode)
        assert said(items, "vehicles")[-1] == sum(one.value for one in loop.emitted if one.quantity == "vehicles") == 3
        assert said(items, "vehicle_duration") == (pytest.approx(stays, abs=0.002) if mode == "presence" else [])

    virtual.run(test())


def test_each_tip_is_counted(tmp_path):
    async def test():
        board = Trace(tmp_path)
        gauge = RainGauge("rain-1", board, random.Random(1), pin=17, tip=0.2)
        for _ in range(3):
            await asyncio.sleep(1)
            await gauge.tip()
        assert said(board.read("rain_gauge", 10), "rain")[-1] == pytest.approx(sum(one.value for one in gauge.emitted))

    virtual.run(test())


def test_a_door_is_opened(tmp_path):
    async def test():
        board = Trace(tmp_path)
        door = Button("door-1", board, random.Random(1), pin=17, measures="open")
        await asyncio.sleep(1)
        door.press()
        assert said(board.read("button", 10, measures="open"), "open") == [False, True]
        assert [emission.quantity for emission in door.emitted] == ["open"]

    virtual.run(test())
