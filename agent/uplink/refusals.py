"""What a broker's refusal of a message means for the messages behind it.

A refusal is never a delivery: what was refused is kept, and tried again when there is hope.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from agent.backoff import Backoff

if TYPE_CHECKING:
    from agent.seams import Random
    from agent.uplink.broker import RefusedError

# Reason codes of MQTT 5, section 2.4
SERVER_BUSY = 0x89
NOT_AUTHORIZED = 0x87
TOPIC_NAME_INVALID = 0x90
RECEIVE_MAXIMUM_EXCEEDED = 0x93
PACKET_TOO_LARGE = 0x95
QUOTA_EXCEEDED = 0x97
PAYLOAD_FORMAT_INVALID = 0x99

SLOW_PACE = 60.0  # seconds between attempts that only somebody at the broker can make succeed


class Remedy(Enum):
    """What to do with a message that was refused."""

    RETRY = auto()  # soon, and less and less often
    EASE = auto()  # the same, and put less on the way at once
    WAIT = auto()  # until somebody changes the broker's rules
    SPLIT = auto()  # send its records in smaller packs; a single one is set aside
    SET_ASIDE = auto()  # this message will not pass on this connection; those behind it may


_REMEDIES = {
    SERVER_BUSY: Remedy.EASE,
    RECEIVE_MAXIMUM_EXCEEDED: Remedy.EASE,
    QUOTA_EXCEEDED: Remedy.EASE,
    NOT_AUTHORIZED: Remedy.WAIT,
    TOPIC_NAME_INVALID: Remedy.WAIT,
    PACKET_TOO_LARGE: Remedy.SPLIT,
    PAYLOAD_FORMAT_INVALID: Remedy.SET_ASIDE,
}


def remedy(refusal: RefusedError) -> Remedy:
    """Return what helps against a refusal; time does against the ones that say no more than "no"."""
    return _REMEDIES.get(refusal.code, Remedy.RETRY)


class Pace:
    """How fast one topic may go on: at will, or after refusals one message at a time with a pause before each.

    A whole window may be refused, or acknowledged, because of what was wrong or right before the pause began. Messages
    are numbered in the order they are sent, so that only those sent after it count.
    """

    def __init__(self, random: Random) -> None:
        self.refusal: RefusedError | None = None  # what holds the topic up
        self.resume_at = 0.0  # seconds on the loop's clock
        self._backoff = Backoff(random)
        self._paused_after = 0

    def allows(self, now: float, in_flight: int) -> bool:
        """Return whether a message may be sent now."""
        return self.refusal is None or (now >= self.resume_at and in_flight == 0)

    def accepted(self, attempt: int) -> None:
        """Go on at will: the broker took a message that was sent after the pause."""
        if attempt > self._paused_after:
            self.refusal = None
            self._backoff.reset()

    def refused(self, refusal: RefusedError, attempt: int, last: int, now: float) -> bool:
        """Pause; `last` is the latest message sent. Return False if this refusal belongs to a pause that has begun."""
        if attempt <= self._paused_after:
            return False
        self._paused_after = last
        self.refusal = refusal
        self.resume_at = now + (SLOW_PACE if remedy(refusal) is Remedy.WAIT else self._backoff.failed())
        return True

    def begin_anew(self) -> None:
        """Forget it all: this is a new connection."""
        self.refusal = None
        self._backoff.reset()
