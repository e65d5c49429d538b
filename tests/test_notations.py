import ast
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.notations import Escaped, Hex, NotationError


def read(notation, text):
    """Read a text whole, which byte by byte must come to the same."""
    whole, bytewise = notation(), notation()
    data = whole.feed(text) + whole.end()
    assert b"".join(bytewise.feed(text[at : at + 1]) for at in range(len(text))) + bytewise.end() == data
    return data


@pytest.mark.parametrize(
    "text",
    [
        b"42 4D 00 1C",
        b"424d001c",
        b"0x42, 0x4d, 0x00, 0x1c,",
        b"0x424D001C",
        b"42:4d:00:1c",
        b"42-4D-00-1C",
        b"42h 4Dh 00H 1ch",
        b"42 4D 0 1C",
        b"# the head\n42 4D # and\n00\r\n1C\n# 55",
        b"\t42 4D\n\n  00 1C\n",
    ],
)
def test_hexadecimal_digits_in_every_usual_form(text):
    assert read(Hex, text) == b"\x42\x4d\x00\x1c"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b"42 4Z", r"line 1, column 4: .* not '4Z'"),
        (b"42 # 4Z\n\n 424", r"line 3, column 2: .* not '424'"),
        (b"0x", "line 1, column 1"),
        (b"\xff\xfe", "line 1, column 1"),
        (b"00000000: 424d", "line 1, column 1"),
        (b"42:4", "line 1, column 1"),
        (b"42 \x1b[2J", r"column 4: .* not '\\u001b\[2J'"),
    ],
)
def test_what_is_no_hexadecimal_digit_is_told_with_its_place(text, place):
    with pytest.raises(NotationError, match=place):
        read(Hex, text)


@given(st.binary())
def test_hexadecimal_digits_bring_any_bytes(data):
    assert read(Hex, data.hex(" ").encode()) == read(Hex, data.hex().encode()) == data


@given(st.binary())
def test_any_text_is_hexadecimal_digits_or_a_mistake(text):
    for notation in (Hex, Escaped):
        with suppress(NotationError):
            read(notation, text)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (rb"R0925\r", b"R0925\r"),
        (rb"\xff\x03\x9D\x9f", b"\xff\x03\x9d\x9f"),
        (rb"\033[m\0", b"\x1b[m\0"),
        (rb"\\g:1*4A\\", b"\\g:1*4A\\"),
        (rb"\g:1*4A", rb"\g:1*4A"),
        (b"one\ntwo\n", b"one\ntwo"),
        (b"one\\\ntwo", b"onetwo"),
        (rb"\a\b\f\n\r\t\v\'" + rb"\"", b"\a\b\f\n\r\t\v'\""),
        ("å°".encode(), "å°".encode()),
    ],
)
def test_escapes_mean_what_they_mean_in_python(text, data):
    assert read(Escaped, text) == data


@given(st.binary())
def test_what_python_prints_of_any_bytes_is_read_again(data):
    text = repr(data)[2:-1].encode()
    assert read(Escaped, text) == ast.literal_eval(repr(data)) == data


@pytest.mark.parametrize(("text", "place"), [(b"ab\\x4", "column 3"), (b"\n\\xg1", "line 2, column 1"), (b"a\\", "2")])
def test_an_escape_that_is_not_whole_is_told_with_its_place(text, place):
    with pytest.raises(NotationError, match=place):
        read(Escaped, text)
