"""Gateways that lose their broker together do not come back together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from tests.uplink.broker import LOSE, MemoryBroker
from tests.uplink.outbox import MemoryOutbox
from tests.uplink.storm import GATEWAYS, storm
from tests.uplink.test_publisher import in_virtual_time, running

if TYPE_CHECKING:
    from tests.uplink.storm import Storm


@pytest.fixture(scope="module")
def seen() -> Storm:
    return storm()


def test_a_broker_that_comes_back_after_ten_minutes_is_not_stormed(seen: Storm):
    assert seen.peak_back < 60  # a second
    assert seen.all_back_after <= 60


@pytest.mark.parametrize("away", [0.1, 1.0, 2.0])
def test_a_broker_that_restarts_at_once_meets_a_quarter_of_them_a_second(away: float):
    restarted = storm(away=away)
    assert restarted.peak < 0.3 * GATEWAYS
    assert restarted.all_back_after <= 20


def test_even_if_all_had_an_alarm_to_bring_it_would_be_no_worse_after_ten_minutes():
    assert storm(alarms=True).peak_back < 60


def test_without_jitter_all_would_come_in_one_second():
    assert storm(jitter=False).peak_back == GATEWAYS


def test_a_broker_that_lets_in_twenty_a_second_has_everybody_in_a_few_minutes():
    slow = storm(accepts=20)
    assert slow.peak_back < 60
    assert slow.all_back_after < 300


@pytest.mark.parametrize("held", [0.0, 1.0, 29.0, 31.0])
@in_virtual_time
async def test_a_broker_that_kicks_is_asked_no_more_than_so_often_an_hour(held: float):
    broker = MemoryBroker(answer=lambda _: (LOSE, held))
    async with running(MemoryOutbox(), broker, ack_within=600.0):
        await asyncio.sleep(3600)
    assert 20 < len(broker.attempts) < 180
