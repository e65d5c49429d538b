import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.units import BYTES, SECONDS, seconds, serial_line, size
from agent.config.wording import quantity
from drivers.contract import SerialLine


@pytest.mark.parametrize(
    ("text", "value"),
    [("250 ms", 0.25), ("5 s", 5), ("5s", 5), ("1.5 min", 90), ("10 min", 600), ("1 h", 3600), ("2 d", 172_800)],
)
def test_durations_are_seconds(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize(("text", "value"), [("256 MiB", 1 << 28), ("4 GB", 4 * 10**9), ("1.5 KiB", 1536), ("7 B", 7)])
def test_sizes_are_bytes(text, value):
    assert size(text) == value


@pytest.mark.parametrize("text", ["", "s", "5", "-5 s", "5  s", "5 S", "5 m", "5 sec", "1e3 s", "5 s ", "๕ s", "nan s"])
def test_what_is_no_duration_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="'10 min'"):
        seconds(text)


@pytest.mark.parametrize("text", ["", "1", "1 Mib", "1 mb", "1 TB", "-1 MB", "1,5 MB"])
def test_what_is_no_size_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="'256 MiB'"):
        size(text)


@pytest.mark.parametrize("unit", SECONDS)
def test_a_duration_too_large_for_a_number_is_refused(unit):
    with pytest.raises(ValueError, match="too large"):
        seconds("9" * 400 + unit)


@given(st.integers(1, 10**15))
def test_a_size_reads_as_it_is_shown(number):
    assert size(quantity(number, "bytes")) == number


@given(st.integers(0, 10**6), st.sampled_from([*SECONDS, *BYTES]))
def test_a_number_with_a_unit_is_the_number_times_the_unit(number, unit):
    parse, factors = (seconds, SECONDS) if unit in SECONDS else (size, BYTES)
    assert parse(f"{number} {unit}") == number * factors[unit]


@given(
    st.builds(
        SerialLine,
        baud=st.integers(10, 4_000_000),
        bits=st.sampled_from([5, 6, 7, 8]),
        parity=st.sampled_from("NEO"),
        stop=st.sampled_from([1, 2]),
    )
)
def test_line_settings_read_as_they_are_shown(line):
    assert serial_line(str(line)) == line


@pytest.mark.parametrize("text", ["9600", "9600 8n1", "9600 9N1", "0 8N1", "9600 8N3", "9600  8N1", "96OO 8N1"])
def test_what_is_no_line_setting_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="9600 8N1"):
        serial_line(text)
