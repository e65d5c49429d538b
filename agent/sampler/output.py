"""Drives a device on a GPIO output: a siren that sounds while certain devices have an alarm, or somebody orders it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple, cast

from agent.config.model import RESERVED_ALARMS

if TYPE_CHECKING:
    from agent.readings import AlarmEvent
    from agent.sampler.pipeline import Pipeline
    from agent.seams import Clock
    from drivers.contract import OutputDriver, OutputSettings
    from drivers.seams import GpioPorts


class Call(NamedTuple):
    """What the output shall be."""

    on: bool
    lasting: float | None = None  # seconds; None: as long as it may
    obeyed: asyncio.Future[None] | None = None  # of somebody who waits for it


class Sounding:
    """Who calls for an output to be on: alarms, and whoever gives orders."""

    def __init__(self) -> None:
        self.called = asyncio.Event()
        self._calls: list[Call] = []
        self._ids: set[str] = set()

    def hear(self, event: AlarmEvent) -> None:
        """Take note of an alarm that was raised or cleared."""
        if event.alarm in RESERVED_ALARMS:
            return  # a broken sensor is no reason to wake the neighbourhood
        if event.test:
            return
        if event.raised:
            self._ids.add(event.id)
            self._calls.append(Call(on=True))
        elif event.id in self._ids:
            self._ids.remove(event.id)
            if self._ids:
                return  # another alarm stands; the output may have timed out meanwhile, and stays as it is
            self._calls.append(Call(on=False))
        self.called.set()

    async def order(self, on: bool, lasting: float | None) -> None:
        """Have the output switched, and return when the pin has followed. Cancelled before that, it never happened.

        What is switched off by order stays off until another alarm is raised.
        """
        if not on:
            self._ids.clear()
        call = Call(on, lasting, asyncio.get_running_loop().create_future())
        self._calls.append(call)
        self.called.set()
        try:
            if call.obeyed is not None:
                await call.obeyed
        finally:
            self._calls = [each for each in self._calls if each is not call]

    def calls(self) -> list[Call]:
        """Return what the output was called to be, and is not yet."""
        return list(self._calls)

    def obeyed(self, calls: list[Call]) -> None:
        """Forget calls: the output has followed them."""
        for call in calls:
            if call.obeyed is not None and not call.obeyed.done():
                call.obeyed.set_result(None)
        self._calls = [call for call in self._calls if not any(call is each for each in calls)]
        if not self._calls:
            self.called.clear()

    def still(self, calls: list[Call]) -> list[Call]:
        """Return those of these calls that nobody has taken back meanwhile."""
        return [call for call in calls if any(call is each for each in self._calls)]

    def repeat(self) -> None:
        """Call anew for what stands: the output was lost, and nobody knows what the siren has done since."""
        if self._ids and not self._calls:
            self._calls.append(Call(on=True))
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
            for call in calls:
                items = [*items, *output.set(now / 1e9, call.on, call.lasting)]
            line.write(output.level())
            sounding.obeyed(calls)
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
