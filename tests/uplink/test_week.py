"""A partner that is dead for a week costs the city nothing: no reading, no time, and not the memory of the gateway."""

from __future__ import annotations

import asyncio
import time
import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING

from agent import senml
from agent.journal.pack import Lane
from agent.readings import Reading, Stream
from agent.receiver import Received, Receiver
from agent.selection import Selection
from agent.timekeeper import Dated
from agent.uplink.filtering import FilteredOutbox
from tests.journal.conftest import Bench
from tests.journal.test_losses import alarm
from tests.records import GATEWAY
from tests.uplink.outbox import uplink

if TYPE_CHECKING:
    from pathlib import Path

    from agent.journal.journal import Journal
    from agent.journal.pack import Outbox

NOW = Dated(1_795_346_000_123_000_000, 0.1)
WEEK = 7 * 24  # hours
QUOTA = 64 * 1024


def deliver(outbox: Outbox, receiver: Receiver, uplink_: str) -> list[Received]:
    """Have everything that is at hand arrive and be acknowledged."""
    came = []
    for lane in Lane:
        while (pack := outbox.next(lane)) is not None:
            came += receiver.take(
                f"roadside/v1/{GATEWAY}/{lane.value}", senml.payload(pack, GATEWAY, NOW, uplink=uplink_)
            )
            outbox.done(pack)
    return came


async def all_of(journal: Journal, outbox: Outbox, receiver: Receiver, uplink_: str) -> list[Received]:
    """Have everything arrive, also what lies on the card."""
    came = []
    while (more := deliver(outbox, receiver, uplink_)) or journal._fetching.under_way:
        came += more
        if journal._fetching.under_way:
            await asyncio.wait([journal._fetching._coming])
        await asyncio.sleep(0)
    return came


async def test_a_partner_that_is_dead_for_a_week_loses_what_is_beyond_its_quota_and_the_city_nothing(
    tmp_path: Path,
):
    bench = Bench(tmp_path)
    journal = bench.open(
        uplinks=("city", "partner"), quotas={"partner": QUOTA}, pack_size=100, pack_within=0.0, young_limit=64 * 1024
    )
    configured = uplink(id="partner", devices=("air-1",), alarms=False)
    away = FilteredOutbox(
        journal.outbox("partner"), Selection(configured), bench.clock, keep=lambda _epoch, _kept: None
    )
    city, at_city, at_partner = journal.outbox("city"), Receiver(), Receiver()
    took: list[float] = []
    grown: list[int] = []
    tracemalloc.start()
    for hour in range(WEEK):
        bench.clock.now += 3600 * 10**9
        journal.append(Stream.TELEMETRY, bench.readings(200))
        journal.append(Stream.TELEMETRY, [Reading("level-1", "water_level", bench.clock.now, 1.5, unit="m")])
        journal.append(Stream.ALARM, [alarm(bench, hour)])
        began = time.process_time()
        came = deliver(city, at_city, "city")
        took.append(time.process_time() - began)
        assert sum(one.lane != "ledger" for one in came) == 202
        await journal.commit()
        if hour % 6 == 5:
            journal._card.close()  # a segment is full: with the readings of a real week they would be of 1 MiB
        if hour % 24 == 23:
            grown.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()

    assert min(took[-24:]) < 3 * min(took[:24])
    assert max(later - sooner for sooner, later in list(pairwise(grown))[3:]) < 48 * 1024
    status = journal.status()
    assert status.card_bytes < QUOTA + 32 * 1024
    assert status.young_bytes <= 64 * 1024 + 8 * 1024
    assert not any(status.waiting["city"].values())

    deliver(city, at_city, "city")
    assert all(account.missing() == [] for account in at_city.accounts.values())
    assert all(not account.given_up for account in at_city.accounts.values())  # the entries are of the partner alone

    back = await all_of(journal, away, at_partner, "partner")
    away._cover()  # ten minutes later
    back += await all_of(journal, away, at_partner, "partner")
    assert {one.name for one in back if one.lane != "ledger"} == {"air-1/pm2_5"}
    assert all(account.missing() == [] for account in at_partner.accounts.values())
    (telemetry,) = (account for series, account in at_partner.accounts.items() if series.stream == "telemetry")
    known = telemetry.received.count() + telemetry.left_out.count() + telemetry.given_up.count()
    assert known == WEEK * 201
    assert telemetry.given_up.count() > telemetry.received.count() > 0
    assert {one.fields["uplink"] for one in back if one.name == "dropped"} == {"partner"}
    bench.let_go()
    await asyncio.get_running_loop().shutdown_default_executor()
