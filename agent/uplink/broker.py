"""The seam between the publisher and whatever speaks MQTT: links, and what goes wrong with them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from asyncio import Future
    from collections.abc import Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from agent.uplink.x509 import Validity


class LinkFault(StrEnum):
    """Why there is no link, or why a link does not deliver."""

    UNREACHABLE = "unreachable"  # no such name, no route, nobody listening
    TIMED_OUT = "timed_out"  # something is there and says nothing
    TLS = "tls"
    CLOCK_WRONG = "clock_wrong"  # the broker's certificate is "not yet valid": no battery clock here
    CERTIFICATE = "certificate"  # our own, or its key: of no use here, or refused by the broker
    WEBSOCKET = "websocket"  # something is there, and takes no MQTT over WebSocket
    SECRET = "secret"  # noqa: S105 - the name of a fault: the password cannot be read
    REFUSED_LOGIN = "refused_login"
    REFUSED_CONNECT = "refused_connect"  # the broker is busy, or wants another version or client id
    TAKEN_OVER = "taken_over"  # another client connected under our client id
    CLOSED = "closed"
    UNACKED = "unacked"  # the broker withheld an acknowledgement
    REFUSED_PUBLISH = "refused_publish"  # the link is up, and the broker refuses what is sent


class Holder(StrEnum):
    """Whose certificate it is."""

    GATEWAY = "gateway"
    BROKER = "broker"


class LinkError(Exception):
    """There is no link, or no longer; `fault` says why for machines, and the message for people."""

    def __init__(self, fault: LinkFault, message: str) -> None:
        super().__init__(message)
        self.fault = fault


class RefusedError(Exception):
    """The broker refused one message (MQTT 5 reason codes, section 2.4): it has not been delivered."""

    def __init__(self, code: int, name: str) -> None:
        super().__init__(f"{name} (0x{code:02x})")
        self.code = code
        self.name = name


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained, for a client that vanishes."""

    topic: str
    payload: bytes
    content_type: str


class Incoming(NamedTuple):
    """A message that came in."""

    topic: str
    payload: bytes
    qos: int  # with 0 it was sent once, and the broker holds none back
    retained: bool
    response_topic: str | None  # this and the next two: of MQTT 5 alone
    correlation: bytes | None  # to be sent back with the answer
    properties: Mapping[str, str]  # of the user
    acknowledge: Callable[[], object]  # to be called when it has been dealt with; harmless when the link is gone


class Papers:
    """What the two sides of a link identify themselves with, and whether ours has been renewed."""

    def __init__(self) -> None:
        self.certificates: dict[Holder, Validity] = {}  # of an encrypted link
        self.renewed: Future[None] = asyncio.get_running_loop().create_future()  # see Link.papers
        self.fault: LinkError | None = None  # what keeps renewed ones from being used, while the link goes on as it is


class Link(Protocol):
    """One connection to a broker, for as long as it lasts."""

    papers: Papers  # once `renewed` resolves, end the link in good order and connect anew: with the new ones

    window: int  # most messages that may be unacknowledged at once: the broker's limit or ours, whichever is less
    lost: Future[LinkError]  # resolves with the reason as soon as the connection is gone

    def publish(
        self,
        topic: str,
        payload: bytes,
        *,
        retain: bool,
        properties: Mapping[str, str],
        content_type: str,
        correlation: bytes | None = None,
    ) -> Future[int]:
        """Send at least once (QoS 1); `correlation` tells whoever asked what is being answered.

        The future resolves with the reason code of the acknowledgement: 0, or NO_SUBSCRIBERS; always 0 with MQTT
        3.1.1, which has none. It raises RefusedError for a refusal, and LinkError at once when the connection goes.
        """
        ...

    def subscribe(self, topic_filter: str, take: Callable[[Incoming], None]) -> Future[int]:
        """Have `take` called with what comes in, on the loop; at least once each, and never so many at a time.

        The future resolves with the reason code, and raises as that of `publish` does.
        """
        ...

    def wire_bytes(self) -> int:
        """Return the bytes that this connection has cost so far, both ways, as a metered line counts them."""
        ...

    async def goodbye(self) -> None:
        """Disconnect in good order: the will is not published."""
        ...


class Broker(Protocol):
    """Where links come from."""

    def connect(self, will: Will | None) -> AbstractAsyncContextManager[Link]:
        """Open a link; raises LinkError. Leaving the context drops the connection at once, whatever state it is in.

        Without a will the broker says nothing when the link is lost.
        """
        ...


NO_SUBSCRIBERS = 0x10  # delivered to the broker, and nobody is listening there
