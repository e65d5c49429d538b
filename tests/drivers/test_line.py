import pytest

from drivers.contract import FaultKind, Reason
from drivers.devices.line import DRIVER, Settings, quantities
from tests.drivers.feeding import decode, faults, values

MAXBOTIX = r"R(?P<water_distance>\d{4})"


def decoder(**settings):
    return lambda: DRIVER.make(Settings(**settings))


def test_a_group_is_named_after_its_quantity():
    items = decode(decoder(pattern=MAXBOTIX), b"\rR0925\rR0914\r")
    assert [item.value for item in items] == [925.0, 914.0]


def test_the_first_line_may_lack_its_beginning():
    items = decode(decoder(pattern=r"(?P<rain>[0-9.]+)"), b"2.5\r\n12.5\r\n")
    assert faults(items) == [(FaultKind.TRUNCATED, 0)]
    assert values(items) == {"rain": 12.5}


def test_the_pattern_is_that_of_the_whole_line():
    items = decode(decoder(pattern=MAXBOTIX), b"\rR0925\rR09250\rxR0925\rR0914\r")
    assert faults(items) == [(FaultKind.MALFORMED, 7), (FaultKind.MALFORMED, 14)]
    assert values(items) == {"water_distance": 914.0}


def test_several_quantities_and_a_group_that_took_no_part():
    make = decoder(pattern=r"(?P<voltage>\S+) V(?: (?P<current>\S+) A)?")
    assert values(decode(make, b"\n230.1 V 0.5 A\n")) == {"voltage": 230.1, "current": 0.5}
    assert values(decode(make, b"\n-1e1 V\n")) == {"voltage": -10.0}


def test_paths_into_json():
    make = decoder(json={"speed": "objects.1.speed", "hdop": "dop"})
    items = decode(make, b'\n{"objects": [{"speed": 1}, {"speed": "2.5"}], "dop": 0.8}\n')
    assert values(items) == {"speed": 2.5, "hdop": 0.8}


def test_null_is_a_reading_without_a_value():
    items = decode(decoder(json={"speed": "speed"}), b'\n{"speed": null}\n')
    assert values(items) == {"speed": Reason.INVALID}


def test_states_and_texts_need_a_quantity_without_unit():
    make = decoder(json={"on": "relay", "mode": "mode"}, units={"mode": ""})
    assert values(decode(make, b'\n{"relay": true, "mode": "night"}\n')) == {"on": True, "mode": "night"}


@pytest.mark.parametrize(
    "line",
    [
        b'{"speed": true}',
        b'{"speed": "fast"}',
        b'{"speed": NaN}',
        b'{"speed": 1e999}',
        b'{"speed": [1]}',
        b'{"unit": "ms"}',
        b"[1, 2]",
        b'"speed"',
        b'{"speed": 1',
        b"[" * 4000,
    ],
)
def test_json_that_does_not_fit_is_a_fault(line):
    items = decoder(json={"speed": "speed"}, longest=4096)().feed(b"\n" + line + b"\n")
    assert faults(items) == [(FaultKind.MALFORMED, 1)]


def test_digits_of_other_scripts_and_other_forms_are_not_numbers():
    for text in ("๒๕", "1_000", "nan", "inf", "0x10", ""):
        items = decoder(pattern=r"(?P<rain>.*) mm")().feed(f"\n{text} mm\n".encode())
        assert faults(items) == [(FaultKind.MALFORMED, 1)], text


def test_bytes_that_are_not_text_are_noise():
    items = decode(decoder(pattern=MAXBOTIX), b"\rR0925\r\xff\xfe\r")
    assert faults(items) == [(FaultKind.GARBAGE, 7)]


def test_a_line_that_is_too_long_is_thrown_away_as_it_comes():
    items = decode(decoder(pattern=MAXBOTIX, longest=8), b"\r" + b"R" * 20 + b"\rR0925\r")
    assert faults(items) == [(FaultKind.OVERRUN, 1), (FaultKind.OVERRUN, 9), (FaultKind.TRUNCATED, 17)]
    assert values(items) == {"water_distance": 925.0}


def test_units_are_those_of_the_table_or_of_the_settings():
    assert quantities(Settings(pattern=MAXBOTIX)) == {"water_distance": "m"}
    assert quantities(Settings(json={"noise": "a"}, units={"noise": "dB"})) == {"noise": "dB"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "give either pattern or json"),
        ({"pattern": MAXBOTIX, "json": {"rain": "rain"}}, "give either pattern or json"),
        ({"pattern": "("}, "pattern: not a regular expression: missing \\), unterminated subpattern at position 0"),
        ({"pattern": r"\d+"}, "pattern: name a group"),
        ({"pattern": "(?P<glare>.)"}, "units: the unit of glare is missing"),
        ({"json": {"Noise!": "a"}, "units": {"Noise!": "dB"}}, "cannot be a quantity"),
        ({"pattern": "(?P<rain>.)", "units": {"rain": "in"}}, "units: rain is always in 'mm'"),
        ({"pattern": "(?P<rain>.)", "units": {"noise": "dB"}}, "units: noise is not measured"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        Settings(**settings)
