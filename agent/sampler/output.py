"""Drives a device on a GPIO output: a siren that sounds while certain devices have an alarm."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from agent.config.model import RESERVED_ALARMS

if TYPE_CHECKING:
    from agent.readings import AlarmEvent
    from agent.sampler.pipeline import Pipeline
    from agent.seams import Clock
    from drivers.contract import GpioPorts, OutputDriver, OutputSettings


class Sounding:
    """Which alarms call for an output to be on."""

    def __init__(self) -> None:
        self.called = asyncio.Event()
        self._calls: list[bool] = []
        self._ids: set[str] = set()

    def hear(self, event: AlarmEvent) -> None:
        """Take note of an alarm that was raised or cleared."""
        if event.alarm in RESERVED_ALARMS:
            return  # a broken sensor is no reason to wake the neighbourhood
        if event.raised:
            self._ids.add(event.id)
            self._calls.append(True)
        elif event.id in self._ids:
            self._ids.remove(event.id)
            if self._ids:
                return  # another alarm stands; the output may have timed out meanwhile, and stays as it is
            self._calls.append(False)
        self.called.set()

    def calls(self) -> list[bool]:
        """Return what the output was called to be, and is not yet."""
        return list(self._calls)

    def obeyed(self, count: int) -> None:
        """Forget so many calls: the pin has followed them."""
        del self._calls[:count]
        if not self._calls:
            self.called.clear()

    def repeat(self) -> None:
        """Call anew for what stands: the pin was lost, and nobody knows what the siren has done since."""
        if self._ids and not self._calls:
            self._calls.append(True)
            self.called.set()


async def drive(pipeline: Pipeline, driver: OutputDriver, sounding: Sounding, gpio: GpioPorts, clock: Clock) -> None:
    """Claim the pin and follow the alarms; the pin is off when this ends. Raises PortError.

    An alarm raised before the agent was restarted does not switch it on again: after a crash the safe state holds.
    """
    settings = cast("OutputSettings", pipeline.device.settings)
    output = driver.make(settings)
    line = gpio.output(settings.pin, active=settings.active, initial=output.level())
    sounding.repeat()
    try:
        while True:
            now = clock.boottime()
            items = output.tick(now / 1e9)
            calls = sounding.calls()
            for on in calls:
                items = [*items, *output.set(now / 1e9, on)]
            line.write(output.level())
            sounding.obeyed(len(calls))
            pipeline.take(items, now)
            due = output.due()
            try:
                async with asyncio.timeout(None if due is None else max(0.0, due - clock.boottime() / 1e9)):
                    await sounding.called.wait()
            except TimeoutError:
                continue
    finally:
        try:
            line.write(False)
        finally:
            line.close()
        now = clock.boottime()
        pipeline.take(output.set(now / 1e9, on=False), now)  # nobody shall believe that it still sounds
