"""Ranges against a plain set of numbers."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.journal.ranges import Ranges

MOST = 40
spans = st.tuples(st.integers(0, MOST), st.integers(0, MOST)).map(lambda pair: (min(pair), max(pair)))
changes = st.lists(st.tuples(st.sampled_from(["add", "remove"]), spans), max_size=20)


def played(steps):
    """Return Ranges and the set that they must be equal to."""
    ranges, model = Ranges(), set()
    for what, (first, last) in steps:
        getattr(ranges, what)(first, last)
        numbers = range(first, last + 1)
        model = model.union(numbers) if what == "add" else model.difference(numbers)
    return ranges, model


def numbers_of(pieces):
    return {number for first, last in pieces for number in range(first, last + 1)}


@settings(max_examples=200)
@given(changes)
def test_they_hold_what_was_put_in_and_not_taken_out(steps):
    ranges, model = played(steps)

    assert numbers_of(ranges) == model
    assert ranges.count() == len(model)
    assert bool(ranges) == bool(model)


@settings(max_examples=200)
@given(changes)
def test_their_pieces_are_in_order_and_never_touch(steps):
    pieces = list(played(steps)[0])

    assert all(first <= last for first, last in pieces)
    assert all(before[1] + 1 < after[0] for before, after in pairwise(pieces))


@settings(max_examples=200)
@given(changes, spans)
def test_what_they_cover_and_what_they_lack_is_told_of_any_span(steps, span):
    ranges, model = played(steps)
    asked = set(range(span[0], span[1] + 1))

    assert ranges.covers(*span) == (asked <= model)
    assert numbers_of(ranges.gaps(*span)) == asked - model


@settings(max_examples=200)
@given(changes, st.integers(0, MOST + 2))
def test_the_next_number_that_is_in_or_out_is_told_from_any(steps, number):
    ranges, model = played(steps)
    from_here = range(number, MOST + 4)

    assert ranges.next_in(number) == next((one for one in from_here if one in model), None)
    assert ranges.next_out(number) == next(one for one in from_here if one not in model)


@settings(max_examples=100)
@given(changes, changes)
def test_what_two_share_and_hold_together(one_steps, other_steps):
    one, one_model = played(one_steps)
    other, other_model = played(other_steps)

    assert one.shared(other) == len(one_model & other_model)
    assert numbers_of(Ranges([*one, *other])) == one_model | other_model
    one.update(other)
    assert numbers_of(one) == one_model | other_model


@given(changes)
def test_equal_sets_are_equal_however_they_came_about(steps):
    ranges, model = played(steps)

    assert ranges == Ranges((number, number) for number in sorted(model, key=hash))
    assert ranges != list(ranges)
