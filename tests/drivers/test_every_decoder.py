"""What holds for every serial device that speaks unasked, whatever comes along with its frames."""

from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.contract import Decoder, Fault, Item
from drivers.devices import a02yyuw, line, nmea, plantower
from tests.drivers.feeding import decode, fed, measurements

pytestmark = pytest.mark.parametrize("name", ["plantower", "a02yyuw", "nmea", "line"])
unhurried = settings(deadline=None, max_examples=60)


class Device(NamedTuple):
    make: Callable[[], Decoder]
    frame: bytes
    checked: bool = True  # its frames have a checksum
    joined: bytes = b""  # what has to come before the first frame so that it is known to be whole
    limit: int = 64  # bytes a decoder may keep


DEVICES = {
    "plantower": Device(
        lambda: plantower.DRIVER.make(plantower.Settings()),
        bytes.fromhex(
            "42 4D 00 1C 00 05 00 0D 00 16 00 05 00 0D 00 16 02 FD 00 FC 00 1D 00 0F 00 06 00 06 97 00 03 C5"
        ),
    ),
    "a02yyuw": Device(lambda: a02yyuw.DRIVER.make(a02yyuw.Settings()), bytes.fromhex("FF 03 9D 9F")),
    "nmea": Device(
        lambda: nmea.DRIVER.make(nmea.Settings()),
        b"$GNGGA,223745.00,3806.62964,N,12237.61382,W,2,12,0.54,83.1,M,-29.5,M,,0000*44\r\n",
        limit=nmea.NOISE_LIMIT + nmea.LONGEST + 4,
    ),
    "line": Device(
        lambda: line.DRIVER.make(line.Settings(pattern=r"R(?P<water_distance>\d{4})", longest=64)),
        b"R0925\r",
        checked=False,
        joined=b"\r",
    ),
}


def good(device: Device) -> list[Item]:
    return device.make().feed(device.joined + device.frame)


def with_heads(device: Device) -> st.SearchStrategy[bytes]:
    """Noise in which beginnings of frames are frequent."""
    pieces = st.one_of(
        st.binary(max_size=20),
        st.integers(min_value=1, max_value=len(device.frame) - 1).map(lambda size: device.frame[:size]),
        st.integers(min_value=1, max_value=len(device.frame) - 1).map(lambda size: device.frame[size:]),
        st.just(device.frame),
        st.just(nmea.UBX),
    )
    return st.lists(pieces, max_size=12).map(b"".join)


def test_a_frame_alone(name):
    device = DEVICES[name]
    items = decode(device.make, device.joined + device.frame)
    assert items
    assert measurements(items) == items


def test_frames_glued_together(name):
    device = DEVICES[name]
    assert decode(device.make, device.joined + device.frame * 3) == good(device) * 3


@unhurried
@given(data=st.data())
def test_how_the_stream_is_cut_makes_no_difference(name, data):
    device = DEVICES[name]
    stream = data.draw(with_heads(device))
    cuts = sorted(data.draw(st.lists(st.integers(min_value=0, max_value=len(stream)), max_size=8)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    bytewise = [stream[index : index + 1] for index in range(len(stream))]
    assert fed(device.make(), chunks) == fed(device.make(), bytewise) == device.make().feed(stream)


@unhurried
@given(data=st.data())
def test_frames_behind_any_noise_are_found(name, data):
    device = DEVICES[name]
    noise = data.draw(st.one_of(st.binary(max_size=400), with_heads(device)))
    items = device.make().feed(noise + device.frame * 2)
    assert measurements(items)[-len(good(device)) :] == good(device)


@unhurried
@given(data=st.data())
def test_each_fault_is_where_it_says_and_none_is_told_twice(name, data):
    device = DEVICES[name]
    stream = data.draw(with_heads(device))
    offsets = [item.offset for item in device.make().feed(stream) if isinstance(item, Fault)]
    assert offsets == sorted(set(offsets))
    assert all(0 <= offset < len(stream) for offset in offsets)


@unhurried
@given(data=st.data())
def test_a_flipped_bit_never_makes_a_measurement(name, data):
    device = DEVICES[name]
    if not device.checked:
        return
    damaged = bytearray(device.frame)
    bit = data.draw(st.integers(min_value=0, max_value=len(damaged) * 8 - 1))
    damaged[bit // 8] ^= 1 << bit % 8
    # Upper and lower case of a digit of an NMEA sum mean the same.
    assert measurements(device.make().feed(bytes(damaged))) in ([], good(device))


@pytest.mark.parametrize(
    "flood", [b"\x00", b"\xff", b"\x42\x4d", b"$", b"$G", b",", b"\n", b"\xb5\x62", b"\x42\x4d\x00\x1c"]
)
def test_a_flood_is_not_kept(name, flood):
    device = DEVICES[name]
    decoder = device.make()
    for _ in range(100):
        decoder.feed(flood * 100)
        assert len(decoder._buffer) <= device.limit
    assert measurements(decoder.feed(device.joined + device.frame * 2))[-len(good(device)) :] == good(device)
