"""One connection to a broker, as the publisher sees it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiomqtt

from agent.uplink import faults, packets
from agent.uplink.broker import LinkError, Papers, RefusedError
from agent.uplink.traffic import Traffic

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping

    from paho.mqtt.properties import Properties

    from agent.config.model import Uplink
    from agent.uplink.broker import Incoming
    from agent.uplink.client import Client

PACKET_TOO_LARGE = 0x95


class MqttLink:
    """Implements `agent.uplink.broker.Link` over a client that has logged in."""

    def __init__(self, client: Client, uplink: Uplink, where: str, sock: socket.socket) -> None:
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
        """Send with QoS 1; the future is the broker's answer, or the refusal or loss that came instead."""
        packed = packets.properties_of(properties, content_type, correlation) if self._client.mqtt5 else None
        if self._too_large(topic, payload, packed):
            return _failed(RefusedError(PACKET_TOO_LARGE, "Packet too large"))
        try:
            return self._client.send(topic, payload, retain=retain, properties=packed)
        except aiomqtt.MqttError as error:
            return _failed(faults.of_loss(error, self._where, self._uplink.client_id))

    def subscribe(self, topic_filter: str, take: Callable[[Incoming], None]) -> asyncio.Future[int]:
        """Ask for what comes in; the future is the broker's answer."""
        try:
            return self._client.listen(topic_filter, take)
        except aiomqtt.MqttError as error:
            return _failed(faults.of_loss(error, self._where, self._uplink.client_id))

    def wire_bytes(self) -> int:
        """Return how many bytes have gone over the wire, both ways."""
        return self._traffic.bytes()

    async def goodbye(self) -> None:
        """Take leave in order, unless the connection is gone."""
        if not self.lost.done():
            await self._client.disconnect()

    def _too_large(self, topic: str, payload: bytes, packed: Properties | None) -> bool:
        # A broker closes the connection over such a packet (section 3.2.2.3.6): it must not leave the house.
        limit = self._client.maximum_packet_size
        return packed is not None and limit is not None and packets.most_bytes(topic, payload, packed) > limit

    def _on_gone(self, gone: asyncio.Future[None]) -> None:
        error = faults.of_loss(gone.exception(), self._where, self._uplink.client_id)
        if not self.lost.done():
            self.lost.set_result(error)
        for future in self._client.acks.values():
            if not future.done():
                future.set_exception(error)
        self._client.acks.clear()


def _failed(error: Exception) -> asyncio.Future[int]:
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    future.set_exception(error)
    return future
