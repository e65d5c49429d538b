"""What health says of certificates, as their end comes near and while the time of day is not known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from agent.health import Health
from agent.uplink.broker import Holder
from agent.uplink.publisher import State, UplinkStatus
from agent.uplink.pump import Tally
from agent.uplink.x509 import Validity

DAY = 86_400
DATES = Validity(0.0, 90.0 * DAY)
JOURNAL = SimpleNamespace(
    epoch="e", next={}, waiting={}, young_bytes=0, card_bytes=0, commits=0, committed_bytes=0, unkept=0, faults={}
)


def health(day: float | None, *, renewal: str = "") -> Health:
    status = UplinkStatus(
        state=State.ONLINE,
        lasted=1.0,
        fault=None,
        message="",
        reconnects=0,
        tally=Tally(),
        set_aside=0,
        in_flight=0,
        certificates={Holder.GATEWAY: DATES},
        renewal=renewal,
        broker="broker.example:8883",
        first=None,
    )
    dated = None if day is None else SimpleNamespace(utc=day * DAY * 1e9)
    clock = SimpleNamespace(sync=None, uncertainty=None, floor=0, fault=None)
    parts: dict[str, Any] = {
        "clock": SimpleNamespace(boot="b", boottime=lambda: 0, utc=lambda: 0),
        "timekeeper": SimpleNamespace(date=lambda _boot, _at: dated, state=lambda: clock),
        "journal": SimpleNamespace(status=lambda: JOURNAL, faults=JOURNAL.faults),
        "publishers": {
            "city": SimpleNamespace(
                snapshot=lambda: status, condition=(status.state, renewal), certificates=status.certificates
            )
        },
    }
    return Health(gateway="pkt-0042", version="1", config_problems=[], pipelines={}, **parts)


@pytest.mark.parametrize(
    ("day", "state", "days"),
    [
        (0, "ok", 90),
        (59.5, "ok", 30),
        (60, "certificate_expires", 30),
        (89.5, "certificate_expires", 0),
        (90, "certificate_expired", 0),
        (None, "ok", None),
    ],
)
def test_a_certificate_is_told_of_from_a_third_of_its_life(day: float | None, state: str, days: int | None):
    told = health(day).document()["uplinks"]["city"]["certificates"]
    assert told == {"gateway": {"state": state, "until": 90 * DAY, "days": days}}


def test_health_is_published_at_once_when_a_certificate_begins_to_near_its_end():
    assert health(59.5).states() == health(59.9).states()
    assert health(59.5).states() != health(60).states() != health(90).states()


def test_a_renewal_that_fails_is_in_it_and_changes_the_state():
    failing = health(0, renewal="the key does not belong to it")
    assert failing.document()["uplinks"]["city"]["renewal"] == "the key does not belong to it"
    assert failing.states() != health(0).states()
    assert "renewal" not in health(0).document()["uplinks"]["city"]
