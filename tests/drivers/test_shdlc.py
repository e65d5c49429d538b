from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.contract import Fault, FaultKind, Measurement
from drivers.shdlc import FLAG, LONGEST, ShdlcDecoder, framed, unescape
from tests.drivers.feeding import decode, faults


def decoder():
    """Each frame is a measurement of its own bytes."""
    return ShdlcDecoder(lambda body: [Measurement("body", body.hex())])


@given(st.binary(min_size=3, max_size=60))
def test_a_frame_has_no_flag_within_and_comes_out_as_it_went_in(body):
    frame = framed(body)
    assert frame[1:-1].count(FLAG) == 0
    assert decode(decoder, frame) == [Measurement("body", body.hex())]


def test_escapes_are_resolved_in_one_pass():
    assert unescape(bytes.fromhex("42 7D 5D 31 00")) == bytes.fromhex("42 7D 31 00")


@settings(deadline=None)
@given(st.binary(max_size=300), st.binary(min_size=3, max_size=40))
def test_a_frame_behind_any_noise_is_found(noise, body):
    assert decoder().feed(noise + framed(body))[-1] == Measurement("body", body.hex())


def test_a_flood_without_a_flag_is_told_of_piece_by_piece_and_not_kept():
    made = decoder()
    items = made.feed(b"\0" * 10 * LONGEST)
    assert faults(items) == [(FaultKind.GARBAGE, LONGEST * piece) for piece in range(9)]
    assert len(made._buffer) <= LONGEST
    assert made.feed(framed(b"\0\1\0"))[-1] == Measurement("body", "000100")


def test_a_fault_in_a_frame_is_where_its_flag_is():
    refusing = ShdlcDecoder(lambda _: Fault(FaultKind.REFUSED, 0, "no"))
    assert refusing.feed(b"\xfe" + framed(b"\0\1\0")) == [
        Fault(FaultKind.GARBAGE, 0, "1 B"),
        Fault(FaultKind.REFUSED, 1, "no"),
    ]


def test_a_recording_that_ends_within_a_frame_says_so():
    made = decoder()
    assert made.feed(framed(b"\0\1\0")[:-1]) == []
    assert faults(made.end()) == [(FaultKind.TRUNCATED, 0)]
