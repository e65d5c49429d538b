"""The agent's side of commissioning: while somebody is at the cabinet, all that its devices say is marked as a test.

It lasts as long as whoever asked stays on the control socket: the kernel hangs up for a terminal that died. One that
hangs instead has it for a quarter of an hour, and if the agent dies the rest of a minute is all that is left of it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from agent.commissioning import tasks
from agent.commissioning.report import LARGEST
from agent.control import ControlError
from agent.i18n import _

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from agent.commanding.maintenance import Maintenance
    from agent.config.model import Uplink
    from agent.control import Answers
    from agent.sampler.output import Sounding
    from agent.sampler.pipeline import Pipeline

REPORT = ("report", "algorithm", "public_key", "signature", "unsigned")  # what goes up
LONGEST = 900.0  # seconds that one request holds
LEASE = 60.0  # seconds that a test lasts if the agent that holds it dies
RENEWED_EVERY = 20.0  # seconds
SWITCHED_WITHIN = 2.0  # seconds
LONGEST_ON = 5.0  # seconds: a siren is heard by people who are not asked


class Commissioning:
    """Which devices are held in test by whoever is at the cabinet."""

    def __init__(
        self,
        pipelines: Mapping[str, Pipeline],
        maintenance: Maintenance,
        uplinks: Mapping[str, Uplink],
        *,
        soundings: Mapping[str, Sounding],
        file: Callable[[dict[str, Any]], Awaitable[None]],
        stopping: Callable[[], bool],
    ) -> None:
        """Take the parts of the agent.

        `file` keeps a report and sends it up; `stopping` tells whether the agent is coming to its end: then no test is
        begun or ended any more.
        """
        self._pipelines = pipelines
        self._maintenance = maintenance
        self._uplinks = uplinks
        self._soundings = soundings
        self._file = file
        self._stopping = stopping
        self._holders = 0
        self._longer: dict[str, float] = {}  # devices that somebody tests for longer, until when (of the loop's time)

    async def hold(self, _request: dict[str, Any]) -> Answers:
        """Hold all devices in test until whoever asks hangs up; the one answer says what is to be done at each."""
        loop = asyncio.get_running_loop()
        if self._holders == 0:
            left = self._maintenance.left()
            self._longer = {name: loop.time() + seconds for name, seconds in left.items() if seconds > 0}
        self._holders += 1
        try:
            self._renew()
            yield {
                "tasks": {name: tasks.of(pipeline) for name, pipeline in self._pipelines.items()},
                "keys": [self._key(uplink) for uplink in self._uplinks.values()],
            }
            until = loop.time() + LONGEST
            while loop.time() < until:
                await asyncio.sleep(RENEWED_EVERY)
                self._renew()
        finally:
            self._holders -= 1
            if not self._holders and not self._stopping():
                self._end(loop.time())

    def _renew(self) -> None:
        if self._stopping():
            return
        left = self._maintenance.left()
        self._maintenance.begin([name for name in self._pipelines if left.get(name, 0.0) < LEASE], LEASE)

    def _end(self, now: float) -> None:
        """End the tests; one that somebody began for longer goes on."""
        left = self._maintenance.left()
        for name in self._pipelines:
            if left.get(name, 0.0) <= LEASE:
                self._maintenance.begin([name], max(0.0, self._longer.get(name, now) - now))

    @staticmethod
    def _key(uplink: Uplink) -> dict[str, str]:
        """Return where the key is by which the city knows this gateway; empty where there is none."""
        found = {"file": uplink.key_file, "credential": uplink.key_credential}
        return {kind: name for kind, name in found.items() if name is not None}

    async def switch(self, request: dict[str, Any]) -> dict[str, Any]:
        """Switch an output on for some seconds; raises ControlError."""
        device, seconds = str(request.get("device")), request.get("for")
        if device not in self._soundings:
            raise ControlError(_("'{device}' is no output").format(device=device))
        if not self._holders:
            raise ControlError(_("an output is switched only while somebody commissions the cabinet"))
        if not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST_ON:
            raise ControlError(_("an output is switched on for {most:g} s at the most").format(most=LONGEST_ON))
        try:
            async with asyncio.timeout(SWITCHED_WITHIN):
                await self._soundings[device].order(True, seconds)
        except TimeoutError:
            why = self._pipelines[device].trouble_text
            raise ControlError(_("{device} does not follow. {why}").format(device=device, why=why).strip()) from None
        return {"on": True, "for": seconds}

    async def file(self, request: dict[str, Any]) -> dict[str, Any]:
        """Keep a report, in place of the one before, and send it up; raises ControlError."""
        report = {name: request[name] for name in REPORT if isinstance(request.get(name), str)}
        if "report" not in report or len(report["report"].encode()) > LARGEST:
            raise ControlError(_("this agent does not understand that"))
        await self._file(report)
        return {}
