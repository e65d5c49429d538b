"""Drives an output on a serial line: a relay of a board, a tower lamp.

It is what it answers that it is, and no order counts as obeyed before that. What it shall be is known here alone: a
board that has lost its power, or was switched by somebody else, is put right at the next look.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from drivers.contract import Measurement, Reason
from drivers.on_time import OnTime
from drivers.seams import PortError

if TYPE_CHECKING:
    from agent.sampler.output import Sounding
    from agent.sampler.pipeline import Pipeline
    from agent.sampler.poll import Bus
    from agent.seams import Clock
    from drivers.contract import BusOutputDriver, BusOutputSettings, Item, Poll

AGAIN = 1.0  # seconds after which an output that did not follow is tried again; then twice as many, and so on
FAREWELL = 0.8  # seconds in which it is switched off when the agent stops: a sampler has one to end


class Follower:
    """One output, what it shall be, and what it was last known to be."""

    def __init__(self, pipeline: Pipeline, driver: BusOutputDriver, bus: Bus, clock: Clock) -> None:
        settings = cast("BusOutputSettings", pipeline.device.settings)
        self.shall = OnTime(settings.longest_on)
        self.known: bool | None = None  # None while nobody can tell
        self._pipeline = pipeline
        self._output = driver.make(settings)
        self._made_for = driver.line
        self._bus = bus
        self._clock = clock

    async def look(self) -> None:
        """Ask what it is; raises PortError."""
        await self._converse(self._output.look())

    async def switch(self, on: bool, lasting: float) -> bool:
        """Make it so; returns whether it is. Raises PortError."""
        await self._converse(self._output.switch(on, lasting))
        return self.known is on

    async def farewell(self) -> None:
        """Switch it off, if that can be done; what cannot be told then is told as unknown."""
        try:
            async with asyncio.timeout(FAREWELL):
                if await self.switch(False, 0.0):
                    return
        except (PortError, TimeoutError):
            pass
        self._pipeline.take([Measurement("on", None, Reason.NO_REPLY)], self._clock.boottime())

    async def _converse(self, conversation: Poll) -> None:
        self.known = None  # until it has answered
        await self._bus.converse(conversation, self._take, self._made_for)

    def _take(self, items: list[Item], at: int) -> None:
        for item in items:
            if isinstance(item, Measurement) and isinstance(item.value, bool):
                self.known = item.value
        self._pipeline.take(items, at)


async def follow(
    pipeline: Pipeline, driver: BusOutputDriver, sounding: Sounding, bus: Bus, every: float, clock: Clock
) -> None:
    """Follow alarms and orders until the bus is lost; the output is switched off when this ends. Raises PortError.

    An alarm raised before the agent was restarted does not switch it on again: after a crash the safe state holds.
    """
    follower = Follower(pipeline, driver, bus, clock)
    sounding.repeat()
    failures = 0
    try:
        while True:
            now = clock.boottime() / 1e9
            follower.shall.tick(now)
            failures = 0 if await _put_right(follower, sounding, now) else failures + 1
            wait = every if not failures else min(every, AGAIN * 2 ** (failures - 1))
            off_at = follower.shall.off_at
            if off_at is not None and not failures:
                wait = min(wait, max(0.0, off_at - clock.boottime() / 1e9))
            await _called(sounding, wait, patient=failures > 0)
    finally:
        if follower.known is not False:
            await follower.farewell()


async def _put_right(follower: Follower, sounding: Sounding, now: float) -> bool:
    """Make the output what it shall be, or see whether it still is; returns whether it is. Raises PortError."""
    calls = sounding.calls()
    shall = replace(follower.shall)
    for call in calls:
        shall.set(now, call.on, call.lasting)
    if not calls and follower.known is shall.on:
        await follower.look()
        if follower.known is shall.on:
            return True
    lasting = 0.0 if shall.off_at is None else shall.off_at - now
    if not await follower.switch(shall.on, lasting):
        return False
    # Whoever has given up meanwhile was told that it will not be switched: without those calls it is put right again.
    obeyed = sounding.still(calls)
    for call in obeyed:
        follower.shall.set(now, call.on, call.lasting)
    sounding.obeyed(obeyed)
    return follower.known is follower.shall.on


async def _called(sounding: Sounding, wait: float, *, patient: bool) -> None:
    """Wait so many seconds, or until somebody calls; `patient` if those who call already cannot be helped before."""
    before = sounding.calls()
    try:
        async with asyncio.timeout(wait):
            while not sounding.calls() or (patient and sounding.calls() == before):
                sounding.called.clear()
                await sounding.called.wait()
    except TimeoutError:
        pass
