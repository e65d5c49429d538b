"""A receiver with a session that outlives its connection, where the server keeps sessions at all."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hil.city import RECONNECT_AFTER, City

if TYPE_CHECKING:
    from tests.interop.servers import Server

TOPICS = "roadside/v1/+/+"


def client(server: Server) -> aiomqtt.Client:
    """Return a client that takes up the session of the one before, in the best protocol of the server."""
    protocol = server.protocols[0]
    port = int(server.url(protocol).rpartition(":")[2])
    settings: dict[str, Any] = {"protocol": aiomqtt.ProtocolVersion.V311, "clean_session": False}
    if protocol == "5":
        expiry = Properties(PacketTypes.CONNECT)
        expiry.SessionExpiryInterval = 3600
        settings = {"protocol": aiomqtt.ProtocolVersion.V5, "clean_start": False, "properties": expiry}
    return aiomqtt.Client("127.0.0.1", port, identifier="city", **settings)


class KeptCity(City):
    """The city's end over such a session."""

    def __init__(self, server: Server) -> None:
        super().__init__(server.url(server.protocols[0]))
        self.there = asyncio.Event()  # while it is subscribed
        self._server = server

    async def _run(self) -> None:
        while True:
            with suppress(aiomqtt.MqttError):
                async with client(self._server) as subscriber:
                    await subscriber.subscribe(TOPICS, qos=1)
                    self._subscribed.set()
                    self.there.set()
                    async for message in subscriber.messages:
                        await self._take(str(message.topic), message.payload)
            self.there.clear()
            await asyncio.sleep(RECONNECT_AFTER)
