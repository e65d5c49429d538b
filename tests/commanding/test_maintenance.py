"""How long a device is tested: until its time is over or the machine starts anew, and through restarts of the agent."""

from __future__ import annotations

import asyncio

import pytest

from agent.commanding.maintenance import KEPT, Maintenance
from tests.uplink.waiting import until

SECOND = 1_000_000_000


class Pipeline:
    def __init__(self):
        self.testing = False

    def set_testing(self, testing):
        self.testing = testing


class Kept(dict):
    def keep(self, key, value):
        self[key] = value

    def kept(self, key):
        return self.get(key)


class Clock:
    def __init__(self, boot="b1"):
        self.boot = boot

    def boottime(self):
        return round(asyncio.get_running_loop().time() * SECOND)


def maintenance(kept, clock=None):
    pipelines = {"air-1": Pipeline(), "level-1": Pipeline()}
    return Maintenance(pipelines, kept, clock or Clock()), pipelines


async def test_it_ends_by_itself_for_each_device():
    kept = Kept()
    made, pipelines = maintenance(kept)
    made.begin(["air-1"], 0.02)
    made.begin(["level-1"], 60)
    assert pipelines["air-1"].testing
    await until(lambda: not pipelines["air-1"].testing)
    assert pipelines["level-1"].testing
    assert list(made.left()) == ["level-1"]
    made.begin(["level-1"], 0)
    assert not pipelines["level-1"].testing
    assert kept[KEPT] is None


async def test_a_restart_of_the_agent_goes_on_with_it_and_one_of_the_machine_ends_it():
    kept = Kept()
    made, _ = maintenance(kept)
    made.begin(["air-1"], 60)
    made.stop()
    same, pipelines = maintenance(kept)
    same.recall(kept[KEPT])
    assert pipelines["air-1"].testing
    same.stop()
    other, pipelines = maintenance(kept, Clock("b2"))
    other.recall(kept[KEPT])
    assert not pipelines["air-1"].testing
    assert other.left() == {}
    assert kept[KEPT] is None


async def test_what_was_over_while_the_agent_was_away_is_over():
    kept = Kept()
    kept[KEPT] = ["b1", {"air-1": 1, "gone-1": 1}]
    made, pipelines = maintenance(kept)
    made.recall(kept[KEPT])
    assert not pipelines["air-1"].testing
    assert kept[KEPT] is None


@pytest.mark.parametrize("kept", [{}, ["b1"], ["b1", {"air-1": "soon"}], [1, {}]])
def test_what_is_none_is_refused(kept):
    with pytest.raises(ValueError, match="tests"):
        maintenance(Kept())[0].recall(kept)
