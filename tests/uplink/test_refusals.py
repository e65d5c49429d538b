"""How fast a topic goes on after refusals, message by message, and over the wire."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from agent.journal.pack import Lane
from agent.uplink.broker import LinkFault, RefusedError
from agent.uplink.mqtt import MqttBroker
from agent.uplink.refusals import NOT_AUTHORIZED, SLOW_PACE, Pace
from tests.test_backoff import Highest
from tests.uplink.outbox import MemoryOutbox, publisher, uplink
from tests.uplink.scripted import ScriptedBroker, accept
from tests.uplink.waiting import until

UNSPECIFIED = RefusedError(0x80, "Unspecified error")
FORBIDDEN = RefusedError(NOT_AUTHORIZED, "Not authorized")


def test_after_a_refusal_one_message_at_a_time_goes_after_a_pause():
    pace = Pace(Highest())
    assert pace.allows(0.0, in_flight=5)
    assert pace.refused(UNSPECIFIED, attempt=1, last=5, now=10.0)
    assert not pace.allows(10.9, in_flight=0)
    assert not pace.allows(11.0, in_flight=1)
    assert pace.allows(11.0, in_flight=0)


def test_the_refusals_of_one_window_are_one_refusal():
    pace = Pace(Highest())
    assert pace.refused(UNSPECIFIED, attempt=1, last=5, now=10.0)
    assert not any(pace.refused(UNSPECIFIED, attempt, last=5, now=10.0) for attempt in (2, 3, 4, 5))
    assert pace.resume_at == 11.0
    assert pace.refused(UNSPECIFIED, attempt=6, last=6, now=20.0)
    assert pace.resume_at == 22.0


def test_what_was_sent_before_the_refusal_and_is_accepted_does_not_end_the_pause():
    pace = Pace(Highest())
    pace.refused(UNSPECIFIED, attempt=1, last=2, now=10.0)
    pace.accepted(2)
    assert not pace.allows(10.5, in_flight=0)
    pace.accepted(3)
    assert pace.allows(10.5, in_flight=9)


def test_what_only_somebody_at_the_broker_can_mend_is_tried_slowly():
    pace = Pace(Highest())
    pace.refused(FORBIDDEN, attempt=1, last=1, now=10.0)
    assert pace.resume_at == 10.0 + SLOW_PACE


@pytest.mark.parametrize("code", [0x89, 0x93])  # which end the connection of whoever cannot read them
async def test_over_the_wire_a_broker_that_has_enough_is_left_in_peace_and_nothing_is_lost(code: int):
    outbox = MemoryOutbox()
    for _ in range(40):
        outbox.put(Lane.HISTORY)
    async with ScriptedBroker(answer=lambda one: code if one.topic.endswith("history") else 0) as broker:
        configured = uplink(broker.url)
        made = publisher(configured, outbox, MqttBroker(configured))
        task = asyncio.create_task(made.run())
        await until(lambda: made.snapshot().fault is LinkFault.REFUSED_PUBLISH)
        await until(lambda: made.snapshot().tally.refused.total() == 20)  # the first window, and one attempt after it
        assert len(broker.published) == 1 + 20  # the status went before
        assert not outbox.finished
        broker.answer = accept
        await until(lambda: len(outbox.finished) == 40)
        assert made.snapshot().reconnects == 0
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
