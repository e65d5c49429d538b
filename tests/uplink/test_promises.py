"""Whatever the broker does: each pack is done once, none is skipped, order holds, and the window is kept.

The last two are watched by the broker in memory, the first by the outbox in memory.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.journal.pack import Lane
from tests.uplink import virtual
from tests.uplink.broker import ACCEPT, LOSE, WITHHOLD, Answer, MemoryBroker
from tests.uplink.outbox import MemoryOutbox, publisher, uplink
from tests.uplink.waiting import until

ANSWERS = st.tuples(
    st.sampled_from([ACCEPT] * 6 + [WITHHOLD, LOSE, 0x80, 0x87, 0x97, 0x95, 0x99, 0x10]),
    st.sampled_from([0.0, 0.01, 0.5, 3.0]),
)
LANES = st.sampled_from([Lane.ALARMS, Lane.ANCHORS, Lane.LEDGER, Lane.LIVE])
ARRIVALS = st.lists(st.tuples(LANES, st.sampled_from([0.0, 0.0, 0.1, 5.0])), min_size=1, max_size=40)


@settings(max_examples=200, deadline=None)
@example(answers=[(ACCEPT, 0.0), (ACCEPT, 0.0), (0x80, 0.0)], arrivals=[(Lane.ALARMS, 0.0)] * 7, window=2, backlog=0)
@given(answers=st.lists(ANSWERS, max_size=60), arrivals=ARRIVALS, window=st.integers(2, 8), backlog=st.integers(0, 20))
def test_every_pack_arrives_and_is_done_once(
    answers: list[Answer], arrivals: list[tuple[Lane, float]], window: int, backlog: int
) -> None:
    script = iter(answers)

    async def main() -> None:
        outbox = MemoryOutbox()
        broker = MemoryBroker(window=window, answer=lambda _: next(script, (ACCEPT, 0.01)))
        for _ in range(backlog):
            outbox.put(Lane.HISTORY, age=1000)
        made = publisher(uplink(live_within=2.0), outbox, broker)
        task = asyncio.create_task(made.run())
        for lane, pause in arrivals:
            await asyncio.sleep(pause)
            outbox.put(lane)
        await until(lambda: task.done() or next(script, None) is None, within=36_000)
        async with asyncio.timeout(36_000):
            while outbox.unfinished() and not task.done():
                await asyncio.sleep(120)
                if made.snapshot().set_aside and broker.link is not None:
                    broker.link.lose()  # what was set aside is sent again on the next connection
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        check(outbox, broker, backlog + len(arrivals))

    virtual.run(main())


def check(outbox: MemoryOutbox, broker: MemoryBroker, count: int) -> None:
    assert len(outbox.finished) == count
    assert len({(pack.stream, pack.first) for pack in outbox.finished}) == count
    acked = {
        (sent.name in {"live", "history"}, sent.name * (sent.name not in {"live", "history"}), sent.payload)
        for sent in broker.acked
    }
    for pack in outbox.finished:
        telemetry = pack.stream == "telemetry"
        name = "" if telemetry else {"alarm": "alarms", "anchor": "anchors", "ledger": "ledger"}[pack.stream]
        assert (telemetry, name, str(pack.first).encode()) in acked
    for topic in ("alarms", "anchors", "ledger", "live", "history"):
        assert_in_order(broker, topic)


def assert_in_order(broker: MemoryBroker, topic: str) -> None:
    """What is sent for the first time on a connection comes after what was sent before it."""
    seen: dict[int, list[int]] = {}
    for sent in broker.sent:
        if sent.name == topic:
            seen.setdefault(sent.connection, []).append(int(sent.payload))
    for numbers in seen.values():
        first_times = list(dict.fromkeys(numbers))
        assert first_times == sorted(first_times)
