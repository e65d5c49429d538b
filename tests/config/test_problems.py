"""What a technician reads when something is wrong."""

import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_core.core_schema import ErrorType

from agent.config.load import LARGEST, load
from agent.config.problems import ConfigError
from agent.config.wording import SENTENCES
from tests.config.test_load import EXAMPLE, SMALL, problems

AIR = '[devices.air-1]\ndriver = "plantower"\nport = "/dev/ttyAMA0"\n'
BUTTON = '[devices.b]\ndriver = "button"\npin = 27\n'


def cases():
    """Read mistakes.txt: pairs of a text and what is said of it."""
    text = (Path(__file__).parent / "mistakes.txt").read_text("utf-8")
    for block in re.split(r"\n\n+", text):
        lines = [line for line in block.splitlines() if not line.startswith("# ")]
        said = [line.removeprefix("--> ") for line in lines if line.startswith("--> ")]
        if lines:
            yield pytest.param("\n".join(lines[: -len(said)]), said, id=said[0])


@pytest.mark.parametrize(("text", "said"), list(cases()))
def test_each_mistake_is_one_line_that_says_where_and_what_and_what_instead(text, said):
    assert problems(SMALL + text) == said


def test_all_mistakes_are_said_at_once_in_the_order_of_their_lines():
    said = problems(
        SMALL.replace("pkt-0042", "PKT 42")
        + AIR.replace("plantower", "x")
        + BUTTON.replace("27", "28")
        + "[journal]\na = 1",
        **{"journal.limit": "0"},
    )
    assert [line.split(": ")[0] + " " + line.split(": ")[1] for line in said] == [
        "gateway.toml:2 gateway.id",
        "gateway.toml:6 devices.air-1.driver",
        "gateway.toml:10 devices.b.pin",
        "gateway.toml:12 journal.a",
        "--set journal.limit must be 1 MiB or more, not 0",
    ]


def test_what_every_gateway_needs_is_asked_for():
    assert problems("[journal]") == [
        "gateway.toml:1: gateway: is missing: a gateway needs at least an id",
        "gateway.toml:1: uplinks: is missing: a gateway needs at least one, such as [uplinks.city]",
    ]
    assert problems("# nothing yet\n") == ["gateway.toml: is empty; it needs at least [gateway] and an uplink"]


def test_our_sentences_stand_for_kinds_of_errors_that_pydantic_knows():
    assert set(SENTENCES) <= set(get_args(ErrorType))


# --- secrets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["password", "passwd", "secret", "token", "tls_psk"])
def test_a_secret_in_the_text_is_refused_and_never_repeated(key):
    (said,) = problems(SMALL + f"{key} = 'hunter2'")
    assert said.startswith(f"gateway.toml:5: uplinks.city.{key}: a secret cannot stand in this file")
    assert "password_file / password_credential" in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    "line", ["password_file = 'hunter2'", "password_file = ['hunter2']", "password_credential = 'hun/ter2'", "url = 'mqtt://me:hunter2@host'"]
)  # fmt: skip
def test_a_secret_in_the_wrong_place_is_never_repeated(line):
    text = SMALL if "url" not in line else SMALL.replace('url = "mqtt://127.0.0.1"\n', "")
    said = problems(text + "username = 'me'\n" + line)
    assert len(said) == 1
    assert "ter2" not in said[0]


# --- files --------------------------------------------------------------------------------------------------


def refused(path):
    with pytest.raises(ConfigError) as caught:
        load(path)
    (problem,) = caught.value.problems
    return str(problem).removeprefix(str(path))


def test_a_file_that_cannot_be_read_is_told_by_its_name(tmp_path):
    file = tmp_path / "gateway.toml"
    assert refused(file) == ": there is no such file"
    assert refused(tmp_path) == ": is a folder, not a file"
    assert refused(file / "x") == ": there is no such file"
    file.symlink_to(file)
    assert "cannot be read: " in refused(file)


def test_a_file_that_is_no_text_is_told_with_the_line(tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_bytes(b"[gateway]\nid = '\xe4'\n")
    assert refused(file) == ":2: is not UTF-8 text; save it as UTF-8"
    file.write_bytes(b"#" * (LARGEST + 1))
    assert refused(file) == ": is larger than 1 MiB and cannot be a configuration"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "[gateway]\nid = \n",
            "2: is not TOML: this is not a value (end of the line); the value is missing behind '='",
        ),
        (
            '[gateway]\nid = "abc',
            '2: is not TOML: a text is not closed (end of the line); the closing quote is missing: write "abc"',
        ),
        ("[devices.a]\n[devices.b]\n[devices.a]", "3: devices.a: stands here a second time; the first is on line 1"),
        ("[gateway]\nid = 'a'\nid = 'b'", "3: gateway.id: stands here a second time; the first is on line 2"),
    ],
)
def test_a_text_that_is_not_toml_is_told_with_line_and_column(text, said):
    assert problems(text) == [f"gateway.toml:{said}"]


def test_a_text_that_would_exhaust_the_parser_is_told_like_any_other():
    assert problems("a = " + "[" * 100_000) == ["gateway.toml: is nested too deeply"]
    assert problems("a = " + "9" * 5000) == ["gateway.toml: holds a number that is too large"]
    assert problems(SMALL + "x = " + "[" * 20 + "]" * 20)[0].startswith("gateway.toml:5: uplinks.city.x")


# --- whatever comes -----------------------------------------------------------------------------------------

LINE = re.compile(r"gateway\.toml(:\d+)?: \S.*")
VALUES = st.recursive(
    st.one_of(
        st.integers(), st.floats(), st.booleans(), st.text(max_size=5), st.sampled_from(["5 s", "1 MiB", "up", "b"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("ab"), inner, max_size=2)),
    max_leaves=4,
)


@settings(max_examples=150)
@given(st.data())
def test_whatever_value_stands_in_whatever_place_it_is_taken_or_told_without_a_word_of_pydantics(data):
    lines = EXAMPLE.read_text("utf-8").splitlines()
    places = [number for number, line in enumerate(lines) if re.match(r"\w+ = ", line)]
    number = data.draw(st.sampled_from(places))
    lines[number] = f"{lines[number].partition(' = ')[0]} = {toml(data.draw(VALUES))}"
    try:
        load("\n".join(lines))
    except ConfigError as error:
        for problem in map(str, error.problems):
            assert LINE.fullmatch(problem), problem
            assert "nput should" not in problem
            assert problem.isprintable()


@given(st.text(max_size=80))
def test_any_text_at_all_is_taken_or_told(text):
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert all(LINE.fullmatch(str(problem)) for problem in caught.value.problems)


def toml(value):
    """Write a value in TOML."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return '"' + "".join(f"\\U{ord(c):08X}" if not 0xD800 <= ord(c) < 0xE000 else "?" for c in value) + '"'
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{key} = {toml(each)}" for key, each in value.items()) + "}"
        case float():
            return {"inf": "inf", "-inf": "-inf", "nan": "nan"}.get(str(value)) or f"{value!r}".replace(
                "e", ".0e" if "." not in repr(value) else "e"
            )
        case _:
            return str(value)
