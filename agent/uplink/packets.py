"""What goes into MQTT packets beside topic and payload: properties, packed once where they are the same each time."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

if TYPE_CHECKING:
    from collections.abc import Mapping

    from agent.uplink.broker import Will

PACKET_HEAD = 9  # bytes at most of a PUBLISH before its properties, besides the topic: MQTT 5, section 3.3


def will(will: Will, *, mqtt5: bool) -> aiomqtt.Will:
    """Return the last will as aiomqtt wants it."""
    properties = _properties(PacketTypes.WILLMESSAGE, {}, will.content_type) if mqtt5 else None
    return aiomqtt.Will(will.topic, will.payload, qos=1, retain=True, properties=properties)


def properties_of(user: Mapping[str, str], content_type: str, correlation: bytes | None) -> Properties:
    """Return the properties of a PUBLISH of MQTT 5."""
    if correlation is None:
        return _ready(content_type, tuple(user.items()))
    properties = _properties(PacketTypes.PUBLISH, user, content_type)
    properties.CorrelationData = correlation
    return properties


def most_bytes(topic: str, payload: bytes, properties: Properties) -> int:
    """Return how large a PUBLISH is at most."""
    extra = len(properties.pack())  # type: ignore[no-untyped-call] # paho is typed in part
    return PACKET_HEAD + len(topic.encode()) + extra + len(payload)


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
