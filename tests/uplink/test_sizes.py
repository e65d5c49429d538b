"""Packs that a broker finds too large go up in parts, whatever way it says so; no record is lost or out of order."""

from __future__ import annotations

import asyncio
import json
import zlib
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import senml
from agent.journal.pack import Lane, Pack
from agent.journal.ranges import Ranges
from agent.readings import Reading, Stream
from agent.selection import count, halves
from agent.uplink.broker import LinkFault
from agent.uplink.mqtt import MqttBroker
from agent.uplink.sizes import FORGET_AFTER
from tests.uplink import virtual
from tests.uplink.broker import ACCEPT, LOSE, WITHHOLD, MemoryBroker
from tests.uplink.outbox import EPOCH, MemoryOutbox, publisher, uplink
from tests.uplink.scripted import ScriptedBroker
from tests.uplink.waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from agent.uplink.broker import Broker
    from agent.uplink.publisher import Publisher
    from tests.uplink.broker import Answer, Sent
    from tests.uplink.scripted import Published

LIMIT = 3000  # bytes of a payload; the largest of the packs here has about 6600


def pack(first: int, *texts: str, numbers: tuple[tuple[int, int], ...] | None = None) -> Pack:
    """Return a pack with a text in each record, not compressed to speak of."""
    runs = numbers or ((first, first + len(texts) - 1),)
    readings = [Reading(device="lane-1", quantity="plate", value=text, at=0) for text in texts]
    records = senml.encode(readings, 0)
    return Pack(
        stream=Stream.TELEMETRY,
        epoch=EPOCH,
        boot="0" * 32,
        base=0,
        first=first,
        last=runs[-1][1],
        body=senml.deflate(records),
        size=len(records) + 1,
        adler=zlib.adler32(records + b"]"),
        numbers=numbers,
    )


def encode(one: Pack) -> bytes:
    return senml.payload(one, "pkt-0042", None, compress=False)


class Outbox(MemoryOutbox):
    """Gives packs that are made beforehand."""

    def __init__(self, *packs: Pack) -> None:
        super().__init__()
        for one in packs:
            self.made[one.stream, one.first] = -1e6
            self._waiting[Lane.HISTORY].append(one)


@asynccontextmanager
async def running(outbox: Outbox, broker: Broker, **settings: Any) -> AsyncIterator[Publisher]:
    made = publisher(uplink(**settings), outbox, broker, encode)
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def backlog(packs: int = 5, records: int = 20, length: int = 300) -> list[Pack]:
    texts = [f"{number:05d}" * (length // 5) for number in range(1, packs * records + 1)]
    return [pack(first + 1, *texts[first : first + records]) for first in range(0, packs * records, records)]


def numbers(payloads: Iterable[bytes]) -> list[int]:
    """Return the numbers of what arrived, in its order, having checked that each record is behind its number."""
    arrived = []
    for payload in payloads:
        head, *records = json.loads(payload)
        runs = head.get("numbers", [[head["v"], head["last"]]])
        mine = [number for first, last in runs for number in range(first, last + 1)]
        assert [record["vs"][:5] for record in records] == [f"{number:05d}" for number in mine]
        arrived += mine
    return arrived


def refusing(code: int) -> Callable[[Sent], Answer]:
    return lambda sent: (code if len(sent.payload) > LIMIT else ACCEPT, 0.01)


# --- a pack in halves


@given(st.integers(1, 1000), st.lists(st.integers(1, 3), min_size=2, max_size=30), st.booleans())
def test_halves_hold_and_cover_together_what_the_whole_does(first: int, steps: list[int], filtered: bool):
    mine = (
        [first + sum(steps[:index]) for index in range(len(steps))]
        if filtered
        else list(range(first, first + len(steps)))
    )
    runs = Ranges((number, number) for number in mine)
    whole = pack(first, *(f"{number:05d}" for number in mine), numbers=tuple(runs) if filtered else None)
    before, after = halves(whole)
    assert (before.first, before.last + 1, after.last) == (whole.first, after.first, whole.last)
    assert count(before) + count(after) == count(whole) == len(mine)
    assert numbers(map(encode, (before, after))) == mine
    for half in (before, after):
        packed = senml.payload(half, "pkt-0042", None)
        assert zlib.decompress(packed) == encode(half)  # with the right checksum


# --- every way of saying it


def test_refused_in_the_acknowledgement():
    async def main() -> None:
        outbox, broker = Outbox(*backlog()), MemoryBroker(answer=refusing(0x95))
        async with running(outbox, broker) as made:
            await until(lambda: len(outbox.finished) == 5)
            status = made.snapshot()
            assert (status.set_aside, status.fault, status.reconnects) == (0, None, 0)
        assert sorted(numbers(sent.payload for sent in broker.acked if sent.name == "history")) == [*range(1, 101)]

    virtual.run(main())


def test_what_is_known_to_be_too_large_is_not_sent_whole():
    async def main() -> None:
        outbox, broker = Outbox(*backlog(40)), MemoryBroker(answer=refusing(0x95), window=5)
        async with running(outbox, broker):
            await until(lambda: len(outbox.finished) == 40)
            refused = sum(len(sent.payload) > LIMIT for sent in broker.sent)
            assert refused <= 4 * 2  # a window of wholes, and their halves

    virtual.run(main())


@pytest.mark.parametrize("answer", [LOSE, WITHHOLD])
def test_the_connection_closed_over_it_or_nothing_said(answer: int):
    async def main() -> None:
        outbox, broker = Outbox(*backlog()), MemoryBroker(answer=refusing(answer))
        async with running(outbox, broker):
            await until(lambda: len(outbox.finished) == 5, within=600)
        arrived = numbers(sent.payload for sent in broker.acked if sent.name == "history")
        assert sorted(set(arrived)) == [*range(1, 101)]

    virtual.run(main())


async def test_named_at_the_login_nothing_larger_leaves_the_house_and_order_holds():
    outbox = Outbox(*backlog())
    async with ScriptedBroker(maximum_packet_size=LIMIT) as broker:
        configured = uplink(broker.url)
        async with running(outbox, MqttBroker(configured), url=broker.url) as made:
            await until(lambda: len(outbox.finished) == 5)
            assert made.snapshot().reconnects == 0
        assert max(len(published.payload) for published in broker.published) < LIMIT
        assert numbers(one.payload for one in broker.published if one.topic.endswith("history")) == [*range(1, 101)]


async def test_refused_with_a_reason_that_mqtt_5_keeps_for_the_end_of_a_connection():
    def answer(published: Published) -> int:
        return 0x95 if len(published.payload) > LIMIT else 0

    outbox = Outbox(*backlog())
    async with ScriptedBroker(answer=answer) as broker:
        configured = uplink(broker.url)
        async with running(outbox, MqttBroker(configured), url=broker.url) as made:
            await until(lambda: len(outbox.finished) == 5)
            assert made.snapshot().reconnects == 0


# --- the limits of splitting


def test_a_single_reading_that_is_too_large_is_set_aside_and_told_and_the_others_pass():
    async def main() -> None:
        texts = [f"{number:05d}" * (2000 if number == 7 else 10) for number in range(1, 21)]
        outbox, broker = Outbox(pack(1, *texts)), MemoryBroker(answer=refusing(0x95))
        async with running(outbox, broker) as made:
            await until(lambda: len(broker.acked) == 1 + 4)  # the status and the parts
            await asyncio.sleep(1000)
            status = made.snapshot()
            assert (status.set_aside, status.fault) == (1, LinkFault.REFUSED_PUBLISH)
            assert "too large" in status.message
            assert not outbox.finished  # it stays in the journal
        arrived = sorted(numbers(sent.payload for sent in broker.acked if sent.name == "history"))
        assert arrived == [number for number in range(1, 21) if number != 7]

    virtual.run(main())


def test_a_limit_that_was_raised_is_found_after_a_while():
    async def main() -> None:
        outbox, broker = Outbox(*backlog(2)), MemoryBroker(answer=refusing(0x95))
        async with running(outbox, broker):
            await until(lambda: len(outbox.finished) == 2)
            broker.answer = lambda _: (ACCEPT, 0.01)
            await asyncio.sleep(FORGET_AFTER)
            more = backlog(3)[2]
            outbox.made[more.stream, more.first] = -1e6
            outbox._waiting[Lane.HISTORY].append(more)
            broker.link.lose()
            await until(lambda: len(outbox.finished) == 3)
        assert len(broker.sent[-2].payload) > LIMIT or len(broker.sent[-1].payload) > LIMIT

    virtual.run(main())


def test_a_link_that_breaks_now_and_then_splits_nothing():
    async def main() -> None:
        outbox, broker = Outbox(*backlog(60)), MemoryBroker(window=4)
        async with running(outbox, broker):
            for broken in range(1, 8):
                await until(lambda broken=broken: len(outbox.finished) >= 6 * broken, within=600)
                broker.link.lose()
            await until(lambda: len(outbox.finished) == 60, within=600)
        assert {len(json.loads(sent.payload)) for sent in broker.sent if sent.name == "history"} == {21}

    virtual.run(main())
