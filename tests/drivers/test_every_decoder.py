"""What holds for every serial device, whatever comes along with its frames; a recording of it is all that is needed."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import decoding
from drivers import registry
from drivers.contract import Fault, FaultKind, InputDriver, Measurement
from tests.drivers.recordings import names, recordings, serial_names
from tests.drivers.truths import CORPUS, MOST_KEPT, judge, judge_items, kept

SERIAL = serial_names()
GPIO = [name for name in sorted(registry.TABLE) if isinstance(registry.load(name), InputDriver)]
OFTEN_UNCHECKED = {"wxt53x"}  # most of its recordings are without the CRC it can have; those with one: test_wxt53x.py
EXAMPLES = 15  # each device, each test; `make fuzz` takes minutes
LONGEST = 400  # bytes of a recording that is good for making noise of
unhurried = settings(deadline=None, max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow])
every_device = pytest.mark.parametrize("name", SERIAL)


def good(name):
    """The recordings from which nothing but values came."""
    return [one for one in recordings(name) if one.expected and not any('"fault"' in line for line in one.expected)]


every_device_with_values = pytest.mark.parametrize("name", [name for name in SERIAL if good(name)])


def measured(items):
    return [item for item in items if isinstance(item, Measurement)]


def streams(name):
    """Noise in which beginnings, ends and whole frames of the device are frequent."""
    known = [one.data[:LONGEST] for one in recordings(name)]
    cut = st.sampled_from(known).flatmap(
        lambda data: st.tuples(st.integers(0, len(data)), st.integers(0, len(data))).map(
            lambda ends: data[min(ends) : max(ends)]
        )
    )
    return st.lists(st.one_of(st.binary(max_size=20), cut, st.sampled_from(known)), max_size=8).map(b"".join)


def chunked(data, stream):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@every_device
def test_there_is_a_recording_with_a_value(name):
    assert any('"value": ' in line for one in good(name) for line in one.expected)


@every_device
def test_what_was_recorded_is_what_the_driver_says_of_itself(name):
    for recording in recordings(name):
        judge(recording, recording.data)


@every_device
@unhurried
@given(data=st.data())
def test_how_a_stream_is_cut_makes_no_difference_and_each_fault_is_told_once(name, data):
    recording = data.draw(st.sampled_from(recordings(name)))
    stream = data.draw(streams(name))
    judge(recording, stream, chunked(data, stream))


@every_device_with_values
@unhurried
@given(data=st.data())
def test_frames_behind_any_noise_are_found(name, data):
    recording = data.draw(st.sampled_from(good(name)))
    noise = data.draw(st.binary(max_size=400))
    expected = measured(recording.items([recording.data]))
    found = measured(judge(recording, noise + recording.data * 3))
    assert found[-len(expected) :] == expected


@every_device_with_values
@unhurried
@given(data=st.data())
def test_a_flipped_bit_never_makes_a_value(name, data):
    recording = data.draw(st.sampled_from(good(name)))
    if FaultKind.CHECKSUM not in recording.loaded.faults or name in OFTEN_UNCHECKED:
        return  # nothing in its frames could tell
    damaged = bytearray(recording.data)
    bit = data.draw(st.integers(0, len(damaged) * 8 - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    left = iter(measured(recording.items([recording.data])))
    assert all(item in left for item in measured(judge(recording, bytes(damaged)))), "not among what was sent"


@every_device_with_values
def test_a_flood_is_not_kept(name):
    first = good(name)[0]
    heads = {first.data[:size] for size in (1, 2, 3, 4, 5, 8, len(first.data) - 1)}
    for flood in {b"\x00", b"\xff", b"A", b"\n", b"\r", b"$", b",", b"{", b'"', *heads}:
        decoder = first.decoder()
        idle = kept(decoder)
        for _ in range(12):
            decoder.feed(flood * (1000 // len(flood) + 1))
            assert kept(decoder) - idle <= MOST_KEPT


@pytest.mark.parametrize("path", sorted(CORPUS.glob("*/*")), ids=lambda path: f"{path.parent.name}-{path.stem[:12]}")
def test_what_was_found_once_is_not_found_again(path):
    recording = recordings(path.parent.name)[0]
    judge(recording, path.read_bytes())


@pytest.mark.parametrize("name", GPIO)
@unhurried
@given(
    first=st.booleans(),
    edges=st.lists(st.tuples(st.floats(0, 400), st.booleans()), max_size=30),
    after=st.floats(0, 2000),
)
def test_any_edges_make_what_the_driver_says_of_itself(name, first, edges, after):
    driver = registry.load(name)
    settings = decoding.settings(driver, {})
    trace, at = [f"0:{first:d}"], 0.0
    for pause, level in edges:
        at += pause
        trace.append(f"{at:.3f}:{level:d}")
    decoder = decoding.decoder(driver, settings, played_on=after)
    items = [*decoder.feed(" ".join(trace).encode()), *decoder.end()]
    values = [item for item in items if not isinstance(item, Fault)]
    judge_items(driver, settings, values, 0)
    assert {item.kind for item in items if isinstance(item, Fault)} <= set(driver.faults)


def test_each_line_of_a_recording_is_json():
    assert all(json.loads(line) for name in names() for one in recordings(name) for line in one.expected)
