"""A gateway in a virtual machine under load: a gauge that speaks, and what the agent says of its journal meanwhile."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from itertools import count

from hil.devices.a02yyuw import frame
from hil.vm.helper import HelperError
from hil.vm.machine import MachineError
from tests.hil.vm.powercut.judge import Poll, Seen

GAUGE = """
[journal]
commit_interval = "2 s"
reserve = "0 B"

[devices.level-1]
driver = "a02yyuw"
port = "/dev/serial/by-id/usb-QEMU_QEMU_USB_SERIAL_GAUGE1-if00-port0"
"""
EVERY = 0.2  # seconds between two frames
POLLED_EVERY = 0.5
NEAREST = 300  # millimetres
SETTLES = 2.0  # seconds from an open line to the first frame that counts


class Load:
    """A gauge that says another distance each time, and what the agent says of its journal meanwhile."""

    def __init__(self, gateway):
        self.gateway = gateway
        self.frames = []
        self.polls = []
        self._distances = count(NEAREST)
        self._pauses = False

    async def __aenter__(self):
        self._tasks = [asyncio.create_task(self._speak()), asyncio.create_task(self._poll())]
        return self

    async def __aexit__(self, kind, error, trace):
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def _speak(self):
        adapter, heard_since = self.gateway.adapters["GAUGE1"], None
        while True:
            heard_since = (heard_since or time.time()) if adapter.heard else None
            if not self._pauses and heard_since is not None and time.time() > heard_since + SETTLES:
                self.frames.append((next(self._distances), time.time()))
                adapter.write(frame(self.frames[-1][0]))
            await asyncio.sleep(EVERY)

    async def _poll(self):
        while True:
            with suppress(HelperError, MachineError):  # the power went
                asked = time.time()
                if journal := (await self.gateway.status()).get("journal"):
                    self.polls.append(Poll(asked, time.time(), journal["epoch"], journal["next"], journal["commits"]))
            await asyncio.sleep(POLLED_EVERY)

    async def commits(self, more, what):
        """Wait for so many commits from now on."""
        before = self.polls[-1].commits if self.polls else 0
        await self.gateway.arrives(lambda: self.polls and self.polls[-1].commits >= before + more, what)

    async def pauses(self):
        """Say nothing more, and wait until all that was said has been read: a port that is closed loses it."""
        self._pauses = True
        until = time.time() + SETTLES
        await self.gateway.arrives(lambda: time.time() > until, "what was said is read")

    async def says(self, more):
        """Wait until so many more frames have been said, also after a pause."""
        self._pauses = False
        before = len(self.frames)
        await self.gateway.arrives(lambda: len(self.frames) >= before + more, "the gauge is heard")

    def seen(self, until):
        """Return what is known of the time until then, as if the power had gone at that moment."""
        city, numbers = self.gateway.city, {}
        for one in (*city.received, *city.alarms, *city.statements, *city.anchors):
            numbers.setdefault((one.epoch, one.stream), set()).add(one.number)
        return Seen(
            until,
            [one for one in self.frames if one[1] <= until],
            [],
            [one for one in self.polls if one.at <= until],
            city.received,
            [],
            city.statements,
            {key: frozenset(found) for key, found in numbers.items()},
        )
