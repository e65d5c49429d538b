"""What has arrived at the city's end of a rig."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import aiomqtt

from hil.city import City
from hil.operator import Operator
from hil.rigs.timeline import Lane

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from hil.packs import Alarm, Received, Statement
    from hil.rigs.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it came."""

    topic: str
    payload: bytes
    retained: bool


class Arrivals:
    """The city of a rig with one gateway under test. Use it as an asynchronous context manager.

    `messages` are all that came, of any agent; the rest is for agents that speak as docs/wire.md says (`speaks`).
    """

    def __init__(self, url: str, gateway: str, timeline: Timeline, *, speaks: bool) -> None:
        self.messages: list[Message] = []
        self._url = url
        self._gateway = gateway
        self._timeline = timeline
        self._city = City(url) if speaks else None
        self._stack = contextlib.AsyncExitStack()
        self._operator: Operator | None = None
        self._listening: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        """The broker's port on loopback, without the link between."""
        return urlsplit(self._url).port or 1883

    async def __aenter__(self) -> Self:
        async with contextlib.AsyncExitStack() as stack:
            if self._city is not None:
                await stack.enter_async_context(self._city)
            subscribed = asyncio.Event()
            self._listening = asyncio.create_task(self._listen(subscribed))
            stack.push_async_callback(self._deaf)
            waiting = asyncio.create_task(subscribed.wait())
            await asyncio.wait({waiting, self._listening}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                waiting.cancel()
                await self._listening  # raises what kept it from listening
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def _deaf(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait({self._listening})

    async def _listen(self, subscribed: asyncio.Event) -> None:
        parts = urlsplit(self._url)
        host, port = parts.hostname or "127.0.0.1", parts.port or 1883
        async with aiomqtt.Client(host, port, protocol=aiomqtt.ProtocolVersion.V5) as client:
            await client.subscribe("#", qos=1)
            subscribed.set()
            async for message in client.messages:
                if isinstance(message.payload, bytes):
                    self.messages.append(Message(str(message.topic), message.payload, message.retain))
                    self._timeline.note(Lane.CITY, f"{message.topic}: {len(message.payload)} bytes")

    # --- of an agent that speaks as docs/wire.md says ---------------------------------------------------------------

    @property
    def judge(self) -> City:
        """Return what judges the messages; raises TypeError for an agent that speaks otherwise."""
        if self._city is None:
            raise TypeError(
                'this agent does not speak as docs/wire.md says (agent.wire = "plain"): there are messages alone'
            )
        return self._city

    def received(
        self, device: str | None = None, quantity: str | None = None, *, lane: str | None = None
    ) -> list[Received]:
        """Return the readings that have arrived, each once, in the order of arrival."""
        return [
            one
            for one in self.judge.received
            if one.gateway == self._gateway
            and device in {None, one.device}
            and quantity in {None, one.quantity}
            and lane in {None, one.lane}
        ]

    def values(self, device: str, quantity: str | None = None) -> list[Any]:
        """Return the values of a device that have arrived, without the readings that say why there is none."""
        return [one.value for one in self.received(device, quantity) if one.value is not None]

    def alarms(self, device: str, alarm: str | None = None) -> list[Alarm]:
        """Return what has arrived of a device's alarms: raised, acknowledged, cleared."""
        return [one for one in self.judge.alarms if one.device == device and alarm in {None, one.alarm}]

    def ledger(self, kind: str | None = None) -> list[Statement]:
        """Return the entries of the ledger that have arrived."""
        return [one for one in self.judge.statements if one.gateway == self._gateway and kind in {None, one.kind}]

    @property
    def told(self) -> dict[str, dict[str, Any]]:
        """Return the latest of each single message of the gateway: `status`, `about`, `health`."""
        said = {} if self._city is None else self._city.said
        return {kind: fields for (gateway, kind), fields in said.items() if gateway == self._gateway}

    def status(self) -> str:
        """Return the state of the gateway that is retained, such as `online` or `offline`; empty before the first."""
        return str(self.told.get("status", {}).get("state", ""))

    def health(self) -> dict[str, Any]:
        """Return the latest health; empty before the first."""
        return self.told.get("health", {})

    def state(self, device: str) -> str:
        """Return the state that the latest health gives a device, such as `ok` or `unplugged`; empty if it has none."""
        return str(self.health().get("devices", {}).get(device, {}).get("state", ""))

    def faults(self, device: str) -> dict[str, int]:
        """Return what the latest health counts of the faults in a device's data."""
        counted: dict[str, int] = self.health().get("devices", {}).get(device, {}).get("faults", {})
        return counted

    async def command(self, verb: str, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
        """Have the city command the gateway, and return its answer."""
        with self._timeline.step(f"city.command({verb!r})"):
            if self._operator is None:
                self._operator = await self._stack.enter_async_context(Operator(self._url, self._gateway))
            return await self._operator.command(verb, **arguments)
