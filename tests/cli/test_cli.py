import fcntl
import os
import re
import signal
import struct
import subprocess
import sys
import termios
from importlib.metadata import version

import pytest

from agent.cli import COMMANDS
from tests.cli.roadside import ENVIRONMENT, WITHIN, roadside, start
from tests.hil.waiting import until

HEAVY = ("pydantic", "aiomqtt", "paho", "rich", "gpiozero", "serial", "pynmeagps", "iotcore", "asyncio")


def test_help_lists_every_command_with_one_line():
    result = roadside("--help")
    assert result.returncode == 0
    width = max(map(len, COMMANDS)) + 2
    for name, text in COMMANDS.items():
        assert f"  {name:<{width}}{text}" in result.stdout


def test_help_imports_nothing_heavy():
    code = "import sys\ntry:\n  from agent.cli import main; main()\nfinally:\n  print(*sys.modules, file=sys.stderr)"
    result = subprocess.run(
        [sys.executable, "-c", code, "--help"],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=True,
    )
    loaded = {name.partition(".")[0] for name in result.stderr.split()}
    assert "click" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_it_tells_its_version():
    assert roadside("--version").stdout == f"roadside, version {version('roadside')}\n"


def test_an_unknown_command_is_answered_with_the_nearest():
    result = roadside("chek")
    assert result.returncode == 2
    assert "'check'" in result.stderr
    assert "Traceback" not in result.stderr


def test_it_speaks_thai_to_whoever_has_a_thai_locale():
    result = roadside("--help", locale="th_TH.UTF-8")
    assert "ตรวจ" in result.stdout
    assert "คำสั่ง" in result.stdout
    assert "Options" not in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ("chek",),
        ("check",),
        ("check", "--rot", "x"),
        ("check", "a", "b"),
        ("check", "a", "--set"),
        ("check", "a", "--root", __file__),
        ("check", "a", "--set", "b"),
        ("listen", "--for", "x"),
        ("demo", "--for", "0"),
        ("drivers", "--quantities=1"),
        ("journal", "exprt"),
        ("journal", "export", "--format", "x"),
        ("journal", "export", "--since", "x"),
    ],
)
def test_a_wrong_command_line_is_told_in_thai(arguments):
    result = roadside(*arguments, locale="th_TH.UTF-8")
    assert result.returncode == 2
    said = result.stderr.splitlines()[-1].replace("float", "")
    said = re.sub(r"'[^']*'|\(.*\)|KEY=VALUE|x>=1|0\.0|UTC|T14:30", "", said)
    assert not re.search("[A-Za-z]", said), said


def test_a_terminal_without_thai_letters_is_no_reason_to_fail():
    result = roadside("drivers", locale="th_TH.UTF-8", encoding="iso-8859-1")
    assert (result.returncode, result.stderr) == (0, "")
    assert "\\u0e1b" in result.stdout


def test_a_reader_that_has_seen_enough_is_no_error():
    with start("schema", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == ""
        process.wait(WITHIN)


async def test_ctrl_c_ends_it_quietly(tmp_path):
    fifo = tmp_path / "gateway.toml"
    os.mkfifo(fifo)
    with start("check", fifo, stderr=subprocess.PIPE) as process, fifo.open("wb", buffering=0) as end:
        end.write(b"[gateway]\n")
        await until(lambda: unread(end) == 0)  # now it waits for more
        process.send_signal(signal.SIGINT)
        assert process.wait(WITHIN) == 130
        assert process.stderr.read().strip() == ""


def unread(pipe):
    """Return how many bytes in a pipe nobody has read yet."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help(name):
    result = roadside(name, "--help")
    assert result.returncode == 0
    assert result.stderr == ""


def test_the_wishes_of_the_variable_language_hold_for_every_word():
    result = subprocess.run(
        [sys.executable, "-m", "agent", "check", "--help"],
        env={**ENVIRONMENT, "LANG": "en_GB.UTF-8", "LANGUAGE": "th", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=True,
    )
    words = re.sub(r"--?[a-z]+|[A-Z=]{3,}|\S*[./:]\S*|roadside check|exit|gateway.toml", "", result.stdout)
    assert not re.search("[A-Za-z]{4,}", words), words
