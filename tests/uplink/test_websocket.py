"""MQTT over WebSocket: the frames, and the way through them to real brokers."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.journal.pack import Lane
from agent.uplink.broker import LinkError, LinkFault, Will
from agent.uplink.credentials import Files
from agent.uplink.mqtt import MqttBroker
from agent.uplink.websocket import BINARY, CLOSE, PING, Opening, WebSocket, WebSocketError, frame
from tests.brokers import free_port
from tests.uplink.authority import Authority
from tests.uplink.outbox import MemoryOutbox, publisher, uplink
from tests.uplink.relay import Relay
from tests.uplink.test_mosquitto import running
from tests.uplink.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.brokers import MosquittoFactory

WILL = Will("roadside/v1/pkt-0042/status", b'{"state":"lost"}', "application/json")


def unmasked(opcode: int, body: bytes) -> bytes:
    size = len(body)
    if size < 126:
        return bytes((0x80 | opcode, size)) + body
    return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + body


@given(st.lists(st.tuples(st.sampled_from([BINARY, PING]), st.binary(max_size=300)), max_size=8), st.integers(1, 50))
def test_what_frames_carry_arrives_however_it_is_cut(frames: list[tuple[int, bytes]], size: int):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        web = WebSocket(ours)
        stream = b"".join(unmasked(opcode, body) for opcode, body in frames)
        arrived = b""
        for start in range(0, len(stream), size):
            theirs.sendall(stream[start : start + size])
            arrived += drain(web)
        assert arrived == b"".join(body for opcode, body in frames if opcode == BINARY)
        theirs.sendall(unmasked(CLOSE, b""))
        assert web.recv(1) == b""


def drain(web: WebSocket) -> bytes:
    got = b""
    while True:
        try:
            got += web.recv(7)
        except BlockingIOError:
            return got


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_frame_is_masked_whole_and_says_its_length(size: int):
    made = frame(BINARY, b"\x01" * size)
    head = 2 + (0 if size < 126 else 2 if size < 65_536 else 8)
    mask = made[head : head + 4]
    body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(made[head + 4 :]))
    assert (made[0], made[1] & 0x80, body) == (0x82, 0x80, b"\x01" * size)


def test_what_does_not_go_through_at_once_goes_on_where_it_stopped():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        web, data, received = WebSocket(ours), bytes(3_000_000), 0
        sent = 0
        while not sent:
            try:
                sent = web.send(data)
            except BlockingIOError:
                received += len(theirs.recv(1 << 20))
        assert sent == len(data)
        while received < len(data) + 14:
            received += len(theirs.recv(1 << 20))
        assert received == len(data) + 14


@given(st.binary(max_size=200))
def test_no_answer_breaks_the_opening(answer: bytes):
    opening = Opening("broker.example", 443, "/mqtt")
    try:
        assert opening.feed(answer) is None
    except WebSocketError as error:
        assert str(error).isprintable()  # noqa: PT017 - most answers raise, few wait for more


# --- through a relay to mosquitto, which Debian builds without WebSocket


async def test_a_backlog_goes_through(mosquitto: MosquittoFactory):
    outbox = MemoryOutbox()
    async with Relay(mosquitto().port) as relay:
        configured = uplink(f"ws://localhost:{relay.port}")
        async with running(publisher(configured, outbox, MqttBroker(configured))):
            for _ in range(200):
                outbox.put(Lane.HISTORY, size=2000)
            await until(lambda: len(outbox.finished) == 200)
            await until(lambda: relay.pongs > 100)
    assert [pack.first for pack in outbox.finished] == list(range(1, 201))


IOTCORE = """\
id = 0
[router]
id = 0
max_connections = 10
max_outgoing_packet_count = 200
max_segment_size = 1048576
max_segment_count = 10
[ws.1]
name = "web"
listen = "127.0.0.1:{port}"
next_connection_delay_ms = 1
[ws.1.connections]
connection_timeout_ms = 60000
max_payload_size = 100000
max_inflight_count = 100
"""


async def test_iotcore_takes_it_with_mqtt_311(tmp_path: Path):
    iotcore = pytest.importorskip("iotcore")
    port, settings = free_port(), tmp_path / "broker.toml"
    settings.write_text(IOTCORE.format(port=port))
    broker, outbox = iotcore.Broker(config_path=str(settings)), MemoryOutbox()
    await asyncio.to_thread(broker.start)
    try:
        configured = uplink(f"ws://127.0.0.1:{port}", protocol="3.1.1")
        async with running(publisher(configured, outbox, MqttBroker(configured))):
            for _ in range(50):
                outbox.put(Lane.HISTORY, size=3000)
            await until(lambda: len(outbox.finished) == 50)
    finally:
        await asyncio.to_thread(broker.stop)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # the relay's own side of TLS
async def test_through_tls_with_the_certificates_dates(mosquitto: MosquittoFactory, tmp_path: Path):
    authority = Authority(tmp_path / "authority")
    pair = authority.broker()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    async with Relay(mosquitto().port, tls=context) as relay:
        made = MqttBroker(uplink(f"wss://localhost:{relay.port}/mqtt"), files=Files(authority=authority.certificate))
        async with made.connect(WILL) as link:
            acks = [
                link.publish("t", b"x" * 50_000, retain=False, properties={}, content_type="text/plain")
                for _ in range(5)
            ]
            assert set(await asyncio.gather(*acks)) <= {0, 0x10}
            assert set(link.papers.certificates) == {"broker"}


@pytest.mark.parametrize(
    ("settings", "path", "said"),
    [
        ({}, "/elsewhere", "404 Not Found"),
        ({"answer": b"SSH-2.0-OpenSSH_9.2\r\n"}, "/mqtt", "not HTTP"),
        ({"answer": b"HTTP/1.1 101 Yes\r\nSec-WebSocket-Accept: x\r\n\r\n"}, "/mqtt", "proxy"),
        ({"protocol": b"chat"}, "/mqtt", "does not speak MQTT"),
    ],
)
async def test_what_takes_no_websocket_is_told(
    mosquitto: MosquittoFactory, settings: dict[str, bytes], path: str, said
):
    async with Relay(mosquitto().port, **settings) as relay:
        with pytest.raises(LinkError, match=said) as caught:
            async with MqttBroker(uplink(f"ws://localhost:{relay.port}{path}"), within=5.0).connect(WILL):
                pass
    assert caught.value.fault is LinkFault.WEBSOCKET
    assert "check the path in url" in str(caught.value)


async def test_a_connection_that_is_reset_is_laid_to_tls_only_where_there_is_some():
    def reset(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    async with await asyncio.start_server(reset, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        for scheme, fault in (("ws", LinkFault.UNREACHABLE), ("wss", LinkFault.TLS)):
            with pytest.raises(LinkError) as caught:
                async with MqttBroker(uplink(f"{scheme}://127.0.0.1:{port}/mqtt"), within=5.0).connect(WILL):
                    pass
            assert caught.value.fault is fault
            assert ("TLS" in str(caught.value)) is (scheme == "wss")
