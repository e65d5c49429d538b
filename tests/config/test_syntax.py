"""What a technician reads of a text that is not TOML."""

import inspect
import re
from tomllib import _parser as parser

import pytest

from agent.config.load import load
from agent.config.problems import ConfigError
from agent.config.syntax import MESSAGES
from agent.i18n import install, width


def refused(text):
    """Return the one problem of a text."""
    with pytest.raises(ConfigError) as caught:
        load(text)
    (problem,) = caught.value.problems
    return problem


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("id = “abc”", 'quotes are straight ones: write "abc"'),
        ('id = "abc”', 'quotes are straight ones: write "abc"'),
        ("id = “abc", 'quotes are straight ones: write "abc"'),
        ('id = "abc', 'the closing quote is missing: write "abc"'),
        ("id = 'abc", "the closing quote is missing: write 'abc'"),
        ("id = 'it's'", 'a quote within a text ends it: write "it\'s"'),
        ("x = ๕.๒", "digits are 0 to 9: write 5.2"),
        ("x = [๑, ๕]", "digits are 0 to 9: write [1, 5]"),
        ("x = 5,25", "numbers have a point: write 5.25"),
        ("x = -007.50", "a number begins and ends with a digit, and with no 0 too many: write -7.50"),
        ("x = .5", "a number begins and ends with a digit, and with no 0 too many: write 0.5"),
        ("x = True", "a truth value is written true"),
        ("x = off", "a truth value is written false"),
        ("x = 5\N{NO-BREAK SPACE}", "a space that is none (U+00A0) stands here: write an ordinary one"),
        (r'x = "\d+"', "in '...' a backslash is a backslash: write patterns in single quotes"),
        ("x = /dev/ttyAMA0 # port", 'a text stands in quotes: write "/dev/ttyAMA0"'),
        ("x = 10 s", 'a text stands in quotes: write "10 s"'),
        ("x = 1 y = 2", "each key stands on a line of its own"),
        ("x = # later", "the value is missing behind '='"),
        ("x = 1 // one", "a comment begins with '#'"),
        ("x: 1", "write '=' in place of ':'"),
        ("x 1", "write it like this: key = value"),
        ("x = { a = 1,", "a table in braces stands on one line, without a comma at its end"),
    ],
)
def test_a_mistake_that_is_clear_comes_with_its_remedy(line, hint):
    problem = refused(f"a = 1\n{line}\nz = 2\n")
    assert problem.line == 2
    assert problem.text.endswith(f"); {hint}")


@pytest.mark.parametrize(
    ("line", "excerpt"),
    [
        ('x = "ab" c', '    x = "ab" c\n             ^'),
        ("\tx = 5 s", "     x = 5 s\n           ^"),
        ('th = "ที่นี่" x', '    th = "ที่นี่" x\n' + " " * 14 + "^"),
        ("x =\N{NO-BREAK SPACE}1", "    x =\\u00a01\n       ^"),
    ],
)
def test_the_line_is_shown_with_a_mark_below_the_place(line, excerpt):
    assert refused(line).excerpt == excerpt


def test_a_long_line_is_shown_around_the_place():
    line, mark = refused(f'x = "{"a" * 500}" b # {"c" * 500}').excerpt.splitlines()
    assert width(line) < 110
    assert line[len(mark) - 1] == "b"


@pytest.mark.parametrize(
    "text", ['password = "hunter2', 'url = "mqtt://me:hunter2@host', 'token = """\nhunter2 \\x', "psk = hunter2"]
)
def test_a_line_that_may_hold_a_secret_is_not_repeated(text):
    problem = refused(text)
    assert "hunter2" not in f"{problem}{problem.excerpt}"


def test_every_message_of_the_parser_has_words_of_our_own():
    said = re.findall(r"(?:suffixed_err|TOMLDecodeError)\(\s*(?:src, \w+, )f?([\"'])(.*?)\1", inspect.getsource(parser))
    assert len(said) > 15
    for _quote, message in said:
        plain = message.replace("\\\\", "\\")
        assert any(plain.startswith(begin) for begin in MESSAGES), message


@pytest.mark.parametrize("text", ["x = ", "[a", "x = '", 'x = "\\d"', "x = 5 s", "x y", "= 1", "x = [1 2]", "x = ๕,๕"])
def test_a_thai_technician_reads_no_english(text):
    try:
        install("th")
        said = refused(text).text
    finally:
        install("en")
    assert not re.search(r"[a-z]{4,}", said.replace("TOML", "").replace("value", "")), said
