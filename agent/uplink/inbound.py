"""What comes in over MQTT: at most so much at a time, acknowledged when it has been dealt with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from agent.uplink.broker import Incoming

if TYPE_CHECKING:
    import paho.mqtt.client as paho

# What the broker holds to (MQTT 5, section 3.1.2.11): a flood waits there, and takes no memory here.
MOST_AT_ONCE = 8  # messages that are not acknowledged
LARGEST = 32 * 1024  # bytes of a packet
KEPT = 300  # seconds for which the broker keeps what comes while the line is down; a command is for now


def limits() -> Properties:
    """Return the properties of a CONNECT after which messages may come in."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho is typed in part
    properties.ReceiveMaximum = MOST_AT_ONCE
    properties.MaximumPacketSize = LARGEST
    properties.SessionExpiryInterval = KEPT
    return properties


def incoming(client: paho.Client, message: paho.MQTTMessage) -> Incoming:
    """Return a message as the publisher wants it."""
    properties = message.properties
    correlation = getattr(properties, "CorrelationData", None)
    return Incoming(
        message.topic,
        bytes(message.payload),
        qos=message.qos,
        retained=message.retain,
        response_topic=getattr(properties, "ResponseTopic", None),
        correlation=None if correlation is None else bytes(correlation),
        properties=dict(getattr(properties, "UserProperty", ())),
        acknowledge=lambda: client.ack(message.mid, message.qos),
    )
