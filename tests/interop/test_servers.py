"""Our own MQTT and publisher against the servers that cities have. What is asserted here is told in docs/brokers.md."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any

import aiomqtt
import pytest

from agent.uplink.broker import LinkError, LinkFault, RefusedError, Will
from agent.uplink.credentials import Files
from agent.uplink.mqtt import MqttBroker
from tests.interop.receiver import TOPICS, client
from tests.interop.servers import (
    BASE,
    FORBIDDEN,
    LIMIT,
    Aedes,
    Iotcore,
    Mosquitto,
    MosquittoThatSays,
    MosquittoWithPattern,
    Nats,
    Papers,
    RabbitMq,
    Server,
)
from tests.uplink.authority import Authority
from tests.uplink.outbox import publisher, uplink
from tests.uplink.test_sizes import Outbox, backlog, encode, numbers
from tests.uplink.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from agent.uplink.broker import Link
    from agent.uplink.publisher import Publisher

ALL: list[type[Server]] = [Mosquitto, Iotcore, Nats, RabbitMq, Aedes]
WILL = Will(BASE + "status", b'{"state":"lost"}', "application/json")
LAST = BASE + "health"
WITHIN = 60.0  # seconds: this machine is shared


def named(kind: object) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)


SERVERS = pytest.mark.parametrize("kind", ALL, ids=named)
EACH_PROTOCOL = pytest.mark.parametrize(
    ("kind", "protocol"), [(kind, protocol) for kind in ALL for protocol in kind.protocols], ids=named
)


@asynccontextmanager
async def running(
    outbox: Outbox, url: str, protocol: str, files: Files | None = None, **settings: Any
) -> AsyncIterator[Publisher]:
    configured = uplink(url, protocol=protocol, **({"ack_within": 20.0} | settings))
    made = publisher(configured, outbox, MqttBroker(configured, files=files), encode)
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def city(server: Server, arrived: list[aiomqtt.Message], topics: str = TOPICS) -> AsyncIterator[None]:
    """Collect what arrives, in a session that outlives its connection."""
    async with client(server) as subscriber:
        await subscriber.subscribe(topics, qos=1)

        async def collect() -> None:
            with suppress(aiomqtt.MqttError):
                async for message in subscriber.messages:
                    arrived.append(message)  # noqa: PERF401 - each as it comes

        task = asyncio.create_task(collect())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


@asynccontextmanager
async def linked(server: Server, protocol: str, **settings: Any) -> AsyncIterator[Link]:
    async with MqttBroker(uplink(server.url(protocol), protocol=protocol, **settings)).connect(WILL) as link:
        yield link


def history(arrived: list[aiomqtt.Message]) -> list[int]:
    return numbers(message.payload for message in arrived if str(message.topic) == BASE + "history")


def send(link: Link, topic: str, payload: bytes = b"x", *, retain: bool = False) -> asyncio.Future[int]:
    return link.publish(topic, payload, retain=retain, properties={}, content_type="text/plain")


async def send_last(server: Server) -> None:
    """Send what comes after all that a server lets through."""
    async with linked(server, server.protocols[0], client_id="last") as link:
        await send(link, LAST)


async def outcome(link: Link, sent: asyncio.Future[int]) -> str:
    """Return what a server does with a message: its reason code, or how the connection ends."""
    try:
        async with asyncio.timeout(WITHIN):
            return f"{await sent:#04x}"
    except RefusedError as refused:
        return f"{refused.code:#04x}"
    except LinkError:
        return (await link.lost).fault


# --- delivery


@EACH_PROTOCOL
async def test_a_backlog_arrives_whole_and_in_order(serve: Callable[..., Server], kind: type[Server], protocol: str):
    server = serve(kind)
    arrived: list[aiomqtt.Message] = []
    outbox = Outbox(*backlog(100, 100, 40))
    async with city(server, arrived), running(outbox, server.url(protocol), protocol, window=20):
        await until(lambda: len(outbox.finished) == 100, within=WITHIN)
        await until(lambda: len(history(arrived)) >= 10_000, within=WITHIN)
    assert history(arrived) == [*range(1, 10_001)]


@pytest.mark.parametrize(
    ("kind", "kept"),
    [
        (MosquittoWithPattern, "all"),
        (Mosquitto, "until the restart"),
        (Iotcore, "nothing"),
        (Nats, "all"),
        (RabbitMq, "all"),
        (Aedes, "nothing"),
    ],
    ids=named,
)
async def test_a_restart_while_the_receiver_is_away(serve: Callable[..., Server], kind: type[Server], kept: str):
    """The gateway has everything acknowledged by any server; what the receiver finds then is another matter."""
    server = serve(kind)
    protocol = server.protocols[0]
    arrived: list[aiomqtt.Message] = []
    async with city(server, arrived):
        pass  # from now on there is a session
    outbox = Outbox(*backlog(50, 20))
    async with running(outbox, server.url(protocol), protocol, window=4):
        await until(lambda: len(outbox.finished) >= 5, within=WITHIN)
        server.stop()
        assert len(outbox.finished) < 50
        server.start()
        await until(lambda: len(outbox.finished) == 50, within=WITHIN)
    async with city(server, arrived), running(Outbox(*backlog(51, 20)[50:]), server.url(protocol), protocol):
        await until(lambda: 1020 in history(arrived), within=WITHIN)  # what came last comes last
    found = [number for number in dict.fromkeys(history(arrived)) if number <= 1000]
    assert found == [*range(1, len(found) + 1)]
    assert len(found) == 1000 if kept == "all" else not found if kept == "nothing" else 100 <= len(found) < 1000


@pytest.mark.parametrize(
    ("kind", "topics"),
    [
        (kind, BASE + "status" if kind is RabbitMq else "roadside/v1/+/status") for kind in ALL
    ],  # which knows no other way
    ids=named,
)
async def test_retained_status_and_last_will(serve: Callable[..., Server], kind: type[Server], topics: str):
    server = serve(kind)
    protocol = server.protocols[0]
    arrived: list[aiomqtt.Message] = []

    def states() -> list[tuple[str, bool]]:
        return [(json.loads(one.payload)["state"], one.retain) for one in arrived if str(one.topic) == WILL.topic]

    async with linked(server, protocol) as link:
        await send(link, WILL.topic, b'{"state":"online"}', retain=True)
        async with city(server, arrived, topics):
            await until(lambda: ("online", True) in states(), within=WITHIN)
    async with linked(server, protocol, client_id="other"), city(server, arrived, topics):
        await until(lambda: states()[-1][0] == "lost", within=WITHIN)


@SERVERS
async def test_another_client_takes_the_client_id(serve: Callable[..., Server], kind: type[Server]):
    server = serve(kind)
    protocol = server.protocols[0]
    async with linked(server, protocol) as first, linked(server, protocol):
        async with asyncio.timeout(WITHIN):
            # Most do not say why; mosquitto does from 2.0.21 at the latest, and did not in 2.0.11.
            assert (await first.lost).fault in {LinkFault.CLOSED, LinkFault.TAKEN_OVER}


@SERVERS
async def test_over_websocket(serve: Callable[..., Server], kind: type[Server]):
    server = serve(kind)
    outbox = Outbox(*backlog(20))
    protocol = "3.1.1" if kind is Iotcore else server.protocols[0]
    async with running(outbox, server.web_url, protocol):
        await until(lambda: len(outbox.finished) == 20, within=WITHIN)


@SERVERS
async def test_over_tls_with_certificates_of_both_sides(
    serve: Callable[..., Server], kind: type[Server], tmp_path: Path
):
    authority = Authority(tmp_path / "authority")
    server, gateway = serve(kind, papers=Papers(authority.certificate, *authority.broker())), authority.gateway()
    url, protocol = f"mqtts://localhost:{server.port}", server.protocols[0]
    outbox = Outbox(*backlog(20))
    async with running(outbox, url, protocol, Files(authority=authority.certificate, **gateway._asdict())) as way:
        await until(lambda: len(outbox.finished) == 20, within=WITHIN)
        assert set(way.certificates) == {"gateway", "broker"}
    nobody = MqttBroker(uplink(url, protocol=protocol), files=Files(authority=authority.certificate))
    # iotcore lets in whoever shows no certificate
    with nullcontext() if kind is Iotcore else pytest.raises(LinkError, match="refuses our certificate"):
        async with nobody.connect(WILL):
            pass


# --- refusals


@pytest.mark.parametrize(
    ("kind", "protocol", "answer"),
    [
        (Mosquitto, "5", "0x87"),
        (Mosquitto, "3.1.1", "0x00"),
        (Nats, "3.1.1", "0x00"),
        (RabbitMq, "3.1.1", LinkFault.CLOSED),
        (Aedes, "3.1.1", LinkFault.CLOSED),
    ],
    ids=named,
)
async def test_what_is_not_authorised(serve: Callable[..., Server], kind: type[Server], protocol: str, answer: str):
    server = serve(kind)
    arrived: list[aiomqtt.Message] = []
    async with city(server, arrived), linked(server, protocol) as link:
        assert await outcome(link, send(link, FORBIDDEN)) == answer
        await send_last(server)
        await until(lambda: LAST in map(str, (message.topic for message in arrived)), within=WITHIN)
    assert FORBIDDEN not in map(str, (message.topic for message in arrived))


@pytest.mark.parametrize(
    ("kind", "protocol", "answer"),
    [
        (Mosquitto, "5", "0x95"),
        (Mosquitto, "3.1.1", "0x00"),
        (MosquittoThatSays, "5", "0x95"),
        (MosquittoThatSays, "3.1.1", LinkFault.CLOSED),
        (Iotcore, "5", LinkFault.CLOSED),
        (Nats, "3.1.1", "0x00"),
    ],
    ids=named,
)
async def test_what_is_too_large(serve: Callable[..., Server], kind: type[Server], protocol: str, answer: str):
    server = serve(kind, limit=LIMIT)
    arrived: list[aiomqtt.Message] = []
    async with city(server, arrived), linked(server, protocol) as link:
        assert await outcome(link, send(link, BASE + "history", b"x" * 2 * LIMIT)) == answer
        await send_last(server)
        await until(lambda: LAST in map(str, (message.topic for message in arrived)), within=WITHIN)
    assert (BASE + "history" in map(str, (message.topic for message in arrived))) is (kind is Nats)


@pytest.mark.parametrize(
    ("kind", "protocol"),
    [(Mosquitto, "5"), (MosquittoThatSays, "5"), (MosquittoThatSays, "3.1.1"), (Iotcore, "5"), (Nats, "3.1.1")],
    ids=named,
)
async def test_packs_that_are_too_large_arrive_in_parts(
    serve: Callable[..., Server], kind: type[Server], protocol: str
):
    server = serve(kind, limit=LIMIT)
    arrived: list[aiomqtt.Message] = []
    outbox = Outbox(*backlog(10, 20, 300))
    async with city(server, arrived), running(outbox, server.url(protocol), protocol):
        await until(lambda: len(outbox.finished) == 10, within=WITHIN)
        await until(lambda: len(set(history(arrived))) == 200, within=WITHIN)
