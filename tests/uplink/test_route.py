"""Which of two brokers is used, when, and what the one left behind says: in a clock that runs by itself."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from functools import wraps
from typing import TYPE_CHECKING, Any

from agent.journal.pack import Lane
from agent.uplink.broker import LinkError, LinkFault
from agent.uplink.publisher import State
from agent.uplink.route import LONGER, Backup
from tests.uplink import virtual
from tests.uplink.broker import WITHHOLD, MemoryBroker
from tests.uplink.outbox import MemoryOutbox, publisher, uplink

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from agent.uplink.publisher import Publisher

FIRST, SECOND = "first:1883", "second:1883"
GONE = LinkError(LinkFault.UNREACHABLE, "nobody listens")


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[[], None]:
    @wraps(test)
    def run() -> None:
        virtual.run(test())

    return run


class City:
    """Two brokers, and the way of a gateway to them."""

    def __init__(self) -> None:
        self.outbox = MemoryOutbox()
        self.first = MemoryBroker()
        self.second = MemoryBroker()
        self.probe = MemoryBroker()
        self.way: Publisher

    @asynccontextmanager
    async def running(self, **settings: object) -> AsyncIterator[None]:
        configured = uplink("mqtt://first", backup_url="mqtt://second", **settings)
        self.way = publisher(configured, self.outbox, self.first, backup=Backup(self.second, self.probe))
        task = asyncio.create_task(self.way.run())
        try:
            yield
            assert not task.done()
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    def first_is(self, down: LinkError | None) -> None:
        """Have the first broker be there, or not."""
        for broker in (self.first, self.probe):
            broker.down = down
            if down is not None and broker.link is not None:
                broker.link.lose()

    @property
    def at(self) -> str:
        """The broker that has the gateway, or none."""
        status = self.way.snapshot()
        return status.broker if status.state is State.ONLINE else ""

    def says(self, broker: MemoryBroker) -> bytes:
        """Return the retained status at a broker."""
        return broker.payloads("status")[-1]


def now() -> float:
    return asyncio.get_running_loop().time()


async def until(condition: Callable[[], object], within: float = 30.0) -> None:
    """Wait by the quarter of a second: these waits are long."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - the condition is of the world, which sets no event
            await asyncio.sleep(0.25)


@in_virtual_time
async def test_a_first_broker_that_is_away_is_left_after_a_minute_and_an_alarm_waits_no_longer_than_that():
    city = City()
    async with city.running():
        await until(lambda: city.at == FIRST)
        await asyncio.sleep(100)
        began = now()
        city.first_is(GONE)
        city.outbox.put(Lane.ALARMS)
        await until(lambda: city.outbox.finished, within=100)
        assert 60 <= now() - began <= 60 * LONGER + 1
        assert city.at == SECOND
        assert city.way.snapshot().first == (FIRST, "nobody listens", None)
        assert city.way.snapshot().fault is None


@in_virtual_time
async def test_a_short_absence_moves_nobody():
    city = City()
    async with city.running():
        await until(lambda: city.at == FIRST)
        for _ in range(20):
            await asyncio.sleep(90)
            city.first_is(GONE)
            await asyncio.sleep(15)
            city.first_is(None)
        assert not city.second.attempts


@in_virtual_time
async def test_a_first_broker_that_hangs_is_left_within_the_stated_time():
    city = City()
    async with city.running(ack_within=10):
        await until(lambda: city.at == FIRST)
        began = now()
        city.first.answer = lambda _: (WITHHOLD, 0)
        city.outbox.put(Lane.ALARMS)
        await until(lambda: city.outbox.finished, within=200)
        assert city.at == SECOND
        assert now() - began <= 10 + 60 * LONGER + 10


@in_virtual_time
async def test_the_first_broker_is_taken_again_once_it_has_held_a_connection_for_ten_minutes():
    city = City()
    city.first_is(GONE)
    async with city.running():
        await until(lambda: city.at == SECOND, within=100)
        await asyncio.sleep(3600)
        city.first_is(None)
        began = now()
        await until(lambda: city.at == FIRST, within=1000)
        assert 600 <= now() - began <= 600 * LONGER + 61
        assert city.way.snapshot().first is None
        assert not city.probe.sent
        assert city.probe.goodbyes == city.second.goodbyes == 1
        assert city.says(city.second) == b'{"state":"moved"}'
        assert city.says(city.first) == b'{"state":"online"}'


@in_virtual_time
async def test_a_first_broker_that_flaps_is_left_once_and_not_taken_again_until_it_is_steady():
    city = City()
    async with city.running():
        for _ in range(300):  # five hours
            city.first_is(None)
            await asyncio.sleep(50)
            city.first_is(GONE)
            await asyncio.sleep(10)
        assert city.at == SECOND
        assert len(city.second.attempts) == 1
        city.first_is(None)
        await until(lambda: city.at == FIRST, within=1000)


@in_virtual_time
async def test_a_first_broker_that_is_away_for_nine_minutes_in_ten_costs_one_move():
    city = City()
    async with city.running():
        await until(lambda: city.at == FIRST)
        for _ in range(50):
            city.first_is(GONE)
            await asyncio.sleep(540)
            city.first_is(None)
            await asyncio.sleep(60)
        assert city.way.snapshot().reconnects <= 3


@in_virtual_time
async def test_when_both_are_away_both_are_tried_in_turn_and_not_often():
    city = City()
    city.first_is(GONE)
    city.second.down = GONE
    async with city.running():
        await asyncio.sleep(3600)
        tried = len(city.first.attempts) + len(city.second.attempts)
        assert 60 < tried < 300
        assert len(city.second.attempts) > 20
        city.second.down = None
        await until(lambda: city.at == SECOND, within=130)


@in_virtual_time
async def test_when_the_second_goes_while_the_first_is_back_the_first_is_taken_before_its_time():
    city = City()
    city.first_is(GONE)
    async with city.running(failback_after=86_400):
        await until(lambda: city.at == SECOND, within=100)
        city.first_is(None)
        await asyncio.sleep(3600)
        city.second.down = GONE
        city.second.link.lose()
        await until(lambda: city.at == FIRST, within=80)


@in_virtual_time
async def test_a_first_broker_that_lets_us_in_and_acknowledges_nothing_is_left_however_long_we_wait_for_that():
    city = City()
    async with city.running(ack_within=90):
        await until(lambda: city.at == FIRST)
        city.first.answer = lambda _: (WITHHOLD, 0)
        city.outbox.put(Lane.ALARMS)
        await until(lambda: city.outbox.finished, within=90 + 60 * LONGER + 90 + 10)
        assert city.at == SECOND


@in_virtual_time
async def test_when_the_second_hangs_as_the_first_is_found_to_be_steady_the_first_is_taken_at_once():
    city = City()
    city.first_is(GONE)
    async with city.running(ack_within=300):
        await until(lambda: city.at == SECOND, within=100)
        city.first_is(None)
        await asyncio.sleep(590)
        city.second.answer = lambda _: (WITHHOLD, 0)
        city.outbox.put(Lane.ALARMS)
        await until(lambda: city.outbox.finished, within=310)
        assert city.at == FIRST
        assert len(city.second.attempts) == 1


@in_virtual_time
async def test_a_second_that_breaks_now_and_then_does_not_keep_us_from_a_first_that_is_well():
    city = City()
    city.first_is(GONE)
    async with city.running():
        await until(lambda: city.at == SECOND, within=100)
        city.first_is(None)
        await asyncio.sleep(30)
        city.second.link.lose()  # the first has not held a connection for long enough to be trusted
        await until(lambda: city.at == SECOND)
        await asyncio.sleep(300)
        city.second.link.lose()
        await until(lambda: city.at == FIRST, within=10)


@in_virtual_time
async def test_nothing_is_lost_on_the_way_to_the_second_and_back():
    city = City()
    count = 0
    async with city.running():
        for minute in range(120):
            if minute in {20, 45, 46, 47}:
                city.first_is(GONE)
            if minute in {40, 48}:
                city.first_is(None)
            for _ in range(10):
                city.outbox.put(Lane.LIVE)
                count += 1
                await asyncio.sleep(6)
        await until(lambda: len(city.outbox.finished) == count, within=100)
        assert city.at == FIRST
    arrived = {
        payload
        for broker in (city.first, city.second)
        for lane in ("live", "history")
        for payload in broker.payloads(lane)
    }
    assert arrived == {str(number).encode() for number in range(1, count + 1)}


@in_virtual_time
async def test_a_stop_while_the_second_is_in_use_takes_leave_there():
    city = City()
    city.first_is(GONE)
    async with city.running():
        await until(lambda: city.at == SECOND, within=100)
        await asyncio.sleep(30)
    assert city.says(city.second) == b'{"state":"stopped"}'
