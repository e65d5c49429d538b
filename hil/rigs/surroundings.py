"""What stands around a gateway where there is no bench: broker, faulty link, city, a cabinet of simulated devices."""

from __future__ import annotations

import abc
import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hil.audit import TOLERANCE, Account, audit
from hil.broker import Broker, Engine
from hil.cabinet import Cabinet
from hil.link import Link
from hil.rigs.arrivals import Arrivals
from hil.rigs.base import Rig, RigError
from hil.rigs.handles import CabinetDevice, CabinetPin, ProxiedLink
from hil.rigs.timeline import Lane

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from hil.rigs.base import Device, Pin
    from hil.rigs.description import Description
    from hil.rigs.timeline import Timeline

LOG_LOOKED_AT_EVERY = 0.05  # seconds


class CabinetRig(Rig):
    """A gateway of whatever kind in such surroundings: who derives from it brings the gateway itself to life.

    `root` is a folder of the rig's own, and `settings` are what is set in the agent's configuration from its next
    start on.
    """

    late = TOLERANCE  # seconds that may lie between what a device says and the time of its reading

    def __init__(
        self,
        description: Description,
        timeline: Timeline,
        *,
        patience: float,
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(description, timeline, patience=patience)
        # A unix socket's path has room for 107 bytes: a test's own folders are too long.
        self.root = Path(tempfile.mkdtemp(prefix="rig-"))
        self.cabinet = Cabinet(self.root, description.plan)
        self.broker = Broker(Engine.MOSQUITTO)  # it knows sessions that are taken over, and wills
        self.proxy: Link
        self.settings = {**description.agent.settings, **(settings or {})}
        self.environment = {**description.agent.environment, **(environment or {})}
        self._stack = AsyncExitStack()

    @abc.abstractmethod
    async def switch_on(self, stack: AsyncExitStack) -> None:
        """Bring the gateway to life, and wait until the agent is ready; what `stack` is given makes an end of it."""

    @abc.abstractmethod
    def log(self) -> str:
        """Return the agent's log of all its runs."""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            stack.callback(shutil.rmtree, self.root)
            await stack.enter_async_context(self.broker)
            self.proxy = await stack.enter_async_context(Link(self.broker.port))
            self.link = ProxiedLink(self.proxy, self.timeline)
            speaks = self.description.agent.wire == "roadside"
            self.city = Arrivals(self.broker.url, self.gateway, self.timeline, speaks=speaks)
            await stack.enter_async_context(self.city)
            await stack.enter_async_context(self.cabinet)
            following = asyncio.create_task(self._follow_log(), name="log of the agent")
            stack.push_async_callback(_cancelled, following)
            await self.switch_on(stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def device(self, name: str) -> Device:
        """Return a device by its name."""
        return CabinetDevice(self, name)

    def pin(self, name: str) -> Pin:
        """Return what hangs on a pin by its name."""
        return CabinetPin(self, name)

    def model(self, name: str) -> Any:  # noqa: ANN401 - of any class
        """Return the simulated device; raises RigError."""
        if name not in self.cabinet.devices:
            raise RigError(f"{name!r} hangs nowhere on this rig; there are: {', '.join(self.cabinet.devices)}")
        return self.cabinet.devices[name]

    def account(self) -> Account:
        """Account for everything that the devices have emitted so far."""
        return audit(
            self.cabinet.emissions,
            self.city.received(),
            deaf=self.cabinet.deaf,
            cuts=self.cabinet.cuts,
            statements=self.city.ledger(),
            tolerance=self.late,
        )

    async def quiet(self) -> None:
        """Let the devices fall silent, for good, and wait until all that they said has been read."""
        with self.timeline.step("all devices fall silent"):
            await self.cabinet.quiet()
            await self.until(lambda: not self.cabinet.unread)

    def command(self, places: Mapping[str, str]) -> list[str]:
        """Return how the agent is started with its settings; `places` are filled in beside what every rig knows."""
        agent = self.description.agent
        command = self.filled(agent.command, places)
        for key, value in self.settings.items():
            (given,) = self.filled([value], places)
            command += [part.replace("{key}", key).replace("{value}", given) for part in agent.setting]
        return command

    def filled(self, words: Sequence[str], places: Mapping[str, str]) -> list[str]:
        """Return words of the description with `{name}` filled in."""
        known = {
            "here": str(self.description.path.parent.absolute()),
            "gateway": self.gateway,
            "broker": self.proxy.url,
            "host": "127.0.0.1",
            "port": str(self.proxy.port),
            **places,
        }
        filled = list(words)
        for name, value in known.items():
            filled = [word.replace(f"{{{name}}}", value) for word in filled]
        return filled

    async def _follow_log(self) -> None:
        """Put each line of the log on the timeline when it appears."""
        seen = 0
        while True:
            lines = self.log().splitlines(keepends=True)
            for line in lines[seen:]:
                if line.endswith("\n"):
                    self.timeline.note(Lane.AGENT, line.rstrip())
                    seen += 1
            await asyncio.sleep(LOG_LOOKED_AT_EVERY)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait({task})
