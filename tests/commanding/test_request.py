"""Reading a command: all of it is understood, or it is refused by name."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.commanding.answer import CommandError, Reason
from agent.commanding.request import LARGEST, Arguments, id_of, is_id, parse
from agent.uplink import inbound

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.dictionaries(st.sampled_from(["id", "expires", "device", "on", "for"]) | st.text(max_size=8), JSON)


def outcome(read):
    """Return what is read, or the reason why it is refused."""
    try:
        return read()
    except CommandError as error:
        return error.reason


@given(st.binary(max_size=200) | FIELDS.map(lambda fields: json.dumps(fields).encode()))
def test_whatever_comes_is_a_request_or_refused_by_name(payload):
    request = outcome(lambda: parse(payload))
    if isinstance(request, Reason):
        assert request is Reason.MALFORMED
        assert id_of(payload) is None or is_id(id_of(payload))
    else:
        assert is_id(request.id)
        assert isinstance(request.expires, int | float)
        assert not {"id", "expires"} & request.arguments.keys()


@given(FIELDS)
def test_whatever_the_arguments_are_each_is_what_was_asked_for_or_refused_by_name(fields):
    for ask, is_right in (
        (lambda one: one.text("device"), lambda value: isinstance(value, str) and len(value) <= 64),
        (lambda one: one.flag("on"), lambda value: isinstance(value, bool)),
        (lambda one: one.seconds("for", most=60), lambda value: isinstance(value, float) and 0 <= value <= 60),
        (lambda one: one.numbers("for"), lambda value: 0 < value[0] <= value[1]),
    ):
        value = outcome(lambda ask=ask: ask(Arguments(fields)))
        assert value is Reason.BAD_ARGUMENT or is_right(value)


@pytest.mark.parametrize(
    ("payload", "complaint"),
    [
        (b"", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"[" * 5000, "not JSON"),
        (b" " * (LARGEST + 1), "larger than"),
        (b'{"id":"a","expires":NaN}', "NaN"),
        (b'{"id":"a","expires":1,"on":true,"on":false}', "twice"),
        (b'{"expires":1}', "id must be"),
        (b'{"id":"","expires":1}', "id must be"),
        (json.dumps({"id": "x" * 65, "expires": 1}).encode(), "id must be"),
        (b'{"id":7,"expires":1}', "id must be"),
        (b'{"id":"a"}', "expires must be"),
        (b'{"id":"a","expires":"soon"}', "expires must be"),
        (b'{"id":"a","expires":true}', "expires must be"),
        (b'{"id":"a","expires":1e300}', "expires must be"),
    ],
)
def test_what_is_wrong_is_said(payload, complaint):
    with pytest.raises(CommandError, match=complaint):
        parse(payload)


def test_what_is_left_over_is_refused_because_it_may_matter():
    arguments = Arguments({"device": "siren-1", "loud": True})
    assert arguments.text("device") == "siren-1"
    with pytest.raises(CommandError, match="loud"):
        arguments.end()


def test_the_configuration_of_a_hundred_devices_fits():
    device = """
[devices.level-%d]
driver = "a02yyuw"
port = "/dev/roadside/port-1.%d"
label = { en = "Drain at the market", th = "ท่อระบายน้ำหน้าตลาด" }
alarms = [{ quantity = "water_distance", below = 300 }]
"""
    toml = "".join(device % (number, number) for number in range(100))
    payload = json.dumps({"id": "1", "expires": 1, "toml": toml}, ensure_ascii=False).encode()
    assert len(payload) > 20_000
    assert parse(payload).arguments == {"toml": toml}
    assert len(payload) + 1024 < inbound.LARGEST  # with its topic and properties
    assert LARGEST + 1024 < inbound.LARGEST
