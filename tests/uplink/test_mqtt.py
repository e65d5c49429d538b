"""The adapter against a broker that misbehaves, which is also the contract with the pinned aiomqtt and paho."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from agent.uplink.broker import NO_SUBSCRIBERS, LinkError, LinkFault, RefusedError, Will
from agent.uplink.credentials import Files
from agent.uplink.dial import dial
from agent.uplink.mqtt import MqttBroker
from tests.brokers import free_port
from tests.uplink import certificates
from tests.uplink.outbox import uplink
from tests.uplink.scripted import ScriptedBroker, accept
from tests.uplink.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agent.uplink.broker import Link

WILL = Will("roadside/v1/pkt-0042/status", b'{"state":"lost"}', "application/json")


def files_of(settings: dict[str, object]) -> Files:
    return Files(authority=Path(str(settings["ca_file"])) if "ca_file" in settings else None)


def descriptors() -> set[str]:
    return {os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink() and entry.exists()}


@asynccontextmanager
async def linked(broker: ScriptedBroker, **settings: object) -> AsyncIterator[Link]:
    made = MqttBroker(uplink(broker.url, **settings), files=files_of(settings), within=2.0)
    async with made.connect(WILL) as link:
        yield link


def send(link: Link, payload: bytes = b"21.5", topic: str = "t") -> asyncio.Future[int]:
    return link.publish(topic, payload, retain=False, properties={"encoding": "deflate"}, content_type="text/plain")


async def fault_of(**settings: object) -> LinkError:
    within = settings.pop("within", 2.0)
    with pytest.raises(LinkError) as caught:
        async with MqttBroker(uplink(**settings), files=files_of(settings), within=within).connect(WILL):
            pass
    return caught.value


# --- publishing


async def test_a_publish_resolves_at_its_acknowledgement():
    async with ScriptedBroker() as broker, linked(broker) as link:
        assert await send(link) == 0
        published = broker.published[0]
        assert (published.topic, published.payload, published.retain) == ("t", b"21.5", False)
        assert (published.content_type, published.user) == ("text/plain", {"encoding": "deflate"})


async def test_that_nobody_subscribes_is_told():
    async with ScriptedBroker(answer=lambda _: NO_SUBSCRIBERS) as broker, linked(broker) as link:
        assert await send(link) == NO_SUBSCRIBERS


# MQTT 5 has no such reasons in an acknowledgement; brokers give them all the same.
UNFORESEEN = [
    (0x89, "Server busy"),
    (0x93, "Receive maximum exceeded"),
    (0x95, "Packet too large"),
    (0x96, "rate too high"),
]


@pytest.mark.parametrize(
    ("code", "name"), [(0x87, "Not authorized"), (0x97, "Quota exceeded"), (0x80, "Unspecified"), *UNFORESEEN]
)
async def test_a_refusal_is_no_delivery(code: int, name: str):
    async with ScriptedBroker(answer=lambda _: code) as broker, linked(broker) as link:
        with pytest.raises(RefusedError, match=name) as refused:
            await send(link)
        assert refused.value.code == code
        broker.answer = accept
        assert await send(link) == 0


async def test_acknowledgements_may_come_in_any_order():
    async with ScriptedBroker(answer=lambda _: None) as broker, linked(broker) as link:
        first, second = send(link), send(link)
        await until(lambda: len(broker.published) == 2)
        broker.acknowledge(broker.published[1].packet_id)
        assert await second == 0
        assert not first.done()
        broker.acknowledge(broker.published[0].packet_id)
        assert await first == 0


async def test_what_is_on_its_way_fails_at_once_when_the_connection_goes():
    async with ScriptedBroker(answer=lambda _: None) as broker, linked(broker, ack_within=600) as link:
        waiting = [send(link) for _ in range(5)]
        await until(lambda: len(broker.published) == 5)
        broker.cut()
        async with asyncio.timeout(1):
            outcomes = await asyncio.gather(*waiting, return_exceptions=True)
        assert [outcome.fault for outcome in outcomes] == [LinkFault.CLOSED] * 5
        assert link.lost.result().fault is LinkFault.CLOSED
        with pytest.raises(LinkError):
            await send(link)


async def test_what_is_on_its_way_fails_when_the_link_is_left():
    async with ScriptedBroker(answer=lambda _: None) as broker:
        async with linked(broker) as link:
            waiting = send(link)
        with pytest.raises(LinkError):
            await waiting


async def test_the_window_is_no_wider_than_the_brokers():
    async with ScriptedBroker(receive_maximum=7) as broker:
        async with linked(broker, window=20) as link:
            assert link.window == 7
        async with linked(broker, window=5) as link:
            assert link.window == 5


async def test_a_packet_the_broker_would_not_take_is_refused_here():
    async with ScriptedBroker(maximum_packet_size=200) as broker, linked(broker) as link:
        with pytest.raises(RefusedError, match="Packet too large"):
            await send(link, b"x" * 200)
        assert await send(link, b"x" * 100) == 0
        assert [len(published.payload) for published in broker.published] == [100]


async def test_a_new_connection_never_repeats_what_an_old_one_had_left():
    async with ScriptedBroker(answer=lambda _: None) as broker:
        configured = MqttBroker(uplink(broker.url))
        async with configured.connect(WILL) as link:
            abandoned = send(link, b"old")
            await until(lambda: broker.published)
        with pytest.raises(LinkError):
            await abandoned
        broker.answer = lambda _: 0
        async with configured.connect(WILL) as link:
            await send(link, b"new")
        assert [published.payload for published in broker.published] == [b"old", b"new"]


async def test_goodbye_is_said_and_only_when_asked():
    async with ScriptedBroker() as broker:
        async with linked(broker) as link:
            await link.goodbye()
        await until(lambda: broker.goodbyes == 1)
        async with linked(broker):
            pass
        await until(lambda: broker.connections == 2)
        assert broker.goodbyes == 1
        assert WILL.payload in broker.wills[0]


# --- why there is no link


async def test_nobody_listens():
    error = await fault_of(url=f"mqtt://127.0.0.1:{free_port()}")
    assert error.fault is LinkFault.UNREACHABLE
    assert "nobody listens" in str(error)


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example"])
async def test_the_name_can_be_no_name(host: str):
    with pytest.raises(OSError, match="not the name of a host"):  # the configuration refuses it; a name server may not
        await dial(host, 1883, within=1)


async def test_the_name_is_not_known():
    error = await fault_of(url="mqtt://broker.invalid:1883")
    assert error.fault is LinkFault.UNREACHABLE


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (0x86, LinkFault.REFUSED_LOGIN),
        (0x87, LinkFault.REFUSED_LOGIN),
        (0x89, LinkFault.REFUSED_CONNECT),
        (0x84, LinkFault.REFUSED_CONNECT),
    ],
)
async def test_the_broker_refuses(code: int, fault: LinkFault):
    async with ScriptedBroker(connack=code) as broker:
        error = await fault_of(url=broker.url)
    assert error.fault is fault


async def test_the_broker_hangs_up_during_the_login():
    async with ScriptedBroker(close_on_connect=True) as broker:
        error = await fault_of(url=broker.url, within=60.0)
    assert error.fault is LinkFault.CLOSED


async def test_the_broker_never_answers_the_login():
    async with ScriptedBroker(connack=None) as broker:
        error = await fault_of(url=broker.url, within=0.2)
    assert error.fault is LinkFault.TIMED_OUT


async def test_the_network_swallows_the_connection():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        address = server.getsockname()
        with socket.create_connection(address):  # fills the backlog: the kernel drops the next SYN
            error = await fault_of(url=f"mqtt://127.0.0.1:{address[1]}", within=0.2)
    assert error.fault is LinkFault.TIMED_OUT


@pytest.mark.parametrize(("reason", "fault"), [(0x8E, LinkFault.TAKEN_OVER), (0x8B, LinkFault.CLOSED)])
async def test_the_broker_ends_the_connection_with_a_reason(reason: int, fault: LinkFault):
    async with ScriptedBroker() as broker, linked(broker) as link:
        broker.dismiss(reason)
        async with asyncio.timeout(5):
            assert (await link.lost).fault is fault


async def test_a_connection_that_is_only_half_open_is_noticed_by_the_keepalive():
    async with ScriptedBroker() as broker, linked(broker, keepalive=1.0) as link:
        broker.deaf = True
        async with asyncio.timeout(5):
            assert (await link.lost).fault is LinkFault.TIMED_OUT


async def test_a_broker_that_breaks_the_protocol_is_left():
    async with ScriptedBroker(answer=lambda _: 0x8F) as broker, linked(broker) as link:  # no reason of a PUBACK
        with pytest.raises(LinkError):
            await send(link)


# --- secrets and TLS


async def test_the_password_is_read_at_each_connect_and_shown_nowhere(tmp_path: Path):
    secret = tmp_path / "password"
    secret.write_text("correct horse\n")
    async with ScriptedBroker() as broker:
        configured = MqttBroker(uplink(broker.url, username="gateway"), files=Files(password=secret))
        async with configured.connect(WILL):
            pass
        secret.write_text("battery staple")
        async with configured.connect(WILL) as link:
            assert "battery" not in f"{configured!r} {link!r} {vars(configured)}"
    assert b"\x00\x0dcorrect horse" in broker.wills[0]
    assert b"\x00\x0ebattery staple" in broker.wills[1]


@pytest.mark.parametrize("content", [None, b"", b"\r\n", b"\xff\xfesecret", b"secret\0", b"secret" * 20_000])
async def test_an_unreadable_password_is_a_fault_with_a_name(tmp_path: Path, content: bytes | None):
    secret = tmp_path / "password"
    if content is not None:
        secret.write_bytes(content)
    with pytest.raises(LinkError, match=str(secret)) as caught:
        async with MqttBroker(uplink(username="gateway"), files=Files(password=secret)).connect(WILL):
            pass
    assert caught.value.fault is LinkFault.SECRET
    assert "secret" not in str(caught.value)


async def test_tls(tmp_path: Path):
    authority = certificates.authority_file(tmp_path)
    async with (
        ScriptedBroker(tls=certificates.server_context(tmp_path, certificates.VALID)) as broker,
        linked(broker, ca_file=authority) as link,
    ):
        await asyncio.gather(*(send(link, b"x" * 50_000) for _ in range(5)))
    assert [len(published.payload) for published in broker.published] == [50_000] * 5


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the server side of a handshake that fails
async def test_a_certificate_from_the_future_means_that_our_clock_is_wrong(tmp_path: Path):
    authority = certificates.authority_file(tmp_path)
    async with ScriptedBroker(tls=certificates.server_context(tmp_path, certificates.NOT_YET_VALID)) as broker:
        error = await fault_of(url=broker.url, ca_file=authority)
    assert error.fault is LinkFault.CLOCK_WRONG


async def test_a_certificate_of_an_unknown_authority_is_a_tls_fault(tmp_path: Path):
    async with ScriptedBroker(tls=certificates.server_context(tmp_path, certificates.VALID)) as broker:
        error = await fault_of(url=broker.url)
    assert error.fault is LinkFault.TLS
    assert "ca_file" in str(error)


async def test_a_broker_without_tls_is_a_tls_fault():
    async with ScriptedBroker() as broker:
        error = await fault_of(url=broker.url.replace("mqtt:", "mqtts:"), within=1.0)
    assert error.fault in {LinkFault.TLS, LinkFault.TIMED_OUT}


async def test_a_missing_ca_file_is_named():
    error = await fault_of(url="mqtts://127.0.0.1:8883", ca_file="/nowhere/ca.pem")
    assert error.fault is LinkFault.TLS
    assert "/nowhere/ca.pem" in str(error)


# --- leaving nothing behind


@pytest.mark.parametrize("connack", [None, 0])
async def test_cancelling_a_connection_in_any_state_is_prompt_and_leaves_nothing(connack: int | None):
    async with ScriptedBroker(connack=connack, answer=lambda _: None) as broker:

        async def hold() -> None:
            async with MqttBroker(uplink(broker.url), within=600).connect(WILL) as link:
                await send(link)

        await asyncio.get_running_loop().run_in_executor(None, gc.collect)  # the executor's first thread
        tasks, open_before = asyncio.all_tasks(), descriptors()
        holding = asyncio.create_task(hold())
        await until(lambda: broker.published if connack == 0 else broker.connections)
        holding.cancel()
        async with asyncio.timeout(1):
            with pytest.raises(asyncio.CancelledError):
                await holding
        await until(lambda: asyncio.all_tasks() <= tasks)
        await until(lambda: descriptors() <= open_before)


async def test_cancelling_while_the_network_swallows_the_connection_is_prompt():
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server, socket.create_connection(server.getsockname()):
        open_before = descriptors()
        dialling = asyncio.create_task(fault_of(url=f"mqtt://127.0.0.1:{server.getsockname()[1]}", within=600.0))
        await until(lambda: len(descriptors()) > len(open_before))
        dialling.cancel()
        async with asyncio.timeout(1):
            await asyncio.wait({dialling})
        assert descriptors() <= open_before
