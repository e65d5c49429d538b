"""Links over aiomqtt: MQTT 5, or 3.1.1 when configured.

aiomqtt 2.5 needs care in six places, and this is where it gets it:

* it ignores the reason code of an acknowledgement: here a refusal raises;
* a publish that waits is not told when the connection goes: here it fails at once;
* what was not sent stays in the client and goes out when that is used again: here a client serves one connection;
* it ends the connection over a reason that MQTT 5 does not name for an acknowledgement, though Debian's mosquitto
  gives one: here that is a refusal like others;
* it sends more than the broker's Receive Maximum: here `Link.window` respects it;
* a connect that fails or is cancelled leaves its socket behind: here that is opened on the loop and handed in.

It reaches into private parts of aiomqtt and paho, which are pinned; tests/uplink/test_mqtt.py would notice a change.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack, asynccontextmanager, closing
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.uplink import credentials, dial, faults, inbound, tls, x509
from agent.uplink.broker import Holder, LinkError, Papers, RefusedError
from agent.uplink.credentials import Files
from agent.uplink.traffic import Traffic

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Callable, Mapping

    import paho.mqtt.client as paho
    from paho.mqtt.enums import MQTTErrorCode

    from agent.config.model import Uplink
    from agent.uplink.broker import Incoming, Link, Will
    from agent.uplink.credentials import Secrets
    from agent.uplink.websocket import WebSocket
    from agent.uplink.x509 import Validity

CONNECT_WITHIN = 8.0  # seconds for the network, and again for the login: TLS over a poor mobile link takes its time
LOOK_EVERY = 60.0  # seconds between looks at the files with secrets and certificates
FRESH = 20.0  # seconds: brokers close a connection over which nobody logs in
SETTLE = 2.0  # seconds within which a broker refuses a certificate that it does not like
RECEIVE_MAXIMUM = 65_535  # MQTT 5, section 3.2.2.3.3: the limit of a broker that names none
PACKET_TOO_LARGE = 0x95
PUBACK_REASON = 2  # its place in the packet, behind the packet id: MQTT 5, section 3.4.2
# Refusals that MQTT 5 keeps for DISCONNECT (section 2.4): server busy, Receive Maximum exceeded, packet too large, rate
UNFORESEEN = frozenset({0x89, 0x93, 0x95, 0x96})
ACCEPTED = ReasonCode(PacketTypes.PUBACK)  # what a PUBACK without a reason means: section 3.4.2.1
NO_PROPERTIES = Properties(PacketTypes.PUBACK)  # type: ignore[no-untyped-call] # paho is typed in part
PACKET_HEAD = 9  # bytes at most of a PUBLISH before its properties, besides the topic: section 3.3

_SILENT = logging.getLogger("roadside.paho")  # what the library logs of a lost connection, `Link.lost` tells
_SILENT.setLevel(logging.CRITICAL + 1)


class _Line(NamedTuple):
    """An open connection over which nobody has logged in yet."""

    sock: socket.socket | WebSocket
    secrets: Secrets
    mark: bytes  # of the files that those came from
    below: socket.socket  # what a WebSocket stands on; otherwise the same socket
    opened: float  # by the loop's clock


class MqttBroker:
    """Implements `agent.uplink.broker.Broker` for one configured uplink."""

    def __init__(
        self,
        uplink: Uplink,
        *,
        files: Files | None = None,
        within: float = CONNECT_WITHIN,
        look_every: float = LOOK_EVERY,
    ) -> None:
        """Take the configuration, where the secrets are, and how often to look whether those were renewed."""
        self._uplink = uplink
        self._files = files or Files()
        self._within = within
        self._look_every = look_every
        self._where = f"{uplink.host}:{uplink.port}"
        self._ahead: _Line | None = None  # opened with renewed secrets, for the next link

    @asynccontextmanager
    async def connect(self, will: Will | None) -> AsyncIterator[Link]:
        """Open a link; raises LinkError. Secrets and certificates are read each time: new ones need no restart."""
        line = self._take_ahead() or await self._open()
        try:
            with closing(line.sock):
                client = _Client(self._uplink, line.secrets.password, will, line.sock)
                try:
                    await self._login(client, line)
                    link = _Link(client, self._uplink, self._where, line.below)
                    link.papers.certificates |= _certificates(line)
                    watching = asyncio.create_task(self._watch(link.papers, line.mark))
                    try:
                        yield link
                    finally:
                        watching.cancel()
                        await asyncio.wait({watching})
                finally:
                    await client.drop()
        except BaseException:  # whoever leaves in order comes back for it
            self._forget_ahead()
            raise

    def _take_ahead(self) -> _Line | None:
        ahead = self._ahead
        if ahead is None or asyncio.get_running_loop().time() - ahead.opened > FRESH:
            self._forget_ahead()
            return None
        self._ahead = None
        return ahead

    def _forget_ahead(self) -> None:
        if self._ahead is not None:
            self._ahead.sock.close()
            self._ahead = None

    async def _login(self, client: _Client, line: _Line) -> None:
        try:
            async with asyncio.timeout(self._within):
                await client.login()
        except (aiomqtt.MqttError, TimeoutError) as error:
            if isinstance(line.below, tls.Socket) and line.below.alert is not None:
                raise faults.of_alert(line.below.alert, self._where) from error
            raise faults.of_login(error, self._where) from error

    async def _open(self, *, settle: float | None = None) -> _Line:
        """Connect as far as the login; with `settle` wait so long for a broker that refuses our certificate."""
        mark, secrets = await asyncio.get_running_loop().run_in_executor(None, self._read_files)
        host, port, within = self._uplink.host, self._uplink.port, self._within
        sock: socket.socket | WebSocket
        try:
            sock = below = await dial.dial(host, port, within=within, tls=secrets.tls)
            with ExitStack() as on_failure:
                on_failure.callback(below.close)
                if self._uplink.path is not None:
                    sock = await dial.upgrade(below, host, port, self._uplink.path, within=within)
                if settle is not None:
                    await dial.settle(sock, settle)
                on_failure.pop_all()
        except OSError as error:
            raise faults.of_dialling(error, self._where) from error
        return _Line(sock, secrets, mark, below, asyncio.get_running_loop().time())

    def _read_files(self) -> tuple[bytes, Secrets]:
        mark = credentials.mark(self._files)  # first: what changes meanwhile is seen at the next look
        return mark, credentials.read(self._files, encrypted=self._uplink.tls)

    async def _watch(self, papers: Papers, used: bytes) -> None:
        """Have the link made anew once other secrets lie in the files, and work.

        What was written since the last look may not be whole yet: it is tried at the next one.
        """
        loop = asyncio.get_running_loop()
        last = used
        while True:
            await asyncio.sleep(self._look_every)
            found = await loop.run_in_executor(None, credentials.mark, self._files)
            if found == used:
                papers.fault = None
            elif found == last:
                try:
                    self._ahead = await self._open(settle=SETTLE)
                except LinkError as error:
                    papers.fault = error
                else:
                    papers.fault = None
                    papers.renewed.set_result(None)
                    return
            last = found


def _certificates(line: _Line) -> dict[Holder, Validity]:
    found: dict[Holder, Validity] = {}
    if line.secrets.certificate is not None:
        found[Holder.GATEWAY] = line.secrets.certificate
    if isinstance(line.below, tls.Socket) and (shown := line.below.getpeercert(binary_form=True)) is not None:
        found[Holder.BROKER] = x509.of_der(shown)
    return found


class _Client(aiomqtt.Client):
    """aiomqtt's client for one connection, over a socket that is open already."""

    def __init__(
        self, uplink: Uplink, password: str | None, will: Will | None, sock: socket.socket | WebSocket
    ) -> None:
        protocol = aiomqtt.ProtocolVersion.V5 if uplink.protocol == "5" else aiomqtt.ProtocolVersion.V311
        self.mqtt5 = protocol is aiomqtt.ProtocolVersion.V5
        super().__init__(
            uplink.host,
            uplink.port,
            username=uplink.username,
            password=password,
            identifier=uplink.client_id,
            protocol=protocol,
            will=None if will is None else _will(will, mqtt5=self.mqtt5),
            keepalive=max(1, round(uplink.keepalive)),
            max_inflight_messages=uplink.window,
            logger=_SILENT,
            properties=inbound.limits() if uplink.commands and self.mqtt5 else None,
            # paho knows the word for MQTT 5 alone, and refuses any but its own default with 3.1.1
            clean_start=False if uplink.commands and self.mqtt5 else MQTT_CLEAN_START_FIRST_ONLY,
        )
        self._client.manual_ack_set(uplink.commands)
        self._handle_pubackcomp = self._client._handle_pubackcomp  # noqa: SLF001 - the next line is why
        self._client._handle_pubackcomp = self._on_puback  # type: ignore[method-assign] # noqa: SLF001
        self._client._create_socket = lambda: sock  # type: ignore[method-assign,assignment,return-value] # noqa: SLF001 - paho opens only blocking ones
        self.receive_maximum = RECEIVE_MAXIMUM
        self.maximum_packet_size: int | None = None
        self.acks: dict[int, asyncio.Future[int]] = {}  # by packet id
        self.gone = self._disconnected
        self._take: Callable[[Incoming], None] | None = None
        self._early: list[Incoming] = []  # of a session that goes on, before anybody has asked for it

    async def login(self) -> None:
        """Say who we are and wait for the answer; raises aiomqtt.MqttError."""
        self._client_connect()  # nothing in it blocks, now that the socket is open
        await asyncio.wait({self._connected, self.gone}, return_when=asyncio.FIRST_COMPLETED)
        if self.gone.done():
            raise aiomqtt.MqttError("closed during the login") from self.gone.exception()
        self._connected.result()

    async def drop(self) -> None:
        """Let go of the connection, whatever state it is in."""
        self._client._sock_close()  # noqa: SLF001 - the public disconnect() waits for a broker that may hang
        if not self.gone.done():
            self.gone.set_result(None)
        if self._misc_task is not None:
            await asyncio.wait({self._misc_task})
            self._misc_task = None
        # Paho's client refers to us as we do to it: the two would wait for the collector, with all their buffers.
        for name, value in vars(self._client).items():
            if getattr(value, "__self__", None) is self:
                setattr(self._client, name, None)

    async def disconnect(self) -> None:
        """Send DISCONNECT and wait until it is on its way."""
        if self._client.disconnect() == 0:
            await asyncio.wait({self.gone})

    def send(self, topic: str, payload: bytes, *, retain: bool, properties: Properties | None) -> asyncio.Future[int]:
        """Queue a publish of QoS 1 and return what its acknowledgement resolves; raises aiomqtt.MqttError."""
        info = self._client.publish(topic, payload, 1, retain, properties)
        if info.rc != 0:
            raise aiomqtt.MqttCodeError(info.rc, "publish")
        return self._answer_to(info.mid)

    def listen(self, topic_filter: str, take: Callable[[Incoming], None]) -> asyncio.Future[int]:
        """Ask for what comes in and return what the broker's answer resolves; raises aiomqtt.MqttError."""
        self._take = take
        for early in self._early:
            take(early)
        self._early.clear()
        if self.mqtt5:
            options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_DO_NOT_SEND)
            code, mid = self._client.subscribe(topic_filter, options=options)
        else:
            code, mid = self._client.subscribe(topic_filter, 1)
        if code != 0 or mid is None:
            raise aiomqtt.MqttCodeError(code, "subscribe")
        return self._answer_to(mid)

    def _answer_to(self, mid: int) -> asyncio.Future[int]:
        future = self.acks[mid] = self._loop.create_future()
        return future

    # --- called by paho, always on the loop: the socket is never touched from elsewhere

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Any,  # noqa: ANN401 - paho's own signature
        flags: paho.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        self.receive_maximum = getattr(properties, "ReceiveMaximum", RECEIVE_MAXIMUM)
        self.maximum_packet_size = getattr(properties, "MaximumPacketSize", None)
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: Any,  # noqa: ANN401 - paho's own signature
        flags: paho.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if not self._connected.done() and not self.gone.done():  # aiomqtt would let the login wait for its time-out
            self.gone.set_result(None)
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_puback(self, cmd: Literal["PUBACK", "PUBCOMP"]) -> MQTTErrorCode:
        """Give paho a reason that it knows in place of one that it takes for a malformed packet; ours settles first."""
        packet = self._client._in_packet["packet"]  # noqa: SLF001 - there is no other way to it
        mid = int.from_bytes(packet[:PUBACK_REASON], "big")
        if len(packet) == PUBACK_REASON and mid in self._client._out_messages:  # noqa: SLF001
            # By far the most, and half of what an acknowledgement costs is to make these anew each time.
            return self._client._do_on_publish(mid, ACCEPTED, NO_PROPERTIES)  # noqa: SLF001
        if self.mqtt5 and len(packet) > PUBACK_REASON and packet[PUBACK_REASON] in UNFORESEEN:
            reason = ReasonCode(PacketTypes.DISCONNECT, identifier=packet[PUBACK_REASON])
            self._settle(mid, reason)
            packet = bytearray(packet)
            packet[PUBACK_REASON] = faults.UNSPECIFIED
            self._client._in_packet["packet"] = packet  # noqa: SLF001
        return self._handle_pubackcomp(cmd)

    def _on_publish(
        self,
        client: paho.Client,  # noqa: ARG002
        userdata: Any,  # noqa: ANN401, ARG002 - paho's own signature
        mid: int,
        reason_code: ReasonCode,
        properties: Properties,  # noqa: ARG002
    ) -> None:
        self._settle(mid, reason_code)

    def _on_subscribe(
        self,
        client: paho.Client,  # noqa: ARG002
        userdata: Any,  # noqa: ANN401, ARG002 - paho's own signature
        mid: int,
        reason_codes: list[ReasonCode],
        properties: Properties | None = None,  # noqa: ARG002
    ) -> None:
        self._settle(mid, reason_codes[0])

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:  # noqa: ANN401, ARG002
        one = inbound.incoming(client, message)
        if self._take is not None:
            self._take(one)
        elif len(self._early) < inbound.MOST_AT_ONCE:
            self._early.append(one)

    def _settle(self, mid: int, reason_code: ReasonCode) -> None:
        future = self.acks.pop(mid, None)
        if future is None or future.done():
            return
        if reason_code.is_failure:
            future.set_exception(RefusedError(reason_code.value, reason_code.getName()))
        else:
            future.set_result(reason_code.value)

    def _on_socket_register_write(self, client: paho.Client, userdata: Any, sock: Any) -> None:  # noqa: ANN401, ARG002
        # aiomqtt adds the writer one turn of the loop later, when the socket may be closed and its number another's.
        self._loop.add_writer(sock, self._write)

    def _write(self) -> None:
        self._client.loop_write()


class _Link:
    """Implements `agent.uplink.broker.Link`."""

    def __init__(self, client: _Client, uplink: Uplink, where: str, sock: socket.socket) -> None:
        self.papers = Papers()
        self.window = min(uplink.window, client.receive_maximum)
        self.lost: asyncio.Future[LinkError] = asyncio.get_running_loop().create_future()
        self._client = client
        self._uplink = uplink
        self._where = where
        self._traffic = Traffic(sock)
        client.gone.add_done_callback(self._on_gone)

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool,
        properties: Mapping[str, str],
        content_type: str,
        correlation: bytes | None = None,
    ) -> asyncio.Future[int]:
        packed: Properties | None = None
        if self._client.mqtt5 and correlation is None:
            packed = _ready(content_type, tuple(properties.items()))
        elif self._client.mqtt5:
            packed = _properties(PacketTypes.PUBLISH, properties, content_type)
            packed.CorrelationData = correlation
        if self._too_large(topic, payload, packed):
            return _failed(RefusedError(PACKET_TOO_LARGE, "Packet too large"))
        try:
            return self._client.send(topic, payload, retain=retain, properties=packed)
        except aiomqtt.MqttError as error:
            return _failed(faults.of_loss(error, self._where, self._uplink.client_id))

    def subscribe(self, topic_filter: str, take: Callable[[Incoming], None]) -> asyncio.Future[int]:
        try:
            return self._client.listen(topic_filter, take)
        except aiomqtt.MqttError as error:
            return _failed(faults.of_loss(error, self._where, self._uplink.client_id))

    def wire_bytes(self) -> int:
        return self._traffic.bytes()

    async def goodbye(self) -> None:
        if not self.lost.done():
            await self._client.disconnect()

    def _too_large(self, topic: str, payload: bytes, packed: Properties | None) -> bool:
        # A broker closes the connection over such a packet (section 3.2.2.3.6): it must not leave the house.
        limit = self._client.maximum_packet_size
        if packed is None or limit is None:
            return False
        extra = len(packed.pack())  # type: ignore[no-untyped-call] # paho is typed in part
        return PACKET_HEAD + len(topic.encode()) + extra + len(payload) > limit

    def _on_gone(self, gone: asyncio.Future[None]) -> None:
        error = faults.of_loss(gone.exception(), self._where, self._uplink.client_id)
        if not self.lost.done():
            self.lost.set_result(error)
        for future in self._client.acks.values():
            if not future.done():
                future.set_exception(error)
        self._client.acks.clear()


def _will(will: Will, *, mqtt5: bool) -> aiomqtt.Will:
    properties = _properties(PacketTypes.WILLMESSAGE, {}, will.content_type) if mqtt5 else None
    return aiomqtt.Will(will.topic, will.payload, qos=1, retain=True, properties=properties)


def _failed(error: Exception) -> asyncio.Future[int]:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future


def _properties(packet: int, user: Mapping[str, str], content_type: str) -> Properties:
    properties = Properties(packet)  # type: ignore[no-untyped-call] # paho is typed in part
    properties.ContentType = content_type
    if user:
        properties.UserProperty = list(user.items())
    return properties


class _Packed(Properties):
    """Properties that were packed once: paho packs its own anew with each message, a third of what a message costs."""

    packed: bytes

    def __init__(self, properties: Properties) -> None:
        object.__setattr__(self, "packed", properties.pack())  # type: ignore[no-untyped-call] # paho is typed in part

    def pack(self) -> bytes:
        """Return them as they go out."""
        return self.packed


@lru_cache(maxsize=16)
def _ready(content_type: str, user: tuple[tuple[str, str], ...]) -> Properties:
    return _Packed(_properties(PacketTypes.PUBLISH, dict(user), content_type))
