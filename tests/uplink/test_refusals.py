"""How fast a topic goes on after refusals, message by message."""

from __future__ import annotations

from agent.uplink.broker import RefusedError
from agent.uplink.refusals import NOT_AUTHORIZED, SLOW_PACE, Pace
from tests.test_backoff import Highest

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
