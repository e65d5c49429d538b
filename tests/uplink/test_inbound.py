"""What comes in over a real broker: bounded, acknowledged by hand, kept for a while, and from those who may."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiomqtt
import pytest

from agent.uplink import inbound
from agent.uplink.broker import RefusedError, Will
from agent.uplink.credentials import Files
from agent.uplink.mqtt import MqttBroker
from tests import brokers
from tests.uplink.outbox import uplink
from tests.uplink.waiting import until

ACCESS = Path(__file__).parents[2] / "docs/mosquitto.acl"
BASE = "roadside/v1/pkt-0042/"
WILL = Will(BASE + "status", b'{"state":"lost"}', "application/json")
NOT_AUTHORISED = 0x87
PROTOCOLS = pytest.mark.parametrize("protocol", ["5", "3.1.1"])


def broker_of(mosquitto, **settings):
    return MqttBroker(uplink(mosquitto.url, commands=True, **settings), within=2.0)


async def send(mosquitto, count, **settings):
    async with aiomqtt.Client("127.0.0.1", mosquitto.port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        for number in range(count):
            await client.publish(BASE + "do/ping", str(number).encode(), 1, **settings)


async def test_no_more_come_than_were_acknowledged_and_then_the_rest_in_order(mosquitto):
    came = []
    broker = mosquitto()
    async with broker_of(broker).connect(WILL) as link:
        assert await link.subscribe(BASE + "do/+", came.append) == 1
        await send(broker, 20)
        await until(lambda: len(came) == inbound.MOST_AT_ONCE)
        await link.publish(BASE + "health", b"{}", retain=False, properties={}, content_type="application/json")
        assert len(came) == inbound.MOST_AT_ONCE  # the broker has answered since: it holds the others
        for number in range(20):
            came[number].acknowledge()
            wanted = min(number + 1 + inbound.MOST_AT_ONCE, 20)
            await until(lambda wanted=wanted: len(came) >= wanted)
    assert [one.payload for one in came] == [str(number).encode() for number in range(20)]


async def test_what_was_not_acknowledged_comes_again_with_the_next_connection(mosquitto):
    broker = mosquitto()
    made = broker_of(broker)
    first, second = [], []
    async with made.connect(WILL) as link:
        await link.subscribe(BASE + "do/+", first.append)
        await send(broker, 2)
        await until(lambda: len(first) == 2)
        first[0].acknowledge()
        await link.publish(BASE + "health", b"{}", retain=False, properties={}, content_type="application/json")
    await send(broker, 1)  # while nobody is there
    async with made.connect(WILL) as link:
        await link.subscribe(BASE + "do/+", second.append)
        await until(lambda: len(second) == 2)
    assert [one.payload for one in second] == [b"1", b"0"]


async def test_a_packet_that_is_too_large_stays_with_the_broker(mosquitto):
    came = []
    broker = mosquitto()
    async with broker_of(broker).connect(WILL) as link:
        await link.subscribe(BASE + "do/+", came.append)
        async with aiomqtt.Client("127.0.0.1", broker.port) as client:
            await client.publish(BASE + "do/ping", bytes(inbound.LARGEST), 1)
            await client.publish(BASE + "do/ping", b"small", 1)
        await until(lambda: came)
    assert [one.payload for one in came] == [b"small"]


@PROTOCOLS
async def test_a_retained_message_is_known_as_one_or_does_not_come(mosquitto, protocol):
    came = []
    broker = mosquitto()
    await send(broker, 1, retain=True)
    async with broker_of(broker, protocol=protocol).connect(WILL) as link:
        await link.subscribe(BASE + "do/+", came.append)
        await send(broker, 1)
        await until(lambda: any(not one.retained for one in came))
    assert [one.retained for one in came] == ([False] if protocol == "5" else [True, False])


async def test_the_sample_of_access_rules_lets_everybody_do_what_is_theirs_and_nothing_else(mosquitto, tmp_path):
    names = ("pkt-0042", "city", "control-room", "maintenance")
    users = brokers.password_file(tmp_path, **{name.replace("-", "_"): "x" for name in names})
    users.write_text(users.read_text().replace("_", "-"))
    broker = mosquitto("allow_anonymous false", f"password_file {users}", f"acl_file {ACCESS}")
    password = tmp_path / "password"
    password.write_text("x")
    came = []
    configured = uplink(broker.url, commands=True, username="pkt-0042", password_file=str(password))
    gateway = MqttBroker(configured, files=Files(password=password), within=2.0)
    async with gateway.connect(WILL) as link:
        assert await link.subscribe(BASE + "do/+", came.append) == 1
        for topic, is_allowed in (
            (BASE + "alarms", True),
            (BASE + "did", True),
            ("answers/control-room/pkt-0042", True),
            (BASE + "do/set", False),
            ("roadside/v1/pkt-0043/did", False),
            ("answers/control-room/pkt-0043", False),
        ):
            publishing = link.publish(topic, b"{}", retain=False, properties={}, content_type="application/json")
            if is_allowed:
                await publishing
            else:
                with pytest.raises(RefusedError) as refused:
                    await publishing
                assert refused.value.code == NOT_AUTHORISED
        login = {"password": "x"}
        for user in ("city", "maintenance", "control-room"):
            async with aiomqtt.Client("127.0.0.1", broker.port, username=user, **login) as client:
                for verb in ("set", "ping"):
                    await client.publish(f"{BASE}do/{verb}", user.encode(), 1)
        await until(lambda: len(came) >= 3)
        await asyncio.wait({link.publish(BASE + "did", b"{}", retain=False, properties={}, content_type="a/b")})
    assert [(one.topic.rpartition("/")[2], one.payload) for one in came] == [
        ("ping", b"maintenance"),
        ("set", b"control-room"),
        ("ping", b"control-room"),
    ]
