"""Lines of text, whole and not."""

from drivers.contract import FaultKind, Measurement
from drivers.lines import LineDecoder
from tests.drivers.feeding import faults, fed


def read(line, whole):
    """Digits are a level if nothing of them can be missing; everything else is wrong but for empty lines."""
    if not line:
        return []
    return [Measurement("level", int(line))] if line.isdigit() and whole else FaultKind.MALFORMED


def made(**options):
    return LineDecoder(read, **{"longest": 8, **options})


def levels(items):
    return [item.value for item in items if isinstance(item, Measurement)]


def test_lines_end_with_lf_with_or_without_cr_and_blanks_do_not_matter():
    items = made().feed(b"1\n 2 \r\n\r\n\t3\n")
    assert levels(items) == [1, 2, 3]
    assert faults(items) == []


def test_lines_may_end_with_cr_alone():
    assert levels(made(end=b"\r").feed(b"1\r2\r\n3\r")) == [1, 2, 3]


def test_what_is_no_text_cuts_the_line_and_is_told_once_a_line():
    items = made().feed(b"1\n2\x80\x81\xff3\n4\n\x00\n5\n")
    assert levels(items) == [1, 4, 5]
    assert faults(items) == [(FaultKind.GARBAGE, 2), (FaultKind.GARBAGE, 10)]


def test_endless_noise_is_a_fault_every_so_often():
    decoder = made()
    items = fed(decoder, [b"\xf8" * 1000] * 10)
    assert 10 < len(items) < 60
    assert levels(decoder.feed(b"\n7\n")) == [7]


def test_a_line_that_is_too_long_is_no_line_wherever_it_was_cut():
    stream = b"123456789012345678901\n5\n"
    items = made().feed(stream)
    assert levels(items) == [5]
    assert faults(items) == [(FaultKind.OVERRUN, 0), (FaultKind.OVERRUN, 8)]
    assert fed(made(), (bytes([byte]) for byte in stream)) == items


def test_noise_in_a_line_that_is_too_long_stays_noise():
    stream = b"1234567890\x80\n5\n"
    items = made().feed(stream)
    assert faults(items) == [(FaultKind.OVERRUN, 0), (FaultKind.GARBAGE, 8)]
    assert fed(made(), (bytes([byte]) for byte in stream)) == items


def test_in_front_of_a_beginning_stands_another_line_that_was_cut():
    decoder = LineDecoder(
        lambda line, _whole: [Measurement("level", int(line[1:]))] if line[1:].isdigit() else FaultKind.MALFORMED,
        longest=16,
        begin="R",
    )
    items = decoder.feed(b"R1R2\nR3\n")
    assert levels(items) == [2, 3]
    assert faults(items) == [(FaultKind.TRUNCATED, 0)]


def test_a_stream_that_was_joined_has_a_first_line_that_counts_for_nothing_and_is_no_fault():
    items = made(joined=True).feed(b"23\n4\n")
    assert levels(items) == [4]
    assert faults(items) == []


def test_the_end_of_a_recording_in_a_line_is_a_fault_only_if_there_is_no_other_line():
    decoder = made()
    assert decoder.feed(b"12") == []
    assert faults(decoder.end()) == [(FaultKind.MALFORMED, 0)]
    decoder = made()
    assert levels(decoder.feed(b"1\n2")) == [1]
    assert decoder.end() == []
    assert made().end() == []
