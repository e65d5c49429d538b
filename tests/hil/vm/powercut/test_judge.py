"""The judge of power cuts: what it must see."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.packs import Alarm, Received, Statement
from tests.hil.vm.powercut.campaign import Campaign
from tests.hil.vm.powercut.judge import Poll, Seen, committed, judge, unpaired
from tests.hil.vm.powercut.kept import keep, kept
from tests.hil.vm.powercut.report import page, summary

CUT_AT = 1000.0
OLD = "old"
STAMP = {"gateway": "g", "lane": "history", "boot": "b", "boottime": 1.0, "uncertainty": 0.1, "arrived": CUT_AT + 60}


def reading(number, millimetres, at):
    return Received(
        **STAMP, stream="telemetry", epoch=OLD, number=number, utc=at,
        device="level-1", quantity="water_distance", value=millimetres / 1000, reason="", unit="m",
    )  # fmt: skip


def raised(at):
    return Alarm(
        **STAMP, stream="alarm", epoch=OLD, number=1, utc=at,
        device="panic-1", quantity="pressed", alarm="true", id="1", raised=True,
    )  # fmt: skip


def ended(first):
    return Statement(
        **STAMP, stream="ledger", epoch="new", number=1, utc=CUT_AT, kind="lost", why="power_cut", count=0,
        of_stream="telemetry", of_epoch=OLD, first=first,
    )  # fmt: skip


def seen(arrived, *, polls=(), statements=(), presses=(), alarms=()):
    """One frame a second over 30 seconds, numbered from 1, of which these numbers arrived."""
    frames = [(1000 + number, CUT_AT - 31 + number) for number in range(1, 31)]
    received = [reading(number, 1000 + number, CUT_AT - 31 + number) for number in arrived]
    numbers = {(OLD, "telemetry"): frozenset(arrived)}
    return Seen(CUT_AT, frames, list(presses), list(polls), received, list(alarms), list(statements), numbers)


def polls(*commits):
    """Return polls a second apart, each with so many commits so far and a number more each second."""
    return [
        Poll(CUT_AT - 30 + second, CUT_AT - 30 + second, OLD, {"telemetry": second + 1}, made)
        for second, made in enumerate(commits)
    ]


def test_what_is_numbered_is_committed_for_certain_when_two_commits_have_ended_since():
    assert committed(polls(0, 0, 1, 1, 2, 2)) == {(OLD, "telemetry"): 2}
    assert committed(polls(0, 0, 1)) == {}


def test_a_cut_that_took_no_more_than_the_window_is_clean():
    verdict = judge(seen(range(1, 25), polls=polls(0, 1, 2), statements=[ended(25)]))
    assert not verdict.faults
    assert (verdict.lost_frames, verdict.window) == (6, 6.0)


@pytest.mark.parametrize(
    ("arrived", "statements", "fault"),
    [
        ([*range(1, 5), *range(9, 31)], [], "5 to 8 (4) did not arrive, and the ledger does not say so"),
        (range(1, 20), [ended(25)], "20 to 24 (5) did not arrive, and the ledger says from 25 on"),
        (range(3, 31), [ended(1)], "1 to 2 (2) had been committed and did not arrive"),
        (range(1, 12), [ended(12)], "19.0 s before the cut"),
    ],
)
def test_a_broken_promise_is_named(arrived, statements, fault):
    verdict = judge(seen(list(arrived), polls=polls(*[0] * 3, *[1] * 10, *[2] * 17), statements=statements))
    assert fault in "; ".join(verdict.faults)


def test_a_reading_that_comes_twice_under_two_numbers_or_at_a_wrong_time_is_a_fault():
    both = seen(range(1, 31))
    twice = Seen(CUT_AT, both.frames, [], [], [*both.received, reading(31, 1001, CUT_AT - 30)], [], [], both.numbers)
    assert judge(twice).doubled == 1
    wrong = Seen(CUT_AT, both.frames, [], [], [reading(1, 1001, CUT_AT + 3600)], [], [], both.numbers)
    assert judge(wrong).misdated == 1


def test_an_alarm_that_was_pressed_in_time_must_have_come():
    pressed = [CUT_AT - 20, CUT_AT - 1]
    assert not judge(seen(range(1, 31), presses=pressed, alarms=[raised(CUT_AT - 19.5)])).faults
    assert "pressed 20.0 s before the cut" in judge(seen(range(1, 31), presses=pressed)).faults[0]


def test_two_presses_that_came_as_one_alarm_are_one_lost_and_it_is_the_older():
    pressed = [CUT_AT - 20, CUT_AT - 18.5]
    verdict = judge(seen(range(1, 31), presses=pressed, alarms=[raised(CUT_AT - 18.4)]))
    assert (verdict.lost_presses, verdict.alarm_window) == (1, 20.0)


@given(st.lists(st.integers(0, 60), max_size=7), st.lists(st.integers(0, 60), max_size=7))
def test_as_many_presses_are_paired_as_can_be(presses, alarms):
    def most(presses, alarms):
        if not presses:
            return 0
        first, *others = presses
        taken = [
            1 + most(others, alarms[:at] + alarms[at + 1 :]) for at, one in enumerate(alarms) if abs(one - first) <= 3
        ]
        return max([most(others, alarms), *taken])

    assert len(presses) - len(unpaired(presses, alarms, 3.0)) == most(presses, alarms)


def test_a_machine_that_stood_still_may_hear_a_frame_as_much_later():
    at = CUT_AT - 30
    slow = [Poll(at - 1, at + 9, OLD, {"telemetry": 1}, 0), Poll(CUT_AT - 1, CUT_AT, OLD, {"telemetry": 1}, 0)]
    late = Seen(
        CUT_AT, [(1001, at)], [], slow, [reading(1, 1001, at + 8)], [], [], {(OLD, "telemetry"): frozenset([1])}
    )
    assert judge(late).misdated == 0
    assert judge(replace(late, polls=[])).misdated == 1


def test_the_page_has_a_mark_and_a_row_for_each_cut():
    verdict = asdict(judge(seen(range(1, 25))))
    cut = {
        "number": 1,
        "life": 1,
        "link": "cut",
        "spoilt_after": 1.0,
        "loaded_for": 30.0,
        "commits": 2,
        "booted_in": 20.0,
    }
    text = page([{**cut, **verdict}])
    assert text.count("<circle") == 1
    assert "6.0" in text
    assert summary([{**cut, **verdict}]).startswith("1 cuts; of 30 frames 6 were lost, none over 6.0 s")


def test_what_was_seen_is_judged_alike_when_it_comes_from_its_file(tmp_path):
    before = seen(
        [*range(1, 5), *range(9, 31)], polls=polls(0, 1, 2), presses=[CUT_AT - 9], alarms=[raised(CUT_AT - 9)]
    )
    keep(tmp_path / "seen.json.gz", before)
    assert kept(tmp_path / "seen.json.gz") == before


def test_cuts_are_judged_anew_from_what_is_kept_of_them(tmp_path):
    campaign = Campaign(tmp_path, 1)
    keep(tmp_path / "seen-1.json.gz", seen(range(1, 25), statements=[ended(25)]))
    campaign.results.write_text('{"number": 1, "faults": ["the judge was wrong"]}\n{"number": 2, "faults": ["gone"]}\n')
    campaign.judge_anew()
    assert [(cut.get("window"), cut["faults"]) for cut in campaign.cuts()] == [(6.0, []), (None, ["gone"])]
