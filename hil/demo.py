"""A whole cabinet for a while: broker, link, simulated devices, the agent as a process; an account at the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hil.audit import Account, audit
from hil.broker import Broker
from hil.cabinet import Cabinet
from hil.city import City
from hil.link import Link, LinkState
from hil.process import AgentProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

STOPS_WITHIN = 5.0  # seconds: what the agent promises
DRAINS_WITHIN = 30.0  # seconds for what still waits to go up, at the end
ARRIVES_WITHIN = 5.0  # seconds for the last messages to reach the city after the agent has ended
CONTROL = "run/roadside/control"  # the agent's control socket, below the root


class DemoError(Exception):
    """The demo cannot go on; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen, in seconds from the start."""

    length: float | None  # None: until interrupted
    outage: tuple[float, float] | None = None  # start and length
    kill: float | None = None
    seed: int = 1


@dataclass(slots=True)
class Scene:
    """What there is to see now."""

    elapsed: float = 0.0
    link: LinkState = LinkState.UP
    kills: int = 0
    ending: bool = False
    said: dict[str, Any] = field(default_factory=dict)  # what the agent says of itself; empty while it does not answer


class Demo:
    """One demonstration. `command` starts an agent, whose absolute paths are to begin at the root it is given."""

    def __init__(
        self,
        plan: Plan,
        root: Path,
        command: Callable[[Path, str], Sequence[str]],
        *,
        broker: str | None,
        environment: Mapping[str, str],
    ) -> None:
        """`command(root, broker url)` returns the command line of the agent."""
        self.plan = plan
        self.scene = Scene()
        self.cabinet = Cabinet(root, seed=plan.seed)
        self._root = root
        self._make_command = command
        self._given_broker = broker
        self._environment = environment
        self.city: City
        self.agent: AgentProcess

    async def run(self, stop: asyncio.Event, show: Callable[[Demo], None]) -> Account:
        """Play the plan until its end, or until `stop`; `show` is called whenever there may be something new to see."""
        async with contextlib.AsyncExitStack() as stack:
            url = self._given_broker
            if url is None:
                url = (await stack.enter_async_context(Broker())).url
            host, _, port = url.removeprefix("mqtt://").partition(":")
            link = await stack.enter_async_context(Link(int(port or 1883), host))
            self.city = await stack.enter_async_context(City(url))
            self._say_time_is_right()
            await stack.enter_async_context(self.cabinet)
            environment = {**self._environment, "GPIOZERO_PIN_FACTORY": "rig"}
            self.agent = AgentProcess(
                self._make_command(self._root, link.url),
                environment=environment,
                folder=self._root,  # where the pins of the rig are found
                log=self._root / "agent.log",
            )
            await self.agent.start()
            stack.push_async_callback(self._make_sure_it_ends)
            await self._play(link, stop, show)
            return await self._settle(link, show)

    def _say_time_is_right(self) -> None:
        """Say what systemd-timesyncd says where the clock is right: here it is the clock of the rig as well."""
        flag = self._root / "run/systemd/timesync/synchronized"
        flag.parent.mkdir(parents=True, exist_ok=True)
        flag.touch()

    async def _make_sure_it_ends(self) -> None:
        if self.agent.running:
            await self.agent.kill()

    async def _play(self, link: Link, stop: asyncio.Event, show: Callable[[Demo], None]) -> None:
        began = time.monotonic()
        todo = self._timeline(link)
        while not stop.is_set():
            self.scene.elapsed = time.monotonic() - began
            while todo and todo[0][0] <= self.scene.elapsed:
                await todo.pop(0)[1]()
            if self.plan.length is not None and self.scene.elapsed >= self.plan.length:
                break
            if not self.agent.running:
                raise DemoError(
                    f"the agent ended by itself (exit status {await self.agent.ended()}):\n{self.agent.tail()}"
                )
            self.scene.link = link.state
            self.scene.said = await self._ask()
            show(self)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.25):
                    await stop.wait()

    def _timeline(self, link: Link) -> list[tuple[float, Callable[[], Any]]]:
        todo: list[tuple[float, Callable[[], Any]]] = []
        if self.plan.outage is not None:
            start, length = self.plan.outage
            todo += [(start, link.cut), (start + length, link.restore)]
        if self.plan.kill is not None:
            todo.append((self.plan.kill, self._kill))
        return sorted(todo, key=lambda one: one[0])

    async def _kill(self) -> None:
        await self.cabinet.agent_gone(await self.agent.kill())
        self.scene.kills += 1
        await self.agent.start()

    async def _settle(self, link: Link, show: Callable[[Demo], None]) -> Account:
        """Let everything that is on its way arrive, then account for it."""
        self.scene.ending = True
        await link.restore()
        await self.cabinet.quiet()
        # An edge is on its way for as long as a debounce waits; no wire tells whether somebody has taken it.
        await asyncio.sleep(max(device.settles for device in self.cabinet.devices.values()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAINS_WITHIN):
                while True:
                    unread = self.cabinet.unread  # asked first: what is read after that still has to go up
                    self.scene.said = await self._ask()
                    if not unread and not self._waiting(self.scene.said):
                        break
                    show(self)
                    await asyncio.sleep(0.1)
        try:
            await self.agent.stop(STOPS_WITHIN)
        except TimeoutError:
            raise DemoError(f"the agent did not stop within {STOPS_WITHIN:g} s:\n{self.agent.tail()}") from None
        if self.agent.status:
            raise DemoError(f"the agent ended with exit status {self.agent.status}:\n{self.agent.tail()}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ARRIVES_WITHIN):
                await self.city.until(lambda: self.account().clean)
        return self.account()

    def account(self) -> Account:
        """Account for everything emitted so far."""
        account = audit(
            self.cabinet.emissions,
            self.city.received,
            deaf=self.cabinet.deaf,
            cuts=self.cabinet.cuts,
            statements=self.city.statements,
        )
        account.missing = self.city.missing()
        return account

    def _waiting(self, said: dict[str, Any]) -> bool:
        """Return whether the agent says that something waits. That only tells when to look; it proves nothing."""
        if not said:
            return True
        return any(sum(streams.values()) for streams in said["journal"]["waiting"].values())

    async def _ask(self) -> dict[str, Any]:
        """Ask the agent how it is; empty if it does not answer."""
        try:
            async with asyncio.timeout(1.0):
                reader, writer = await asyncio.open_unix_connection(self._root / CONTROL, limit=1 << 20)
                try:
                    writer.write(b'{"do": "status"}\n')
                    answer: dict[str, Any] = json.loads(await reader.readline())
                finally:
                    writer.close()
        except (OSError, TimeoutError, ValueError):
            return {}
        said: dict[str, Any] = answer.get("ok", {})
        return said
