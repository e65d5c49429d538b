"""aiomqtt's client for one connection: MQTT 5, or 3.1.1 when configured.

aiomqtt 2.5 needs care in six places, and this is where it gets it:

* it ignores the reason code of an acknowledgement: here a refusal raises;
* a publish that waits is not told when the connection goes: here it fails at once (`link`);
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
from typing import TYPE_CHECKING, Any, Literal

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from agent.uplink import faults, inbound, packets
from agent.uplink.broker import RefusedError

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    import paho.mqtt.client as paho
    from paho.mqtt.enums import MQTTErrorCode

    from agent.config.model import Uplink
    from agent.uplink.broker import Incoming, Will
    from agent.uplink.websocket import WebSocket

RECEIVE_MAXIMUM = 65_535  # MQTT 5, section 3.2.2.3.3: the limit of a broker that names none
PUBACK_REASON = 2  # its place in the packet, behind the packet id: MQTT 5, section 3.4.2
# Refusals that MQTT 5 keeps for DISCONNECT (section 2.4): server busy, Receive Maximum exceeded, packet too large, rate
UNFORESEEN = frozenset({0x89, 0x93, 0x95, 0x96})
ACCEPTED = ReasonCode(PacketTypes.PUBACK)  # what a PUBACK without a reason means: section 3.4.2.1
NO_PROPERTIES = Properties(PacketTypes.PUBACK)  # type: ignore[no-untyped-call] # paho is typed in part

_SILENT = logging.getLogger("roadside.paho")  # what the library logs of a lost connection, `Link.lost` tells
_SILENT.setLevel(logging.CRITICAL + 1)


class Client(aiomqtt.Client):
    """A client over a socket that is open already."""

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
            will=None if will is None else packets.will(will, mqtt5=self.mqtt5),
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
