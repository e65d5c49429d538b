"""A metered link: who waits, for how long, and that nothing is lost over it."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.journal.pack import Lane
from agent.uplink.broker import LinkError, LinkFault
from agent.uplink.budget import HOUR, MESSAGE, Budget, BudgetState, Expense
from agent.uplink.traffic import HEADS, Traffic
from tests.uplink import virtual
from tests.uplink.broker import MemoryBroker
from tests.uplink.outbox import MemoryOutbox, publisher, uplink
from tests.uplink.waiting import until

LIMIT, RESERVE = 1_000_000, 200_000
SHARE = LIMIT - RESERVE
DAY = 24 * HOUR


class Clock:
    """Stands still until the test turns it."""

    def __init__(self, boot: str = "a" * 32, now: int = 10 * DAY) -> None:
        self.boot, self.now, self.truth = boot, now, 0
        self.utc_: int | None = None

    def boottime(self) -> int:
        return self.now

    def utc(self) -> int:
        raise AssertionError("the wall clock may be wrong")

    def synchronised(self) -> None:
        raise AssertionError("a budget needs no clock that is right")


class LoopClock(Clock):
    """Runs with the loop."""

    def boottime(self) -> int:
        return round(asyncio.get_running_loop().time() * 1e9)


class Metered(Budget):
    """A budget on a bench: what it keeps is at hand."""

    def __init__(self, clock: Clock, limit: int = LIMIT, reserve: int = RESERVE) -> None:
        self.kept: Any = None
        super().__init__(limit, reserve, clock, utc=lambda: clock.utc_, keep=self._put)
        self.total = 0

    def _put(self, kept: object) -> None:
        self.kept = json.loads(json.dumps(kept))

    def spend(self, size: int) -> None:
        self.total += size
        self.measured(self.total)


def test_first_history_waits_then_readings_and_alarms_never():
    budget = Metered(Clock())
    assert budget.account().state is BudgetState.AMPLE
    budget.sent(Expense.HISTORY, SHARE // 2)
    assert not budget.allows(Expense.HISTORY)
    budget.spend(SHARE // 2 + MESSAGE)
    assert budget.account().state is BudgetState.HISTORY_WAITS
    budget.spend(SHARE // 2)
    assert budget.account().state is BudgetState.READINGS_WAIT
    assert budget.allows(Expense.ANSWER)
    budget.spend(RESERVE)
    assert budget.account() == (LIMIT + MESSAGE, LIMIT, RESERVE, BudgetState.EXCEEDED)
    assert not budget.allows(Expense.ANSWER)
    assert budget.allows(Expense.URGENT)


def test_history_gets_what_readings_leave_once_that_is_known():
    clock = Clock()
    budget = Metered(clock)
    for _ in range(3):
        budget.spend(10_000)  # an hour
        clock.now += HOUR
    budget.spend(1)
    budget.sent(Expense.HISTORY, SHARE - 24 * 10_000 - MESSAGE - 1)
    assert budget.allows(Expense.HISTORY)
    budget.sent(Expense.HISTORY, 1)
    assert not budget.allows(Expense.HISTORY)


def test_what_is_on_its_way_counts():
    budget = Metered(Clock())
    assert budget.allows(Expense.TELEMETRY, SHARE - 1)
    assert not budget.allows(Expense.TELEMETRY, SHARE)


STEPS = st.lists(
    st.tuples(st.integers(0, 30 * HOUR // 4), st.sampled_from(list(Expense)), st.integers(1, 100_000)), max_size=80
)


@given(steps=STEPS, restarts=st.sets(st.integers(0, 80)))
def test_in_no_24_hours_do_readings_use_more_than_their_share_but_for_one_message(
    steps: list[tuple[int, Expense, int]], restarts: set[int]
):
    clock = Clock()
    budget = Metered(clock)
    spent: list[tuple[int, int, bool]] = []
    for number, (pause, expense, size) in enumerate(steps):
        clock.now += pause
        if number in restarts and budget.kept is not None:
            spent_unkept = budget._unkept
            kept, budget = budget.kept, Metered(clock)
            budget.recall(kept)
            budget.spend(spent_unkept)  # an agent that was killed may forget as much; this one ended in order
        if expense is not Expense.URGENT and budget.allows(expense):
            budget.sent(expense, size)
            budget.spend(size)
            spent.append((clock.now, size, expense is Expense.ANSWER))
    for at, size, is_answer in spent:
        within = sum(other for then, other, _ in spent if at - DAY < then <= at)
        assert within - size < (LIMIT if is_answer else SHARE)


def test_a_reboot_counts_for_no_time_until_it_can_be_dated_and_for_the_right_time_then():
    old = Clock()
    old.utc_ = 1_795_346_000 * 10**9
    before = Metered(old)
    before.spend(SHARE)
    clock = Clock("b" * 32, now=HOUR // 60)
    after = Metered(clock)
    after.recall(before.kept)
    clock.now += 20 * HOUR
    assert after.account().used == SHARE
    clock.utc_ = old.utc_ + 23 * HOUR  # it was off for three
    assert after.account().used == SHARE
    clock.now += 3 * HOUR
    assert after.account().used == 0


@pytest.mark.parametrize(
    "kept", [None, [], {}, {"boot": 1}, {"boot": "a", "at": 0, "utc": None, "hours": [[0, -1, 0]]}]
)
def test_what_is_no_budget_is_not_taken_for_one(kept: object):
    with pytest.raises(ValueError, match="budget"):
        Metered(Clock()).recall(kept)


@given(
    kept=st.recursive(
        st.none() | st.integers() | st.text(), lambda one: st.lists(one) | st.dictionaries(st.text(), one)
    )
)
def test_nothing_that_was_kept_ends_the_start(kept: object):
    for each in (kept, {"boot": "a", "at": 0, "utc": None, "hours": kept}):
        with suppress(ValueError):
            Metered(Clock()).recall(each)


def test_failed_attempts_cost_what_they_cost():
    budget = Metered(Clock())
    budget.failed(LinkFault.UNREACHABLE)
    assert 0 < budget.account().used < 1000
    budget.failed(LinkFault.REFUSED_LOGIN)
    assert budget.account().used > 5000


# --- the publisher, whole


def test_over_a_metered_link_alarms_go_at_once_and_all_the_rest_in_the_end():
    async def main() -> None:
        budget, outbox = Metered(LoopClock(), 100_000, 20_000), MemoryOutbox()
        broker = MemoryBroker()
        for _ in range(100):
            outbox.put(Lane.HISTORY, age=1000)
        made = publisher(
            uplink(), outbox, broker, encode=lambda pack: f"{pack.first}".encode().zfill(1000), budget=budget
        )
        task = asyncio.create_task(made.run())
        await asyncio.sleep(60)
        assert len(broker.payloads("history")) in range(20, 40)  # half of the share is left to what is live
        for _ in range(60):
            outbox.put(Lane.LIVE)
            await asyncio.sleep(10)
        assert len(broker.payloads("live")) in range(20, 40)
        assert made.snapshot().budget == (budget.account().used, 100_000, 20_000, BudgetState.READINGS_WAIT)
        for _ in range(40):  # more than the reserve holds
            outbox.put(Lane.ALARMS)
            count = len(broker.acked)
            await until(lambda: len(broker.acked) > count, within=0.1)  # noqa: B023 - waited for within the turn
        assert budget.account().state is BudgetState.EXCEEDED
        async with asyncio.timeout(5 * 86_400):
            while outbox.unfinished():  # noqa: ASYNC110 - nobody tells when the last is done
                await asyncio.sleep(600)
        assert len(outbox.finished) == 200
        assert len(broker.attempts) == 1
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    virtual.run(main())


def test_health_goes_up_less_often_over_a_metered_link():
    async def main() -> None:
        budget, broker = Metered(LoopClock(), 100_000, 20_000), MemoryBroker()
        made = publisher(uplink(), MemoryOutbox(), broker, budget=budget)
        task = asyncio.create_task(made.run())
        for _ in range(120):
            made.publish_document("health", b"{}", retain=False)
            await asyncio.sleep(60)
        assert len(broker.payloads("health")) == 8
        budget.failed(LinkFault.TLS)
        for _ in range(12):
            budget.failed(LinkFault.TLS)
        for _ in range(180):
            made.publish_document("health", b"{}", retain=False)
            await asyncio.sleep(60)
        assert len(broker.payloads("health")) == 8 + 3
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    virtual.run(main())


def test_a_broker_that_lets_nobody_in_is_asked_less_often_once_that_has_used_up_everything():
    async def main() -> None:
        budget = Metered(LoopClock(), 100_000, 20_000)
        broker = MemoryBroker(down=LinkError(LinkFault.REFUSED_LOGIN, "a wrong password"))
        task = asyncio.create_task(publisher(uplink(), MemoryOutbox(), broker, budget=budget).run())
        await asyncio.sleep(86_400)
        assert len(broker.attempts) in range(14 + 200, 14 + 500)  # at 30 s on average they would be 2,900
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    virtual.run(main())


# --- what is counted


def test_the_kernel_counts_both_ways_with_the_heads_of_every_segment():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as ours:
        traffic = Traffic(ours)
        began = traffic.bytes()
        theirs, _ = server.accept()
        with theirs:
            ours.sendall(bytes(10_000))
            received = 0
            while received < 10_000:
                received += len(theirs.recv(10_000))
            theirs.sendall(bytes(500))
            assert len(ours.recv(500)) == 500
        used = traffic.bytes() - began
        assert 10_500 + 2 * HEADS[socket.AF_INET] <= used < 10_500 + 20 * HEADS[socket.AF_INET]
        ours.close()
        assert traffic.bytes() == began + used
