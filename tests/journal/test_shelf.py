"""Packs in memory as they lie in the file."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from agent.journal.pack import Pack
from agent.journal.packing import encode_packs
from agent.journal.shelf import Shelf
from agent.readings import Stream

ONE = Pack(Stream.TELEMETRY, "a" * 16, "b" * 32, 5, 1, 3, b"body", 10, 7)
KEY = (ONE.epoch, ONE.stream)


def runs(firsts: list[int]) -> list[Pack]:
    """Return packs of three numbers each."""
    return [replace(ONE, first=first * 4, last=first * 4 + 2, body=b"x" * (first % 7)) for first in firsts]


@given(blocks=st.lists(st.lists(st.integers(1, 200), max_size=5), max_size=5), stream=st.sampled_from(Stream))
def test_each_pack_is_found_by_each_of_its_numbers_whatever_the_order_in_the_file(
    blocks: list[list[int]], stream: Stream
):
    packs = [[replace(pack, stream=stream) for pack in runs(block)] for block in blocks]
    shelf = Shelf(map(encode_packs, packs))
    there = {pack.first: pack for block in packs for pack in block}
    for first, pack in there.items():
        assert [shelf.pack_with((ONE.epoch, stream), first + more) for more in range(3)] == [pack] * 3
        assert shelf.pack_with((ONE.epoch, stream), first + 3) is None
    assert dict(shelf.spans((ONE.epoch, stream))) == {first: pack.last for first, pack in there.items()}
    assert sorted(shelf, key=lambda pack: pack.first) == sorted(
        (pack for block in packs for pack in block), key=lambda pack: pack.first
    )


def test_what_is_no_block_of_packs_costs_only_itself():
    shelf = Shelf([encode_packs([ONE]), b"nonsense", encode_packs(runs([5]))])
    assert shelf.pack_with(KEY, 2) == ONE
    assert shelf.pack_with(KEY, 21) == runs([5])[0]


def test_of_another_epoch_it_has_nothing():
    shelf = Shelf([encode_packs([ONE])])
    assert shelf.pack_with(("c" * 16, ONE.stream), 2) is None
    assert list(shelf.spans(("c" * 16, ONE.stream))) == []
