"""Whoever commands gateways from the city's end: sends commands over MQTT 5, and keeps every answer."""

from __future__ import annotations

import asyncio
import base64
import json
import time
import uuid
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

import aiomqtt
from aiomqtt import ProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    Sign = Callable[[bytes], bytes]

ANSWERED_WITHIN = 30.0  # seconds


class Answer(NamedTuple):
    """An answer as it arrived."""

    topic: str
    fields: dict[str, Any]
    correlation: bytes | None
    retained: bool


class Operator:
    """Commands one gateway. Use it as an asynchronous context manager."""

    def __init__(self, url: str, gateway: str, **login: Any) -> None:  # noqa: ANN401 - aiomqtt's own
        parts = urlsplit(url)
        self.answers: list[Answer] = []
        self._base = f"roadside/v1/{gateway}/"
        self._gateway = gateway
        self._client = aiomqtt.Client(
            parts.hostname or "127.0.0.1", parts.port or 1883, protocol=ProtocolVersion.V5, **login
        )
        self._news = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        for topic in (f"{self._base}did/#", "answers/#"):
            await self._client.subscribe(topic, qos=1)
        self._task = asyncio.create_task(self._collect())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        await self._client.__aexit__(kind, error, trace)

    async def _collect(self) -> None:
        async for message in self._client.messages:
            correlation = getattr(message.properties, "CorrelationData", None)
            payload = json.loads(bytes(message.payload))
            self.answers.append(Answer(str(message.topic), payload, correlation, message.retain))
            async with self._news:
                self._news.notify_all()

    def request(self, *, expires_in: float = 60.0, id_: str | None = None, **arguments: Any) -> bytes:  # noqa: ANN401 - any JSON
        """Return the payload of a command."""
        arguments = {name.rstrip("_"): value for name, value in arguments.items()}  # `for_`: a word of Python's
        return json.dumps({"id": id_ or str(uuid.uuid4()), "expires": time.time() + expires_in, **arguments}).encode()

    async def send(
        self,
        command: str,
        payload: bytes,
        *,
        response_topic: str | None = None,
        correlation: bytes | None = None,
        sign: Sign | None = None,
        key: str = "ops",
        retain: bool = False,
        qos: int = 1,
    ) -> None:
        """Send a command as it is."""
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call] # paho is typed in part
        if response_topic is not None:
            properties.ResponseTopic = response_topic
        if correlation is not None:
            properties.CorrelationData = correlation
        if sign is not None:
            signature = sign(f"roadside do\n{self._gateway}\n{command}\n".encode() + payload)
            properties.UserProperty = [("key", key), ("signature", base64.b64encode(signature).decode())]
        await self._client.publish(f"{self._base}do/{command}", payload, qos, retain, properties=properties)

    async def command(self, command: str, *, sign: Sign | None = None, **arguments: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
        """Send a command and return its answer on `did`."""
        payload = self.request(**arguments)
        return await self.repeat(command, payload, sign=sign)

    async def repeat(self, command: str, payload: bytes, *, sign: Sign | None = None) -> dict[str, Any]:
        """Send this payload, perhaps not for the first time, and return the next answer to its id on `did`."""
        seen = len(self.answers)
        id_ = json.loads(payload)["id"]
        await self.send(command, payload, sign=sign)
        return await self.answer(lambda one: one.topic.endswith("/did") and one.fields["id"] == id_, since=seen)

    async def answer(self, condition: Callable[[Answer], object], *, since: int = 0) -> dict[str, Any]:
        """Wait for an answer, among those since so many; raises TimeoutError."""
        async with asyncio.timeout(ANSWERED_WITHIN), self._news:
            while True:
                for one in self.answers[since:]:
                    if condition(one):
                        return one.fields
                await self._news.wait()
