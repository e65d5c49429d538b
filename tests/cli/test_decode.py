import json
import os
import subprocess
import sys

import pytest

from tests.cli.roadside import ENVIRONMENT, WITHIN, start

LEVEL = b"\xff\x03\x9d\x9f"
NO_ECHO = b"\xff\x00\x00\xff"


def decode(*arguments, data=b""):
    """Return the finished process, with lines of JSON as `items`, and standard error as text."""
    done = subprocess.run(
        [sys.executable, "-m", "agent", "decode", *map(str, arguments)],
        env=ENVIRONMENT,
        input=data,
        capture_output=True,
        timeout=WITHIN,
        check=False,
    )
    done.items = [json.loads(line) for line in done.stdout.splitlines()]
    done.stderr = done.stderr.decode()
    return done


def test_raw_bytes_of_standard_input_become_lines_of_json():
    done = decode("a02yyuw", data=LEVEL + NO_ECHO + b"\xff\x03\x9d\x9e" + LEVEL[:2])
    assert done.stdout.decode().splitlines() == [
        '{"quantity": "water_distance", "value": 0.925, "unit": "m"}',
        '{"quantity": "water_distance", "value": null, "reason": "no_echo"}',
        '{"fault": "checksum", "offset": 8}',
        '{"fault": "truncated", "offset": 12}',
    ]
    assert (done.returncode, done.stderr) == (0, "")


def test_a_file_is_decoded(tmp_path):
    file = tmp_path / "level.bin"
    file.write_bytes(LEVEL)
    assert decode("a02yyuw", file).items == decode("a02yyuw", "-", data=LEVEL).items != []


def test_settings_of_the_driver_can_be_given():
    (item,) = decode("a02yyuw", "--set", "mount_height=5.0", data=LEVEL).items
    assert item == {"quantity": "water_level", "value": 4.075, "unit": "m"}


def test_bytes_may_be_written_as_hexadecimal_digits_or_with_escapes():
    expected = decode("a02yyuw", data=LEVEL).items
    assert decode("a02yyuw", "--hex", data=b"# level\n0xFF, 0x03,\n9d 9F").items == expected
    assert decode("a02yyuw", "--escaped", data=rb"\xff\x03\x9d\x9f" + b"\n").items == expected


def test_of_a_fault_it_can_be_told_what_was_seen():
    (fault,) = decode("a02yyuw", "--detail", data=b"\xff\x03\x9d\x9e").items
    assert fault == {"fault": "checksum", "offset": 0, "detail": "ff 03 9d 9e"}


def test_the_time_of_day_is_told_as_such():
    sentence = b"$GNRMC,223745.00,A,3806.62964,N,12237.61382,W,0.040,,110720,,,D,V*0E\r\n"
    assert {"time": "2020-07-11T22:37:45Z"} in decode("nmea", data=sentence).items


def test_edges_at_a_gpio_input_need_no_pin():
    trace = b"0:1 1000.00:0 1000.05:1 1000.10:0 1065.00:1 1065.08:0 1065.10:1"
    items = decode("rain_gauge", "--set", "mm_per_tip=0.2794", data=trace).items
    assert [item["value"] for item in items if item["quantity"] == "rain"] == [0.0, 0.2794]


def test_the_level_at_start_counts_once_it_has_lasted():
    assert decode("button", data=b"0:0").items == [{"quantity": "pressed", "value": True}]
    assert decode("button", "--for", "0.01", data=b"0:0").items == []
    assert decode("button", "--set", "active=high", data=b"0:0").items == [{"quantity": "pressed", "value": False}]


def test_what_is_due_after_the_last_edge_comes_if_it_is_waited_for():
    items = decode("rain_gauge", "--for", "700", data=b"0:1 1000:0").items
    assert {"fault": "stuck", "offset": 0} in items


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["plantowr"], 78, "'plantowr' is not a driver; did you mean 'plantower'?\n"),
        (["PMS5003"], 78, "'PMS5003' is not a driver; did you mean 'plantower'?\n"),
        (["siren"], 78, "'siren' sends nothing that could be decoded\n"),
        (["button", "--set", "hld=1"], 78, "--set hld: is not a known key; did you mean 'hold'?"),
        (["button", "--set", "hold=long"], 78, "--set hold: must be a duration"),
        (["button", "--set", "hold"], 2, "write KEY=VALUE"),
        (["line"], 78, "give either pattern or json\n"),
        (["button", "--hex"], 2, "leave out --hex"),
        (["plantower", "/nowhere/at/all"], 1, "/nowhere/at/all cannot be read: No such file or directory"),
        (["plantower", "/"], 1, "/ cannot be read: Is a directory"),
    ],
)
def test_what_cannot_be_done_is_said(arguments, status, said):
    done = decode(*arguments)
    assert (done.returncode, done.stdout) == (status, b"")
    assert said in done.stderr


@pytest.mark.parametrize(
    ("arguments", "data", "said"),
    [
        (["plantower", "--hex"], b"42 4D\n0G 1C", "-: line 2, column 1: bytes are pairs of hexadecimal digits"),
        (["plantower", "--escaped"], b"BM\\x1", "-: line 1, column 3: two hexadecimal digits"),
        (["button"], b"0:1 100:2", "-: line 1, column 5: an edge is written as milliseconds:level"),
        (["button"], b"0:1 inf:0", "-: line 1, column 5: an edge is written as milliseconds:level"),
        (["button"], b"0:1\n100:0 99:1", "-: line 2, column 7: no edge is earlier than the one before it, not '99:1'"),
        (["button"], bytes(range(256)), "-: line 1, column 1: "),
    ],
)
def test_what_is_not_in_the_notation_that_was_named_is_told_with_its_place(arguments, data, said):
    done = decode(*arguments, data=data)
    assert done.returncode == 65
    assert done.stderr.startswith(said)


def test_rubbish_is_faults_and_no_traceback():
    done = decode("nmea", data=bytes(range(256)) * 100)
    assert (done.returncode, done.stderr) == (0, "")
    assert all("fault" in item for item in done.items)


def test_a_port_that_goes_on_sending_is_decoded_as_it_does():
    with start("decode", "a02yyuw", stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        os.write(process.stdin.fileno(), LEVEL)
        assert json.loads(process.stdout.readline())["value"] == 0.925
        os.write(process.stdin.fileno(), NO_ECHO)
        assert json.loads(process.stdout.readline())["reason"] == "no_echo"
        process.stdin.close()
    assert process.returncode == 0


def test_whoever_stops_reading_gets_no_traceback():
    with start("decode", "a02yyuw", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        os.write(process.stdin.fileno(), LEVEL * 1000)
        process.stdin.close()
        assert process.stderr.read() == ""
    assert process.returncode == 1


def test_it_takes_no_pydantic_and_no_asyncio():
    code = (
        "import sys; from agent.commands.decode import command\n"
        "command.main(['a02yyuw', '--hex', '/dev/null'], standalone_mode=False)\n"
        "print([name for name in ('pydantic', 'asyncio', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_trace_is_played_on_until_something_is_said_of_it(tmp_path):
    trace = tmp_path / "trace.txt"
    trace.write_text("0:1 1000:0 1040:1 2000:0 2040:1")
    assert [item["value"] for item in decode("pulse_counter", trace).items] == [0, 2, 2.0]
    assert [item["value"] for item in decode("pulse_counter", trace, "--for", "1").items] == [0]
