import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.contract import Fault, FaultKind
from drivers.modbus.client import Request, read, write
from drivers.modbus.frames import READ_HOLDING_REGISTERS, READ_INPUT_REGISTERS, framed
from tests.drivers.feeding import answered, faults

# Recorded: an Eastron SDM220 that says 233.412 V (MichielVanwelsenaere/HomeAutomation.CoDeSys3, docs).
ASKED = bytes.fromhex("01 04 00 00 00 02 71 CB")
REPLY = bytes.fromhex("01 04 04 43 69 69 78 10 6E")
VOLTS = bytes.fromhex("43 69 69 78")
EXCEPTION = bytes.fromhex("01 84 02 C2 C1")  # Modbus application protocol V1.1b3, 7
OTHER_DEVICE = bytes.fromhex("02 04 04 43 69 69 78 23 6E")
DAMAGED = bytes.fromhex("01 04 04 43 79 69 78 10 6E")  # one bit flipped


def request():
    return Request.reading(1, READ_INPUT_REGISTERS, 0, 2)


def found(heard):
    """Let the bytes arrive one by one; return the answer."""
    asked = request()
    answers = (asked.find(heard[:size]) for size in range(len(heard) + 1))
    return next(answer for answer in answers if answer is not None)


def missed(heard):
    asked = request()
    assert asked.find(heard) is None
    return faults(asked.missed())


def test_the_request():
    assert request().frame == ASKED
    assert Request.reading(4, READ_HOLDING_REGISTERS, 0x0121, 1).frame == bytes.fromhex("04 03 01 21 00 01 D5 A9")


def test_a_clean_reply():
    assert found(REPLY) == (VOLTS, (), None)


def test_a_reply_is_found_behind_the_noise_of_a_line_without_bias():
    for noise in (b"\x00", b"\xff", b"\x00\xff\x00"):
        answer = found(noise + REPLY)
        assert answer.payload == VOLTS
        assert answer.faults == (Fault(FaultKind.GARBAGE, 0, noise.hex(" ")),)


def test_noise_behind_the_reply_is_counted_if_it_is_there_already():
    assert request().find(REPLY + b"\x00").faults == (Fault(FaultKind.GARBAGE, 9, "00"),)


def test_an_echo_of_the_request_is_not_noise():
    assert found(ASKED + REPLY) == (VOLTS, (), None)
    assert faults(found(b"\x00" + ASKED + b"\xff" + REPLY).faults) == [(FaultKind.GARBAGE, 0), (FaultKind.GARBAGE, 9)]


def test_a_reply_of_another_device_is_told_and_passed_over():
    answer = found(OTHER_DEVICE + REPLY)
    assert answer.payload == VOLTS
    assert faults(answer.faults) == [(FaultKind.WRONG_DEVICE, 0)]


def test_a_late_reply_to_another_request_is_passed_over():
    late = framed(bytes.fromhex("01 04 02 00 A8"))
    answer = found(late + REPLY)
    assert answer.payload == VOLTS
    assert faults(answer.faults) == [(FaultKind.GARBAGE, 0)]


def test_of_a_doubled_reply_the_first_counts():
    answer = request().find(REPLY + REPLY)
    assert answer.payload == VOLTS
    assert faults(answer.faults) == [(FaultKind.GARBAGE, len(REPLY))]


def test_an_exception_reply_is_a_refusal():
    answer = found(EXCEPTION)
    assert answer.payload == b""
    assert answer.refused == Fault(FaultKind.REFUSED, 0, "exception 2: illegal data address")


def test_a_recorded_exception_between_zeros():
    # pyhys/minimalmodbus, issue 61
    answer = Request.reading(4, READ_HOLDING_REGISTERS, 0x0121, 1).find(bytes.fromhex("00 04 83 02 D0 F0 00"))
    assert answer.refused == Fault(FaultKind.REFUSED, 1, "exception 2: illegal data address")
    assert faults(answer.faults) == [(FaultKind.GARBAGE, 0), (FaultKind.GARBAGE, 6)]


def test_a_cut_reply_does_not_hide_the_whole_one_behind_it():
    assert found(REPLY[:5] + REPLY).payload == VOLTS


def test_what_was_wrong_is_said_when_no_reply_came():
    assert missed(b"") == [(FaultKind.NO_REPLY, 0)]
    assert missed(ASKED) == [(FaultKind.NO_REPLY, 8)]
    assert missed(DAMAGED) == [(FaultKind.CHECKSUM, 0)]
    assert missed(b"\x00" + REPLY[:6]) == [(FaultKind.GARBAGE, 0), (FaultKind.TRUNCATED, 1)]
    assert missed(OTHER_DEVICE) == [(FaultKind.WRONG_DEVICE, 0), (FaultKind.NO_REPLY, 9)]
    assert missed(b"\x00\x00") == [(FaultKind.GARBAGE, 0), (FaultKind.NO_REPLY, 2)]


def test_reading_within_a_poll():
    poll = read(1, READ_INPUT_REGISTERS, 0, 2, within=0.5)
    ask = next(poll)
    assert (ask.request, ask.within) == (ASKED, 0.5)
    with pytest.raises(StopIteration) as stop:
        poll.send(ask.find(b"\x00" + REPLY))
    assert stop.value.value == (VOLTS, [Fault(FaultKind.GARBAGE, 0, "00")])


BUSY = framed(bytes.fromhex("01 84 06"))


def test_a_device_that_is_busy_is_asked_once_more():
    replies = iter([BUSY, REPLY])
    reply = answered(read(1, READ_INPUT_REGISTERS, 0, 2, within=0.5), lambda _: next(replies))
    assert reply.data == VOLTS
    assert faults(reply.faults) == [(FaultKind.REFUSED, 0)]
    replies = iter([BUSY, BUSY, REPLY])
    reply = answered(read(1, READ_INPUT_REGISTERS, 0, 2, within=0.5), lambda _: next(replies))
    assert (reply.data, len(reply.faults)) == (b"", 2)


def test_any_other_refusal_is_final():
    replies = iter([EXCEPTION, REPLY])
    assert answered(read(1, READ_INPUT_REGISTERS, 0, 2, within=0.5), lambda _: next(replies)).data == b""


def test_a_write_is_answered_by_its_own_bytes():
    # Waveshare, manual of the Modbus RTU Relay
    asked = []
    reply = answered(write(1, 0, 0xFF00, within=0.5), lambda ask: asked.append(ask.request) or ask.request)
    assert asked == [bytes.fromhex("01 05 00 00 FF 00 8C 3A")]
    assert (reply.data != b"", reply.faults) == (True, [])


def test_a_write_whose_answer_is_damaged_is_not_done_for_all_anybody_knows():
    reply = answered(write(1, 0, 0xFF00, within=0.5), lambda _: bytes.fromhex("01 05 00 00 FF 00 8C 3B"))
    assert reply.data == b""
    assert faults(reply.faults) == [(FaultKind.CHECKSUM, 0)]


def test_an_echo_that_begins_like_the_reply_is_no_damaged_reply():
    asked = Request.reading(1, READ_INPUT_REGISTERS, 0x0400, 2)
    assert asked.find(asked.frame) is None
    assert faults(asked.missed()) == [(FaultKind.NO_REPLY, 8)]


@given(noise=st.binary(max_size=300), registers=st.binary(min_size=4, max_size=4))
def test_a_reply_behind_any_noise_is_found(noise, registers):
    reply = framed(b"\x01\x04\x04" + registers)
    assert request().find(noise + reply).payload == registers


@given(st.binary(max_size=300))
def test_noise_is_not_an_answer_and_every_fault_is_where_it_says(noise):
    asked = request()
    assert asked.find(noise) is None
    assert all(0 <= fault.offset <= len(noise) for fault in asked.missed())


@given(bit=st.integers(min_value=0, max_value=len(REPLY) * 8 - 1))
def test_one_flipped_bit_is_always_noticed(bit):
    damaged = bytearray(REPLY)
    damaged[bit // 8] ^= 1 << bit % 8
    assert request().find(bytes(damaged)) is None
