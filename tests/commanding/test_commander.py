"""The commander: every command once at the most, answered, and acknowledged only then."""

from __future__ import annotations

import asyncio
import json
from contextlib import asynccontextmanager

from hypothesis import given, settings
from hypothesis import strategies as st

from agent import logs
from agent.commanding import memory
from agent.commanding.commander import MOST_UNASSURED, Commander, Verb
from agent.commanding.memory import Memory
from agent.commanding.request import Request
from agent.timekeeper import Dated
from agent.uplink.broker import Incoming
from tests.commanding.test_request import JSON
from tests.uplink.waiting import until

NOW = 1_795_346_000.0


class Bench:
    """A commander with two verbs, its surroundings, and what an earlier run left behind."""

    def __init__(self, kept=None):
        self.kept = {} if kept is None else kept
        self.now = Dated(round(NOW * 1e9), 0.1)
        self.done = []
        self.looked = 0
        self.secured = []
        self.answers = []
        self.acknowledged = []
        self.trouble = None
        self.finish = asyncio.Event()
        self.finish.set()
        self.commander = Commander(
            {"do": Verb(self.act), "look": Verb(self.look, changes=False)},
            Memory(self.kept.__setitem__, self.kept.get),
            verifier=None,
            now=lambda: self.now,
            secure=self.secure,
            answers_on=lambda _uplink, topic: topic.startswith("answers/"),
            answer=lambda _uplink, payload, reply: self.answers.append((json.loads(payload), reply)),
            log=logs.get("commands"),
        )

    def act(self, arguments, _uplink):
        what = arguments.text("what", default="-")

        async def act():
            assert any(self.kept.values()), "not noted before it began"
            assert self.secured, "not on the card before it began"
            self.done.append(what)
            await self.finish.wait()
            if self.trouble is not None:
                raise self.trouble
            return {"what": what}

        return act

    def look(self, _arguments, _uplink):
        async def look():
            self.looked += 1
            return {}

        return look

    async def secure(self):
        self.secured.append(dict(self.kept))

    def send(self, command="do", *, id_="1", expires=NOW + 60, topic=None, qos=1, **arguments):
        payload = json.dumps({"id": id_, "expires": expires, **arguments}).encode()
        number = len(self.acknowledged)
        name = f"roadside/v1/pkt-0042/do/{command}"
        take = lambda: self.acknowledged.append((number, len(self.answers)))  # noqa: E731 - stands for a method
        one = Incoming(name, payload, qos, False, topic, b"c", {}, take)
        self.commander.take("city", one)

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.commander.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def answered(self, count):
        await until(lambda: len(self.answers) >= count)
        return [answer for answer, _reply in self.answers]


async def test_a_command_is_noted_before_it_begins_and_acknowledged_behind_its_answer():
    bench = Bench()
    bench.send(what="a")
    async with bench.running():
        (answer,) = await bench.answered(1)
    assert (answer["outcome"], answer["result"], answer["utc"]) == ("done", {"what": "a"}, NOW)
    assert bench.acknowledged == [(0, 1)]


async def test_one_that_comes_again_gets_its_answer_and_is_not_done_again():
    bench = Bench()
    bench.send(what="a")
    bench.send(what="a")
    async with bench.running():
        _first, second = await bench.answered(2)
    assert (second["outcome"], second["repeated"]) == ("done", True)
    assert bench.done == ["a"]


async def test_what_was_begun_when_the_agent_died_is_neither_done_again_nor_called_done():
    bench = Bench()
    bench.finish.clear()
    bench.send(what="a")
    async with bench.running():
        await until(lambda: bench.done)
    after = Bench(bench.kept)
    after.send(what="a")
    async with after.running():
        (answer,) = await after.answered(1)
    assert (answer["outcome"], answer["reason"], answer["repeated"]) == ("unknown", "interrupted", True)
    assert not after.done


async def test_a_done_one_that_comes_after_its_expiry_is_not_called_expired():
    bench = Bench()
    bench.send()
    async with bench.running():
        await bench.answered(1)
        bench.now = Dated(round((NOW + 61) * 1e9), 0.1)
        bench.send()
        answers = await bench.answered(2)
        bench.now = None
        bench.send()
        answers = await bench.answered(3)
    assert [answer["outcome"] for answer in answers] == ["done"] * 3
    assert len(bench.done) == 1


async def test_a_defect_is_answered_and_the_next_command_is_done():
    bench = Bench()
    bench.trouble = ZeroDivisionError()
    bench.send()
    async with bench.running():
        await bench.answered(1)
        bench.trouble = None
        bench.send(id_="2")
        first, second = await bench.answered(2)
    assert (first["outcome"], first["reason"]) == ("failed", "defect")
    assert second["outcome"] == "done"


async def test_to_look_costs_the_card_nothing():
    bench = Bench()
    bench.send("look")
    async with bench.running():
        await bench.answered(1)
    assert bench.looked == 1
    assert not bench.secured


async def test_an_uncertain_clock_is_an_unknown_one():
    bench = Bench()
    bench.now = Dated(bench.now.utc, 120.0)
    bench.send()
    async with bench.running():
        (answer,) = await bench.answered(1)
    assert (answer["outcome"], answer["reason"]) == ("refused", "clock_unknown")
    assert not bench.done
    assert not any(bench.kept.values())


async def test_a_flood_that_the_broker_does_not_hold_back_has_no_room_and_takes_none_from_the_others():
    bench = Bench()
    for number in range(300):
        bench.send("look", id_=f"flood-{number}", qos=0)
    bench.send(id_="assured")
    async with bench.running():
        answers = await bench.answered(MOST_UNASSURED + 1)
    assert answers[-1]["id"] == "assured"
    assert bench.looked == MOST_UNASSURED


@settings(max_examples=60)
@given(
    st.sampled_from(["do", "look", "fly", ""]), st.binary(max_size=60) | JSON.map(lambda one: json.dumps(one).encode())
)
def test_whatever_comes_gets_one_answer_and_nothing_is_done_that_was_not_understood(command, payload):
    async def play():
        bench = Bench()
        one = Incoming(f"roadside/v1/pkt-0042/do/{command}", payload, 1, False, None, None, {}, lambda: None)
        bench.commander.take("city", one)
        async with bench.running():
            (answer,) = await bench.answered(1)
        assert answer["outcome"] == ("done" if bench.done or bench.looked else "refused")

    asyncio.run(play())


async def test_when_all_slots_are_taken_new_ones_are_refused_until_the_old_have_expired():
    bench = Bench()
    notes = Memory(bench.kept.__setitem__, bench.kept.get)
    for number in range(memory.SLOTS):
        request = Request(f"old-{number}", NOW + 30, {})
        notes.begin(request, "do", b"", NOW)
    full = Bench(bench.kept)
    full.send(id_="new")
    async with full.running():
        await full.answered(1)
        full.now = Dated(round((NOW + 30 + memory.MARGIN + 1) * 1e9), 0.1)
        full.send(id_="new", expires=NOW + 200)
        first, second = await full.answered(2)
    assert (first["outcome"], first["reason"]) == ("refused", "busy")
    assert second["outcome"] == "done"


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=40))
def test_whatever_is_repeated_and_whenever_the_agent_restarts_each_id_begins_once(history):
    kept, begun = {}, []
    notes = Memory(kept.__setitem__, kept.get)
    for number, restarts in history:
        request = Request(str(number), NOW + 30, {})
        if restarts:
            notes = Memory(kept.__setitem__, kept.get)
        if notes.recall(request, "do", b"") is None:
            notes.begin(request, "do", b"", NOW)
            begun.append(number)
    assert len(begun) == len(set(begun))
