"""Frames are found again in whatever a dying card makes of a file."""

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from agent.journal.frames import MAGIC, Damage, Frame, Kind, frame, group, scan

kinds = st.sampled_from([kind for kind in Kind if kind is not Kind.GROUP])
frames = st.builds(Frame, kinds.map(int), st.binary(max_size=60))
# Noise that likes to look like a frame.
noise = st.lists(st.binary(max_size=20) | st.just(MAGIC), max_size=3).map(b"".join)


def written(wanted):
    return [frame(Kind(one.kind), one.payload) for one in wanted]


def good(data):
    return [found for found in scan(data) if isinstance(found, Frame)]


def damaged(data):
    return [found for found in scan(data) if isinstance(found, Damage)]


@given(st.lists(frames, max_size=8))
def test_whole_frames_come_back_and_nothing_is_called_damaged(wanted):
    data = b"".join(written(wanted))

    assert list(scan(data)) == wanted


@settings(max_examples=200)
@given(st.lists(st.tuples(noise, frames), max_size=6), noise)
def test_every_frame_is_found_whatever_stands_between(pairs, tail):
    data = b"".join(before + one for (before, _), one in zip(pairs, written([one for _, one in pairs]), strict=True))

    assert good(data + tail) == [one for _, one in pairs]


@given(st.lists(frames, min_size=1, max_size=5), st.data())
def test_a_cut_costs_the_frames_behind_it_alone(wanted, data):
    pieces = written(wanted)
    whole = b"".join(pieces)
    cut = data.draw(st.integers(0, len(whole)))
    ends = [sum(map(len, pieces[: count + 1])) for count in range(len(pieces))]

    assert good(whole[:cut]) == [one for one, end in zip(wanted, ends, strict=True) if end <= cut]


@settings(max_examples=200)
@given(st.lists(frames, min_size=1, max_size=5), st.data())
def test_a_flipped_bit_costs_the_frame_it_is_in_alone(wanted, data):
    pieces = written(wanted)
    hit = data.draw(st.integers(0, len(pieces) - 1))
    bit = data.draw(st.integers(0, len(pieces[hit]) * 8 - 1))
    assume(bit // 8 != 3)  # the byte that nothing uses
    broken = bytearray(pieces[hit])
    broken[bit // 8] ^= 1 << bit % 8

    survivors = good(b"".join([*pieces[:hit], bytes(broken), *pieces[hit + 1 :]]))

    assert survivors == wanted[:hit] + wanted[hit + 1 :]


@given(frames, st.lists(frames | st.builds(Frame, st.just(5), noise), min_size=1, max_size=5), frames)
def test_of_a_group_all_frames_come_back_or_none_wherever_it_is_torn(before, together, after):
    head, torn, tail = *written([before]), group(together), *written([after])
    whole, none = [before, *together, after], [before, after]

    assert list(scan(head + torn + tail)) == whole
    for end in range(len(torn)):
        assert good(head + torn[:end]) == [before]
        assert good(head + torn[:end].ljust(len(torn), b"\0") + tail) == (none if any(torn[end:]) else whole)


@given(st.lists(frames, min_size=1, max_size=5), st.data())
def test_nor_is_any_of_it_read_when_a_bit_of_it_has_flipped(together, data):
    broken = bytearray(group(together))
    bit = data.draw(st.integers(0, len(broken) * 8 - 1))
    assume(bit // 8 != 3)  # the byte that nothing uses
    broken[bit // 8] ^= 1 << bit % 8

    assert good(bytes(broken)) == []


@settings(max_examples=200)
@given(noise)
def test_noise_is_reported_in_full_and_yields_nothing(data):
    assert good(data) == []
    assert sum(one.size for one in damaged(data)) == len(data)


@given(st.lists(frames, min_size=2, max_size=4), noise)
def test_damage_is_told_by_its_place(wanted, between):
    assume(between)
    first, *rest = written(wanted)

    assert damaged(first + between + b"".join(rest)) == [Damage(len(first), len(between))]
