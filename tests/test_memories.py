"""What was kept may be of another version: whatever JSON it is, it is taken up or refused, and no more."""

import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.journal.state import State, encode, restore
from agent.memories import read_anchors, read_boots, read_numbers, read_ranges, read_settled
from agent.refine.memory import from_json
from agent.timekeeper import Timekeeper
from agent.withheld import Withheld
from tests.journal.conftest import Clock
from tests.sampler.bench import TALKER, device, on_bench

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
rubbish = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5)
)
rows = st.lists(st.lists(scalars, min_size=2, max_size=5), max_size=3)  # nearly right
values = rubbish | rows
fields = [name for name in State("0" * 16, "b" * 32).__slots__ if name != "kept"] + ["kept"]


@pytest.mark.parametrize("read", [read_anchors, read_boots, read_numbers, read_ranges, read_settled, from_json])
@given(value=values)
def test_any_json_is_read_or_refused(read, value):
    with suppress(ValueError):
        read(value)


@given(anchors=values, boots=values)
def test_a_timekeeper_dates_with_whatever_was_read(anchors, boots):
    clock = Clock()
    keeper = Timekeeper(clock)
    with suppress(ValueError):
        keeper.recall(read_anchors(anchors))
        keeper.recall_boots(read_boots(boots))
    keeper.look()
    keeper.date(clock.boot, clock.boottime())
    json.dumps(keeper.boots())


@given(value=values)
def test_tallies_are_taken_up_whole_or_not_at_all(value):
    withheld = Withheld()
    try:
        withheld.recall("air-1", value)
    except ValueError:
        assert withheld.memory("air-1") == []
    else:
        assert withheld.memory("air-1") == value


@given(damaged=st.dictionaries(st.sampled_from(fields), values))
def test_a_state_of_another_shape_is_refused(damaged):
    whole = {"epoch": "0" * 16, "boot": "b" * 32, "next": {}, "done": {}, "resent": {}, "blind": False}
    try:
        state = restore(encode(whole | damaged))
    except ValueError:
        return
    assert restore(state.snapshot()).next == state.next
    assert dict(state.kept) == state.kept


def test_what_is_right_is_read():
    assert read_anchors([["b", 1, 2, 0.5, "kernel"]])[0].uncertainty == 0.5
    assert read_boots([["b", 7]]) == [("b", 7)]
    assert read_numbers({"rain": 1.2}) == {"rain": 1.2}
    assert read_settled({"e": {"alarm": 3}}) == {"e": {"alarm": 3}}
    assert read_ranges({"e": {"alarm": [[1, 3]]}}) == {"e": {"alarm": [[1, 3]]}}


@pytest.mark.parametrize("kept", [7, [], {"level": "much"}, {"level": float("nan")}, {"level": [1]}, {"level": True}])
def test_a_driver_whose_memory_is_of_another_shape_begins_without_one(tmp_path, kept):
    async def test(bench):
        bench.journal.keep("driver/probe-1", kept)
        pipeline = bench.pipeline(device(TALKER))
        assert pipeline.recall() == {}
        pipeline.remember({"level": 0.2})
        assert pipeline.recall() == {"level": 0.2}

    on_bench(tmp_path, test)
