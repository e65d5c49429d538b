from drivers.asking import ask, refused
from drivers.contract import Fault, FaultKind, Measurement
from drivers.framing import FrameDecoder, Framing
from tests.drivers.feeding import answered

REQUEST = b"?"
NOTHING_NEW = b"\x06"


def decoder():
    """`:N.` is a number, `!.` a refusal, `?` the echo of the question."""
    return FrameDecoder(
        Framing(
            b":", 1, lambda _: 3, lambda frame: frame.endswith(b"."), lambda f: [Measurement("number", int(f[1:2]))]
        ),
        Framing(b"!", 1, lambda _: 1, lambda _: True, lambda _: Fault(FaultKind.REFUSED, 0)),
        Framing(b"?", 1, lambda _: 1, lambda _: True, lambda _: ()),
        Framing(NOTHING_NEW, 1, lambda _: 1, lambda _: True, lambda _: ()),
    )


def asked(heard):
    return answered(ask(REQUEST, decoder, within=1, empty=NOTHING_NEW), lambda _: heard)


def test_a_measurement_is_an_answer_also_behind_an_echo_and_noise():
    assert asked(b"?:7.") == [Measurement("number", 7)]
    assert asked(b"#:7.") == [Fault(FaultKind.GARBAGE, 0, "1 B"), Measurement("number", 7)]


def test_a_refusal_is_an_answer_too():
    assert refused(asked(b"?!"))
    assert not refused(asked(b":7."))


def test_that_there_is_nothing_new_is_an_answer_without_measurements():
    assert asked(b"?" + NOTHING_NEW) == []


def test_silence_an_echo_alone_and_half_an_answer_are_told_apart():
    assert [fault.kind for fault in asked(b"")] == [FaultKind.NO_REPLY]
    assert [fault.kind for fault in asked(b"?")] == [FaultKind.NO_REPLY]
    assert [fault.kind for fault in asked(b"?:7")] == [FaultKind.TRUNCATED]
    assert [fault.kind for fault in asked(b"?:7,")] == [FaultKind.CHECKSUM]
