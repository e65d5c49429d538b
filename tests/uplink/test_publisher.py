"""What the publisher decides, with a broker in memory and a clock that runs by itself."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from functools import wraps
from typing import TYPE_CHECKING, Any

import pytest

from agent.journal.pack import Lane
from agent.uplink.broker import NO_SUBSCRIBERS, LinkError, LinkFault
from agent.uplink.publisher import State
from tests.uplink import virtual
from tests.uplink.broker import ACCEPT, LOSE, WITHHOLD, Answer, MemoryBroker, Sent
from tests.uplink.outbox import MemoryOutbox, number, publisher, uplink
from tests.uplink.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from agent.journal.pack import Pack
    from agent.uplink.publisher import Publisher


def in_virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    @wraps(test)
    def run(**arguments: Any) -> None:
        virtual.run(test(**arguments))

    return run


@asynccontextmanager
async def running(
    outbox: MemoryOutbox,
    broker: MemoryBroker,
    encode: Callable[[Pack], bytes | None] = number,
    **settings: object,
) -> AsyncIterator[Publisher]:
    made = publisher(uplink(**settings), outbox, broker, encode)
    task = asyncio.create_task(made.run())
    try:
        yield made
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def online(made: Publisher) -> None:
    await until(lambda: made.snapshot().state is State.ONLINE)


# --- order and urgency


@in_virtual_time
async def test_the_most_urgent_goes_first():
    outbox, broker = MemoryOutbox(), MemoryBroker()
    for lane in reversed(Lane):
        outbox.put(lane) if lane is not Lane.LIVE else None
    async with running(outbox, broker):
        await until(lambda: len(outbox.finished) == 4)
    assert [sent.name for sent in broker.sent] == ["alarms", "status", "anchors", "ledger", "history", "status"]


@in_virtual_time
async def test_an_alarm_finds_a_slot_when_everything_else_is_waiting():
    outbox, broker = MemoryOutbox(), MemoryBroker(window=5, answer=lambda _: (WITHHOLD, 0))
    for _ in range(20):
        outbox.put(Lane.HISTORY)
    async with running(outbox, broker, ack_within=600) as made:
        await until(lambda: made.snapshot().in_flight == 4)
        outbox.put(Lane.ALARMS)
        await until(lambda: broker.payloads("alarms"))


@in_virtual_time
async def test_bytes_in_flight_are_capped_but_one_message_always_goes():
    outbox, broker = MemoryOutbox(), MemoryBroker(answer=lambda _: (ACCEPT, 1))
    for _ in range(10):
        outbox.put(Lane.HISTORY)
    async with running(outbox, broker, lambda _: b"x" * 200_000) as made:
        await until(lambda: made.snapshot().in_flight == 2)  # and the status
        await until(lambda: len(outbox.finished) == 10, within=30)


@in_virtual_time
async def test_what_came_while_there_was_no_link_is_history_and_what_comes_then_is_live():
    outbox = MemoryOutbox()
    broker = MemoryBroker(down=LinkError(LinkFault.UNREACHABLE, "nobody listens"))
    async with running(outbox, broker) as made:
        outbox.put(Lane.LIVE)
        await until(lambda: made.snapshot().fault is LinkFault.UNREACHABLE)
        outbox.put(Lane.LIVE)
        broker.down = None
        await online(made)
        await until(lambda: len(outbox.finished) == 2)
        outbox.put(Lane.LIVE)
        await until(lambda: len(outbox.finished) == 3)
    assert broker.payloads("history") == [b"1", b"2"]
    assert broker.payloads("live") == [b"3"]


@in_virtual_time
async def test_stale_telemetry_goes_up_as_history_behind_older_history():
    outbox, broker = MemoryOutbox(), MemoryBroker()
    async with running(outbox, broker, live_within=30) as made:
        await online(made)
        for _ in range(50):
            outbox.put(Lane.HISTORY, age=1000)
        outbox.put(Lane.LIVE, age=31)
        outbox.put(Lane.LIVE, age=29)
        await until(lambda: len(outbox.finished) == 52)
    assert broker.payloads("live") == [b"52"]
    assert broker.payloads("history") == [str(number).encode() for number in range(1, 52)]


@in_virtual_time
async def test_a_pack_that_cannot_be_dated_yet_waits_at_the_head_of_its_lane():
    outbox, broker, dated = MemoryOutbox(), MemoryBroker(), False
    async with running(outbox, broker, lambda pack: number(pack) if dated or "alarm" in pack.stream else None) as made:
        await online(made)
        outbox.put(Lane.LIVE)
        outbox.put(Lane.LIVE)
        outbox.put(Lane.ALARMS)
        await until(lambda: len(outbox.finished) == 1)
        await asyncio.sleep(5)
        assert broker.payloads("live") == []
        dated = True
        made.poke()
        await until(lambda: len(outbox.finished) == 3)
    assert broker.payloads("live") == [b"1", b"2"]


# --- acknowledgements, losses and waits


@in_virtual_time
async def test_a_withheld_acknowledgement_holds_nobody_up_and_then_costs_the_connection():
    def answer(sent: Sent) -> Answer:
        return (WITHHOLD if sent.payload == b"3" and sent.connection == 1 else ACCEPT), 0.01

    outbox, broker = MemoryOutbox(), MemoryBroker(answer=answer, window=4)
    for _ in range(100):
        outbox.put(Lane.HISTORY)
    async with running(outbox, broker, ack_within=10) as made:
        await until(lambda: len(outbox.finished) == 99, within=5)
        await until(lambda: made.snapshot().fault is LinkFault.UNACKED, within=20)
        await until(lambda: len(outbox.finished) == 100)
    assert broker.payloads("history").count(b"3") == 2


@in_virtual_time
async def test_a_slow_line_is_not_taken_for_a_withheld_acknowledgement():
    line_free = 0.0

    def answer(sent: Sent) -> Answer:
        nonlocal line_free
        line_free = max(line_free, sent.at) + 5
        return ACCEPT, line_free - sent.at

    outbox, broker = MemoryOutbox(), MemoryBroker(answer=answer, window=20)
    for _ in range(60):
        outbox.put(Lane.HISTORY)
    async with running(outbox, broker, ack_within=10):
        await until(lambda: len(outbox.finished) == 60, within=1000)
    assert len(broker.attempts) == 1


@in_virtual_time
async def test_an_absent_broker_is_asked_less_and_less_often():
    broker = MemoryBroker(down=LinkError(LinkFault.UNREACHABLE, "nobody listens"))
    async with running(MemoryOutbox(), broker):
        await asyncio.sleep(3600)
    assert 60 < len(broker.attempts) < 240
    assert max(later - sooner for sooner, later in zip(broker.attempts, broker.attempts[1:], strict=False)) <= 60


@in_virtual_time
async def test_a_broker_that_accepts_and_drops_again_is_asked_less_and_less_often_too():
    outbox, broker = MemoryOutbox(), MemoryBroker(answer=lambda _: (LOSE, 1))
    async with running(outbox, broker) as made:
        await asyncio.sleep(3600)
        assert made.snapshot().reconnects == len(broker.attempts) - 1
    assert 60 < len(broker.attempts) < 240


@in_virtual_time
async def test_stopping_waits_for_what_is_on_its_way_and_takes_leave():
    outbox, broker = MemoryOutbox(), MemoryBroker(answer=lambda _: (ACCEPT, 0.5))
    async with running(outbox, broker) as made:
        await online(made)
        for _ in range(3):
            outbox.put(Lane.LIVE)
        await until(lambda: len(broker.payloads("live")) == 3)
    assert len(outbox.finished) == 3
    assert broker.payloads("status") == [b'{"state":"online"}', b'{"state":"stopped"}']
    assert broker.goodbyes == 1


@in_virtual_time
async def test_stopping_does_not_wait_for_ever_and_then_lets_the_will_speak():
    outbox, broker = MemoryOutbox(), MemoryBroker(answer=lambda _: (WITHHOLD, 0))
    async with running(outbox, broker, ack_within=600) as made:
        await online(made)
        await until(lambda: broker.sent)
        began = asyncio.get_running_loop().time()
    assert asyncio.get_running_loop().time() - began < 2
    assert broker.goodbyes == 0


# --- refusals


@pytest.mark.parametrize(("code", "most"), [(0x87, 12), (0x80, 40), (0x97, 40), (0x83, 40)])
@in_virtual_time
async def test_a_refusal_is_no_delivery_and_is_not_repeated_fast(code: int, most: int):
    outbox = MemoryOutbox()
    broker = MemoryBroker(answer=lambda sent: (code if sent.name == "history" else ACCEPT, 0.01))
    for _ in range(100):
        outbox.put(Lane.HISTORY)
    async with running(outbox, broker) as made:
        await asyncio.sleep(600)
        status = made.snapshot()
        assert status.fault is LinkFault.REFUSED_PUBLISH
        assert len(broker.payloads("history")) == status.tally.refused[f"reason {code:#x}"]
        assert 8 <= len(broker.payloads("history")) - 18 <= most  # the first window went before the first answer came
        assert not outbox.finished
        outbox.put(Lane.ALARMS)
        await until(lambda: outbox.finished)  # another topic is none the worse
        broker.answer = lambda _: (ACCEPT, 0.01)
        await until(lambda: len(outbox.finished) == 101, within=100)
        assert made.snapshot().fault is None


@in_virtual_time
async def test_a_broker_that_asks_for_less_gets_less_at_once():
    in_flight = most = 0

    def answer(sent: Sent) -> Answer:
        nonlocal in_flight, most
        if sent.name != "history" or sent.at > 400:
            return ACCEPT, 0.1
        most = max(most, len(broker.link._waiting)) if sent.at > 100 else 0
        return (ACCEPT if len(broker.link._waiting) <= 5 else 0x97), 0.1

    outbox, broker = MemoryOutbox(), MemoryBroker(answer=answer)
    for _ in range(2000):
        outbox.put(Lane.HISTORY)
    async with running(outbox, broker):
        await until(lambda: len(outbox.finished) == 2000, within=1000)
    assert most <= 7


@pytest.mark.parametrize("code", [0x95, 0x99])
@in_virtual_time
async def test_a_pack_the_broker_cannot_digest_is_set_aside_until_the_next_connection(code: int):
    outbox = MemoryOutbox()
    broker = MemoryBroker(answer=lambda sent: (code if sent.payload == b"2" and sent.connection == 1 else ACCEPT, 0.01))
    for _ in range(5):
        outbox.put(Lane.HISTORY)
    async with running(outbox, broker) as made:
        await until(lambda: len(outbox.finished) == 4)
        assert made.snapshot().set_aside == 1
        broker.link.lose()
        await until(lambda: len(outbox.finished) == 5)
        assert made.snapshot().set_aside == 0


@in_virtual_time
async def test_packs_that_nobody_heard_are_counted():
    outbox, broker = MemoryOutbox(), MemoryBroker(answer=lambda _: (NO_SUBSCRIBERS, 0.01))
    outbox.put(Lane.HISTORY)
    async with running(outbox, broker) as made:
        await until(lambda: outbox.finished)
        assert made.snapshot().tally.unheard == 2  # and the status


# --- documents


@in_virtual_time
async def test_retained_documents_are_published_again_on_each_connection():
    outbox, broker = MemoryOutbox(), MemoryBroker()
    async with running(outbox, broker) as made:
        made.publish_document("about", b"old", retain=True)
        made.publish_document("about", b"new", retain=True)
        made.publish_document("health", b"once", retain=False)
        await until(lambda: made.snapshot().tally.acked == 3)
        broker.link.lose()
        await until(lambda: made.snapshot().tally.acked == 5)
    assert broker.payloads("about") == [b"new", b"new"]
    assert broker.payloads("health") == [b"once"]


@in_virtual_time
async def test_a_refused_document_is_tried_again_unless_there_is_a_newer_one():
    outbox, broker = MemoryOutbox(), MemoryBroker(answer=lambda sent: (0x80 if sent.payload == b"old" else ACCEPT, 0.1))
    async with running(outbox, broker) as made:
        made.publish_document("about", b"old", retain=True)
        await until(lambda: broker.payloads("about").count(b"old") == 3, within=60)
        made.publish_document("about", b"new", retain=True)
        await until(lambda: made.snapshot().fault is None and b"new" in broker.payloads("about"), within=60)
    assert broker.payloads("about")[-1] == b"new"


@in_virtual_time
async def test_the_prefix_goes_before_every_topic():
    outbox, broker = MemoryOutbox(), MemoryBroker(base="phuket/roadside/v1/pkt-0042/")
    outbox.put(Lane.ALARMS)
    async with running(outbox, broker, prefix="phuket"):
        await until(lambda: outbox.finished)


@in_virtual_time
async def test_while_an_alarm_waits_attempts_come_sooner():
    unreachable = LinkError(LinkFault.UNREACHABLE, "nobody listens")
    calm, alarmed = MemoryBroker(down=unreachable), MemoryBroker(down=unreachable)
    outbox = MemoryOutbox()
    outbox.put(Lane.ALARMS)
    async with running(MemoryOutbox(), calm), running(outbox, alarmed):
        await asyncio.sleep(5)
    assert len(alarmed.attempts) > len(calm.attempts)


@in_virtual_time
async def test_an_alarm_that_is_raised_during_a_wait_ends_it():
    broker = MemoryBroker(down=LinkError(LinkFault.UNREACHABLE, "nobody listens"))
    outbox = MemoryOutbox()
    async with running(outbox, broker):
        await asyncio.sleep(5)
        before = len(broker.attempts)
        outbox.put(Lane.LIVE)
        await asyncio.sleep(0.1)
        assert len(broker.attempts) == before, "telemetry waits"
        outbox.put(Lane.ALARMS)
        await until(lambda: len(broker.attempts) > before, within=0.01)


# --- how well the broker is reached


@in_virtual_time
async def test_latency_is_the_median_of_the_last_messages():
    slow = iter([0.3] * 30 + [0.02] * 11 + [0.5] * 9)
    outbox, broker = MemoryOutbox(), MemoryBroker(answer=lambda _: (ACCEPT, next(slow, 0.02)))
    async with running(outbox, broker) as made:
        assert made.link().latency is None
        for _ in range(48):
            outbox.put(Lane.LIVE)
            await asyncio.sleep(6)
        link = made.link()
    assert link.latency == pytest.approx(0.02)
    assert (link.online, link.attempts, link.failed, link.unanswered) == (True, 1, 0, 0)
    assert link.answered == 48 + 1  # the status


@in_virtual_time
async def test_attempts_that_fail_are_counted():
    broker = MemoryBroker(down=LinkError(LinkFault.UNREACHABLE, "nobody listens"))
    async with running(MemoryOutbox(), broker) as made:
        await asyncio.sleep(600)
        link = made.link()
    assert not link.online
    assert link.attempts == link.failed == len(broker.attempts) > 5


@pytest.mark.parametrize("fate", [LOSE, WITHHOLD])
@in_virtual_time
async def test_messages_that_a_connection_took_with_it_are_counted(fate: Answer):
    def answer(sent: Sent) -> Answer:
        return (fate if sent.connection == 1 and sent.payload == b"1" else ACCEPT), 0.01

    outbox, broker = MemoryOutbox(), MemoryBroker(answer=answer)
    outbox.put(Lane.LIVE)
    async with running(outbox, broker, ack_within=10) as made:
        await until(lambda: len(outbox.finished) == 1, within=60)
        link = made.link()
    assert link.unanswered >= 1
    assert link.failed == 0
    assert link.attempts == 2
