"""The city's end: a subscriber that keeps what gateways publish, once each, as proof of what has arrived."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import time
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import aiomqtt

from hil.packs import Alarm, Anchor, Received, Record, Statement, WireError, date, unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

PACKS = frozenset({"live", "history", "alarms", "anchors", "ledger"})
SINGLE = frozenset({"status", "about", "health", "did", "commissioning"})
RECONNECT_AFTER = 0.2  # seconds
SUBSCRIBED_WITHIN = 30.0  # seconds

Dated = TypeVar("Dated", Received, Statement)


class City:
    """Subscribes with QoS 1 to all gateways. Use it as an asynchronous context manager.

    `received`, `alarms`, `statements` and `anchors` hold each record once, in the order of arrival; `doubles` counts
    the repeats, which at-least-once delivery allows; `faults` holds what did not follow the specification of the wire.
    """

    def __init__(self, url: str, prefix: str = "") -> None:
        parts = urlsplit(url)
        self.alarms: list[Alarm] = []
        self.anchors: list[Anchor] = []
        self.doubles = 0
        self.messages = 0
        self.faults: list[str] = []
        self.latest: dict[tuple[str, str], Received] = {}  # by device and quantity
        self.said: dict[tuple[str, str], dict[str, Any]] = {}  # by gateway and topic: status, about, health, did
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 1883
        self._prefix = prefix
        self._received: list[Received] = []
        self._statements: list[Statement] = []
        self._known: set[tuple[str, str, str, int]] = set()
        self._subscribed = asyncio.Event()
        self._news = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        waiting = asyncio.create_task(self._subscribed.wait())
        try:
            await asyncio.wait({self._task, waiting}, timeout=SUBSCRIBED_WITHIN, return_when=asyncio.FIRST_COMPLETED)
            if not self._subscribed.is_set():
                message = f"mqtt://{self._host}:{self._port}: no subscription within {SUBSCRIBED_WITHIN:g} s"
                raise TimeoutError(message)
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        finally:
            waiting.cancel()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    @property
    def received(self) -> list[Received]:
        """All readings, those that came undated with the time that an anchor gives them by now."""
        return [self._dated(reading) for reading in self._received]

    @property
    def statements(self) -> list[Statement]:
        """All entries of the ledger, dated likewise."""
        return [self._dated(statement) for statement in self._statements]

    def missing(self) -> int:
        """Return how many numbers, of any stream, neither arrived nor stand in the ledger: lost on the way."""
        highest: dict[tuple[str, str, str], int] = {}
        for gateway, epoch, stream, number in self._known:
            highest[gateway, epoch, stream] = max(number, highest.get((gateway, epoch, stream), 0))
        given_up = {
            (one.gateway, one.of_epoch, one.of_stream, number)
            for one in self._statements
            if one.kind in {"dropped", "damaged"} and one.concerns_us
            for number in range(one.first, one.last + 1)
        }
        known = self._known | given_up
        return sum((*key, number) not in known for key, last in highest.items() for number in range(1, last))

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition holds; it is looked at whenever something arrives. Raises what ended the listening."""
        waiting = asyncio.create_task(self._wait(condition))
        try:
            await asyncio.wait({waiting, *filter(None, [self._task])}, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done() and self._task is not None:
                await self._task
            await waiting
        finally:
            waiting.cancel()

    async def _wait(self, condition: Callable[[], object]) -> None:
        async with self._news:
            await self._news.wait_for(lambda: bool(condition()))

    async def _run(self) -> None:
        topic = f"{self._prefix}roadside/v1/+/#"
        while True:
            with contextlib.suppress(aiomqtt.MqttError):
                async with aiomqtt.Client(self._host, self._port, protocol=aiomqtt.ProtocolVersion.V5) as client:
                    await client.subscribe(topic, qos=1)
                    self._subscribed.set()
                    async for message in client.messages:
                        if isinstance(message.payload, bytes):  # the client can say that of text alone
                            await self._take(str(message.topic), message.payload)
            await asyncio.sleep(RECONNECT_AFTER)

    async def _take(self, topic: str, payload: bytes) -> None:
        self.messages += 1
        gateway, _, lane = topic.removeprefix(f"{self._prefix}roadside/v1/").partition("/")
        try:
            if lane in PACKS:
                for record in unpack(gateway, lane, payload, time.time()):
                    self._keep(record)
            elif lane in SINGLE:
                self.said[gateway, lane] = json.loads(payload)
        except (WireError, ValueError) as error:
            self.faults.append(f"{topic}: {error}")
        async with self._news:
            self._news.notify_all()

    def _keep(self, record: Record) -> None:
        if record.identity in self._known:
            self.doubles += 1
            return
        self._known.add(record.identity)
        match record:
            case Received():
                self._received.append(record)
                self.latest[record.device, record.quantity] = record
            case Alarm():
                self.alarms.append(record)
            case Statement():
                self._statements.append(record)
            case Anchor():
                self.anchors.append(record)

    def _dated(self, record: Dated) -> Dated:
        if record.utc is not None:
            return record
        dated = date(record.boot, record.boottime, self.anchors)
        return record if dated is None else dataclasses.replace(record, utc=dated[0], uncertainty=dated[1])
