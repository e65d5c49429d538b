"""Answers to commands that wait to be published."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from agent.uplink.budget import Expense
from agent.uplink.queues import JSON, Message, Queue

if TYPE_CHECKING:
    from agent.seams import Random
    from agent.uplink.broker import RefusedError

DID = "did"
MOST = 64  # that wait; the oldest go first: whoever asked has long given up


class _Answer(NamedTuple):
    payload: bytes
    topic: str  # "" for `did`
    correlation: bytes | None


class AnswerQueue(Queue):
    """Answers in the order in which they were given; those that a lost connection took are sent again."""

    expense = Expense.ANSWER

    def __init__(self, random: Random) -> None:
        super().__init__(random)
        self._waiting: deque[_Answer] = deque(maxlen=MOST)
        self._sent: dict[int, _Answer] = {}  # by attempt

    def put(self, payload: bytes, topic: str, correlation: bytes | None) -> None:
        """Publish an answer on `did`, or on that whole topic."""
        self._waiting.append(_Answer(payload, topic, correlation))

    def take(self) -> Message | None:
        """Return the answer that has waited longest."""
        if not self._waiting:
            return None
        answer = self._waiting.popleft()
        attempt = self._count()
        self._sent[attempt] = answer
        return Message(attempt, DID, answer.payload, JSON, topic=answer.topic, correlation=answer.correlation)

    def delivered(self, message: Message) -> None:
        """The broker has it."""
        self._sent.pop(message.attempt)
        super().delivered(message)

    def refused(self, message: Message, refusal: RefusedError, now: float) -> bool:
        """The broker does not want it; on a topic that a commander chose, that must not hold up the other answers."""
        if message.topic:
            self._sent.pop(message.attempt)
            self.in_flight -= 1
            return True
        news = super().refused(message, refusal, now)
        self._sent.pop(message.attempt, None)
        return news

    def begin_anew(self) -> None:
        """There is a new connection: what was on its way is sent again."""
        super().begin_anew()
        self._waiting.extendleft(reversed(self._sent.values()))
        self._sent.clear()

    def _put_back(self, message: Message) -> None:
        self._waiting.appendleft(self._sent.pop(message.attempt))
