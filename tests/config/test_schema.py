"""The JSON Schema is held against the reader: what one refuses for its shape, the other refuses too."""

import json
import re
import tomllib

import pytest

from agent.config.load import load
from agent.config.problems import ConfigError
from agent.config.schema import schema
from drivers import registry
from tests.config.test_load import EXAMPLE, SMALL

SCHEMA = schema()
KINDS = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}


def fits(value, rule, whole=SCHEMA):
    """Return whether a value is valid: the part of JSON Schema 2020-12 that the schema uses, and no more."""
    checks = {
        "$ref": lambda ref: fits(value, whole["$defs"][ref.rpartition("/")[2]]),
        "type": lambda kind: isinstance(value, KINDS[kind]) and (kind == "boolean" or not isinstance(value, bool)),
        "const": lambda const: value == const,
        "enum": lambda enum: value in enum,
        "anyOf": lambda rules: any(fits(value, each) for each in rules),
        "allOf": lambda rules: all(fits(value, each) for each in rules),
        "if": lambda condition: not fits(value, condition) or fits(value, rule["then"]),
        "required": lambda keys: set(keys) <= value.keys(),
        "minProperties": lambda least: len(value) >= least,
        "properties": lambda rules: all(fits(value[key], rules[key]) for key in rules if key in value),
        "propertyNames": lambda names: all(fits(key, names) for key in value),
        "additionalProperties": lambda other: all(
            other is not False and fits(value[key], other) for key in value.keys() - rule.get("properties", {}).keys()
        ),
        "items": lambda each: all(fits(item, each) for item in value),
        "prefixItems": lambda rules: all(map(fits, value, rules)),
        "minItems": lambda least: len(value) >= least,
        "maxItems": lambda most: len(value) <= most,
        "minLength": lambda least: len(value) >= least,
        "maxLength": lambda most: len(value) <= most,
        "pattern": lambda pattern: re.search(pattern, value) is not None,
        "minimum": lambda limit: value >= limit,
        "maximum": lambda limit: value <= limit,
        "exclusiveMinimum": lambda limit: value > limit,
        "exclusiveMaximum": lambda limit: value < limit,
    }
    words = {"then", "default", "description", "$schema", "title", "$defs"}
    assert rule.keys() <= checks.keys() | words, rule.keys() - checks.keys()
    order = sorted(rule.keys() - words, key=lambda key: key != "type")
    return all(checks[key](rule[key]) for key in order)


def test_the_example_fits():
    assert fits(tomllib.loads(EXAMPLE.read_text("utf-8")), SCHEMA)


def test_it_is_plain_json_and_speaks_of_every_driver():
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert SCHEMA["$defs"]["Device"]["properties"]["driver"]["enum"] == registry.names()


def test_limits_defaults_and_help_stand_in_it():
    window = SCHEMA["$defs"]["Uplink"]["properties"]["window"]
    assert (window["minimum"], window["maximum"], window["default"]) == (2, 1000, 20)
    assert window["description"] == "Most messages on the way at once"


AIR = '[devices.a]\ndriver = "plantower"\nport = "/dev/ttyAMA0"\n'
BUTTON = '[devices.b]\ndriver = "button"\npin = 27\n'


@pytest.mark.parametrize(
    "text",
    [
        AIR + "warm_up = 10",
        AIR + 'warm_up = "10 s"',
        AIR + "[devices.a.pm10]\nplausible = [0, 1.5]\nwindow = '1 min'",
        AIR.replace('"/dev/ttyAMA0"', '{ path = "/dev/ttyAMA0", line = "9600 8N1" }'),
        BUTTON + 'hold = "50 ms"',
        AIR.replace("plantower", "line")
        + 'json = { wind = "w" }\nunits = { wind = "m/s" }\n[devices.a.wind]\nscale = 2',
        '[journal]\nlimit = "1 GB"\nyoung_limit = 1048576',
        '[ports.rs485]\npath = "/dev/x"',
    ],
)
def test_what_is_read_fits(text):
    load(SMALL + text)
    assert fits(tomllib.loads(SMALL + text), SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        AIR.replace("plantower", "plantowr"),
        AIR.replace("port", "prt"),
        AIR + "every = 5",
        AIR + "pm10 = 5",
        AIR + "[devices.a.pm11]",
        AIR + "[devices.a.pm10]\nplausible = [1]",
        AIR + "[devices.a.pm10]\nplausible = [1, 'x']",
        AIR + "[devices.a.pm10]\nheartbeat = 0",
        AIR + "label = { en = 'x' }",
        AIR + "[[devices.a.alarms]]\nname = 'x'",
        BUTTON.replace("27", "28"),
        BUTTON.replace("27", "27.0"),
        BUTTON.replace("pin = 27", ""),
        BUTTON + "pull = 'upp'",
        BUTTON + "port = '/dev/ttyAMA0'",
        BUTTON + "hold = '5 x'",
        "[journal]\npack_size = true",
        "[journal]\nlimit = 5",
        "[jornal]",
        "[devices.A]\ndriver = 'button'\npin = 1",
        "[ports.rs485]\npath = '/dev/x'\nline = '9600'",
        "[uplinks.x]",
        "[uplinks.x]\nurl = 'mqtt://x'\npassword = 'x'",
        "[uplinks.x]\nurl = 'mqtt://x'\nprotocol = '4'",
    ],
)
def test_what_is_refused_for_its_shape_does_not_fit(text):
    with pytest.raises(ConfigError):
        load(SMALL + text)
    assert not fits(tomllib.loads(SMALL + text), SCHEMA)


def test_what_every_gateway_needs_is_required():
    assert not fits({}, SCHEMA)
    assert not fits({"gateway": {"id": "a"}, "uplinks": {}}, SCHEMA)
