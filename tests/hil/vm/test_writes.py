"""The log of dm-log-writes: read, and played up to any moment at which the power may go."""

from __future__ import annotations

import io
import random
from contextlib import suppress
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.vm.writes import Entry, Flag, LogError, kept, last_mark, read, write

SECTOR = 512
DISK = 8  # sectors


def packed(entries, sector=SECTOR):
    """Write a log as drivers/md/dm-log-writes.c does."""
    log = pack("<QQQI", 0x6A736677736872, 1, len(entries), sector).ljust(sector, b"\0")
    for one in entries:
        inline = one.data if Flag.MARK in one.flags else b""
        head = pack("<QQQQ", one.at // sector, one.size // sector, one.flags, len(inline)) + inline
        log += head.ljust(sector, b"\0") + (b"" if inline else one.data)
    return log


@st.composite
def written(draw, sector=SECTOR):
    start = draw(st.integers(0, DISK - 1))
    sectors = draw(st.integers(1, DISK - start))
    flags = draw(st.sampled_from([Flag(0), Flag.METADATA, Flag.FUA, Flag.DISCARD, Flag.FUA | Flag.METADATA]))
    data = b"" if flags == Flag.DISCARD else bytes([draw(st.integers(0, 255))]) * (sectors * sector)
    return Entry(start * sector, sectors * sector, flags, data)


FLUSH = Entry(0, 0, Flag.FLUSH, b"")
MARKS = st.text("abcdef0123456789:,", min_size=1, max_size=400).map(lambda text: Entry(0, 0, Flag.MARK, text.encode()))
ENTRIES = st.lists(st.one_of(written(), st.just(FLUSH), MARKS), max_size=30)


def disk(entries):
    made = io.BytesIO(b"\xee" * DISK * SECTOR)
    write(entries, made)
    return made.getvalue()


def test_a_log_as_the_kernel_writes_it():
    log = bytes.fromhex("7268737766736a00 0100000000000000 0300000000000000 00020000").ljust(512, b"\0")
    log += bytes.fromhex("0200000000000000 0100000000000000 1000000000000000 0000000000000000").ljust(512, b"\0")
    log += b"d" * 512
    log += bytes.fromhex("0000000000000000 0000000000000000 0100000000000000 0000000000000000").ljust(512, b"\0")
    log += (bytes.fromhex("0000000000000000 0000000000000000 0800000000000000 0400000000000000") + b"here").ljust(512)
    entries = read(io.BytesIO(log + b"an entry that is not counted yet"))
    assert entries == [
        Entry(1024, 512, Flag.METADATA, b"d" * 512),
        Entry(0, 0, Flag.FLUSH, b""),
        Entry(0, 0, Flag.MARK, b"here"),
    ]
    assert (last_mark(entries, 2), last_mark(entries, 3)) == (None, "here")


@given(ENTRIES)
def test_what_was_logged_is_read(entries):
    assert read(io.BytesIO(packed(entries))) == entries


@given(written(sector=4096))
def test_a_disk_may_have_larger_sectors(entry):
    assert read(io.BytesIO(packed([entry], sector=4096))) == [entry]


@given(ENTRIES, st.data())
def test_a_log_that_is_cut_is_told(entries, data):
    log = packed(entries)
    cut = log[: data.draw(st.integers(0, len(log) - 1))]
    if len(cut) < 28 or entries:
        with pytest.raises(LogError, match=r"cut|no whole head"):
            read(io.BytesIO(cut))


@given(ENTRIES, st.binary(min_size=32, max_size=32))
def test_an_entry_of_nonsense_ends_in_nothing_but_a_log_error(entries, nonsense):
    log = packed([*entries, Entry(0, 0, Flag.MARK, b"x")])
    with suppress(LogError):
        read(io.BytesIO(log[:SECTOR] + nonsense + log[SECTOR + 32 :]))


@given(st.binary(min_size=28, max_size=600))
def test_what_is_no_log_is_told(data):
    with pytest.raises(LogError, match="no log"):
        read(io.BytesIO(b"\0" + data))


@given(ENTRIES, st.data(), st.randoms(use_true_random=False))
def test_nothing_that_was_flushed_or_bypassed_the_cache_is_missing_and_nothing_is_there_that_was_not_written(
    entries, data, chance
):
    until = data.draw(st.integers(0, len(entries)))
    flushes = [at for at, one in enumerate(entries[:until]) if Flag.FLUSH in one.flags]
    flushed = flushes[-1] if flushes else 0
    found = kept(entries, until, chance)
    certain = entries[:flushed] + [one for one in entries[flushed:until] if Flag.FUA in one.flags]
    rest = iter(found)
    assert all(any(one is other for other in rest) for one in certain)
    rest = iter(entries[:until])
    assert all(any(one is other for other in rest) for one in found)


@given(ENTRIES)
def test_a_disk_holds_of_each_sector_what_was_written_there_last(entries):
    made = disk(entries)
    for sector in range(DISK):
        content = b"\xee" * SECTOR
        for one in entries:
            if one.at <= sector * SECTOR < one.at + one.size:
                content = one.data[sector * SECTOR - one.at :][:SECTOR] or bytes(SECTOR)
        assert made[sector * SECTOR :][:SECTOR] == content


def test_of_what_was_in_the_cache_any_part_may_be_lost():
    cached = [Entry(at * SECTOR, SECTOR, Flag(0), bytes([at + 1]) * SECTOR) for at in range(4)]
    disks = {disk(kept(cached, 4, random.Random(seed))) for seed in range(200)}
    assert len(disks) == 2**4
    assert {disk(kept([*cached, FLUSH], 5, random.Random(seed))) for seed in range(20)} == {disk(cached)}
