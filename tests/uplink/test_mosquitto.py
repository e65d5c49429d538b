"""The publisher, whole, against Debian's mosquitto."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import aiomqtt
import pytest

from agent.journal.pack import Lane
from agent.uplink.broker import LinkFault
from agent.uplink.credentials import Files
from agent.uplink.mqtt import MqttBroker
from agent.uplink.publisher import State
from tests import brokers
from tests.uplink.outbox import MemoryOutbox, publisher, uplink
from tests.uplink.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from agent.uplink.publisher import Publisher
    from tests.brokers import Mosquitto, MosquittoFactory

BASE = "roadside/v1/pkt-0042/"
QUOTA = ("max_inflight_bytes 1000", "max_queued_bytes 100")  # of what a client has sent with QoS 2 and not released
PROTOCOLS = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


@asynccontextmanager
async def running(made: Publisher) -> AsyncIterator[Publisher]:
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            async with asyncio.timeout(5):
                await task
        assert made.snapshot().state is State.STOPPED


@asynccontextmanager
async def listening(
    broker: Mosquitto, **login: str
) -> AsyncIterator[Callable[[Callable[[dict[str, bytes]], object]], object]]:
    """Collect what arrives, the last of each topic; yields a wait for a condition on it."""
    arrived: dict[str, bytes] = {}
    changed = asyncio.Event()
    async with aiomqtt.Client("127.0.0.1", broker.port, **login) as client:
        await client.subscribe("#", qos=1)

        async def collect() -> None:
            async for message in client.messages:
                arrived[str(message.topic)] = message.payload
                changed.set()

        async def wait(condition: Callable[[dict[str, bytes]], object]) -> None:
            async with asyncio.timeout(10):
                while not condition(arrived):
                    changed.clear()
                    await changed.wait()

        task = asyncio.create_task(collect())
        try:
            yield wait
        finally:
            task.cancel()
            await asyncio.wait({task})


def made(broker: Mosquitto, outbox: MemoryOutbox, password_file: Path | None = None, **settings: object) -> Publisher:
    configured = uplink(broker.url, **settings)
    return publisher(configured, outbox, MqttBroker(configured, files=Files(password=password_file), within=1.0))


@PROTOCOLS
async def test_everything_arrives_on_its_topic_and_the_status_tells_when_the_agent_stops(
    mosquitto: MosquittoFactory, protocol: str
):
    broker, outbox = mosquitto(), MemoryOutbox()
    async with listening(broker) as wait:
        async with running(made(broker, outbox, protocol=protocol)) as way:
            way.publish_document("about", b'{"version":"1"}', retain=True)
            await until(lambda: way.snapshot().state is State.ONLINE)
            for lane in (Lane.ALARMS, Lane.ANCHORS, Lane.LEDGER, Lane.LIVE):
                outbox.put(lane)
            await until(lambda: len(outbox.finished) == 4)
            await wait(lambda arrived: json.loads(arrived.get(BASE + "status", b"{}")) == {"state": "online"})
            await wait(lambda arrived: len(arrived) == 6)
        await wait(lambda arrived: json.loads(arrived[BASE + "status"]) == {"state": "stopped"})
    async with listening(broker) as wait:  # retained
        await wait(lambda arrived: set(arrived) == {BASE + "status", BASE + "about"})


async def test_the_broker_says_it_when_the_gateway_is_lost(mosquitto: MosquittoFactory):
    broker = mosquitto()
    async with listening(broker) as wait:
        task = asyncio.create_task(made(broker, MemoryOutbox()).run())
        await wait(lambda arrived: b"online" in arrived.get(BASE + "status", b""))
        task.cancel()
        while not task.done():  # no time to take leave
            await asyncio.sleep(0)
            task.cancel()
        await wait(lambda arrived: b"lost" in arrived[BASE + "status"])


@PROTOCOLS
async def test_a_broker_that_is_absent_at_first_gets_everything_when_it_comes(
    mosquitto: MosquittoFactory, protocol: str
):
    broker, outbox = mosquitto(start=False), MemoryOutbox()
    for _ in range(50):
        outbox.put(Lane.HISTORY)
    async with running(made(broker, outbox, protocol=protocol)) as way:
        await until(lambda: way.snapshot().fault is LinkFault.UNREACHABLE)
        assert str(broker.port) in way.snapshot().message
        broker.start()
        await until(lambda: len(outbox.finished) == 50)
        assert way.snapshot().fault is None
        assert [pack.first for pack in outbox.finished] == list(range(1, 51))


@PROTOCOLS
async def test_a_refused_login_is_reported_and_mended_by_a_new_password(
    mosquitto: MosquittoFactory, tmp_path: Path, protocol: str
):
    users, secret = brokers.password_file(tmp_path, gateway="right"), tmp_path / "password"
    secret.write_text("wrong\n")
    broker, outbox = mosquitto("allow_anonymous false", f"password_file {users}"), MemoryOutbox()
    outbox.put(Lane.LIVE)
    async with running(made(broker, outbox, secret, protocol=protocol, username="gateway")) as way:
        await until(lambda: way.snapshot().fault is LinkFault.REFUSED_LOGIN)
        assert not outbox.finished
        secret.write_text("right\n")
        await until(lambda: outbox.finished)


async def test_a_refused_publish_is_kept_and_holds_up_its_own_topic_alone(mosquitto: MosquittoFactory, tmp_path: Path):
    rules = tmp_path / "rules"
    rules.write_text(f"topic readwrite {BASE}alarms\ntopic readwrite {BASE}status\n")
    broker, outbox = mosquitto(f"acl_file {rules}"), MemoryOutbox()
    async with running(made(broker, outbox)) as way:
        outbox.put(Lane.HISTORY)
        await until(lambda: way.snapshot().fault is LinkFault.REFUSED_PUBLISH)
        assert way.snapshot().tally.refused == {"Not authorized": 1}
        alarm = outbox.put(Lane.ALARMS)
        await until(lambda: outbox.finished == [alarm])
        assert outbox.unfinished() == 1


async def leave_unreleased(broker: Mosquitto, packet_id: int, size: int) -> None:
    """Send, as the gateway, a message of QoS 2 and go before its PUBREL: it stays in the session, which is kept."""
    reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
    keeping = b"\x05\x11" + (3600).to_bytes(4, "big")  # MQTT 5, section 3.1.2.11.2: the session's expiry in seconds
    login = b"\0\4MQTT\5\0\0\x3c" + keeping + b"\0\x08pkt-0042"
    body = b"\0\4held" + packet_id.to_bytes(2, "big") + b"\0" + bytes(size)
    for kind, packet in ((b"\x10", login), (b"\x34", body)):
        writer.write(kind + bytes([len(packet) % 128 | 128, len(packet) // 128]) + packet)
    while (await reader.readexactly(1))[0] != 0x50:  # PUBREC
        (length,) = await reader.readexactly(1)
        await reader.readexactly(length)
    writer.close()
    await writer.wait_closed()


async def test_over_its_quota_a_gateway_sends_seldom_keeps_all_and_says_so_until_there_is_room(
    mosquitto: MosquittoFactory,
):
    broker, outbox = mosquitto(*QUOTA), MemoryOutbox()
    for _ in range(40):
        outbox.put(Lane.HISTORY)
    # A whole window is refused at once, then one message at a time. With the 22nd the packet id comes again of what was
    # left: mosquitto forgets that, and there is room.
    await leave_unreleased(broker, packet_id=22, size=2000)
    async with running(made(broker, outbox, commands=True)) as way:  # which takes the session up
        await until(lambda: way.snapshot().fault is LinkFault.REFUSED_PUBLISH)
        assert "Quota exceeded (0x97)" in way.snapshot().message
        assert not outbox.finished
        await until(lambda: len(outbox.finished) == 40)
        await until(lambda: way.snapshot().fault is None)
        assert way.snapshot().tally.refused == {"Quota exceeded": 21}
        assert way.snapshot().reconnects == 0
    assert [pack.first for pack in outbox.finished] == list(range(1, 41))


async def test_a_broker_that_hangs_is_left_and_everything_undone_is_sent_again(mosquitto: MosquittoFactory):
    broker, outbox = mosquitto(), MemoryOutbox()
    async with running(made(broker, outbox, ack_within=1.0)) as way:
        await until(lambda: way.snapshot().tally.acked == 1)
        broker.freeze()
        for _ in range(3):
            outbox.put(Lane.LIVE)
        await until(lambda: way.snapshot().fault is LinkFault.UNACKED)
        assert not outbox.finished
        await until(lambda: way.snapshot().fault is LinkFault.TIMED_OUT)
        broker.thaw()
        await until(lambda: len(outbox.finished) == 3)


@pytest.mark.parametrize("busy", [False, True])
async def test_stopping_while_the_broker_hangs_is_prompt(mosquitto: MosquittoFactory, *, busy: bool):
    broker, outbox = mosquitto(), MemoryOutbox()
    loop = asyncio.get_running_loop()
    async with running(made(broker, outbox, ack_within=60.0)) as way:
        await until(lambda: way.snapshot().tally.acked == 1)
        broker.freeze()
        for _ in range(30 if busy else 0):
            outbox.put(Lane.LIVE, size=100_000)
        await until(lambda: not busy or way.snapshot().in_flight)
        began = loop.time()
    assert loop.time() - began < 2.5


async def test_a_broker_that_restarts_costs_nothing(mosquitto: MosquittoFactory):
    broker, outbox = mosquitto(), MemoryOutbox()
    async with running(made(broker, outbox, window=5)) as way:
        for _ in range(2000):
            outbox.put(Lane.HISTORY)
        await until(lambda: outbox.finished)
        broker.stop()
        await until(lambda: way.snapshot().fault is not None)
        broker.start()
        await until(lambda: len(outbox.finished) == 2000)
        assert way.snapshot().reconnects >= 1
    assert sorted(pack.first for pack in outbox.finished) == list(range(1, 2001))
