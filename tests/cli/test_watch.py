"""`roadside watch` of a port without an agent: what it shows, and what it records."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
from contextlib import asynccontextmanager
from io import StringIO

import pytest
from rich.console import Console

from agent import decoding, recording
from agent.commands.view import Moment, Table, line, sparkline
from agent.watching import KEPT, KEPT_BYTES, TOGETHER, Backlog
from drivers import registry
from hil import recorded
from hil.cabinet import ON_WIRES
from hil.replay import Player
from hil.wires.pty import Pty
from tests.cli.roadside import ENVIRONMENT, roadside
from tests.drivers import recordings as harness

WITHIN = 20  # seconds
PORT = "/dev/ttyUSB0"
MOMENT = Moment(100.0, 1_700_000_000.0)


@asynccontextmanager
async def device(root, model, **settings):
    """Yield the wire of a simulated device."""
    with Pty(root / PORT.lstrip("/")) as wire:
        life = asyncio.create_task(ON_WIRES[model]("x", wire, random.Random(1), **settings).run())
        try:
            yield wire
        finally:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)


async def start(root, *arguments):
    """Start watching the port."""
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "agent", "watch", "--root", str(root), "--port", PORT, *map(str, arguments)),
        env=ENVIRONMENT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def seen(process, *, ended_by=signal.SIGINT, lines=8):
    """Wait for some lines, end it, and return all that it printed, its complaints and its exit status."""
    async with asyncio.timeout(WITHIN):
        first = [await process.stdout.readline() for _ in range(lines)]
        process.send_signal(ended_by)
        rest, complaints = await process.communicate()
    return (b"".join(first) + rest).decode().splitlines(), complaints.decode(), process.returncode


def decoded(file, driver):
    """Return what the harness of the recordings expects of a file, and what it makes of it."""
    (one,) = recording.recordings(file.read_text())
    made = harness.Recording("x", driver, one.head, one.given, one.played_on, one.data, one.expected)
    return made.expected, made.lines()


async def test_values_and_bytes_are_shown_line_by_line(tmp_path):
    async with device(tmp_path, "a02yyuw", every=0.1):
        lines, complaints, status = await seen(await start(tmp_path, "a02yyuw", "--raw", "--set", "mount_height=5.0"))
    assert (complaints, status) == ("", 0)
    said = [line.split(" ", 1)[1] for line in lines]
    assert any(line.startswith("a02yyuw < FF ") for line in said)
    assert any(line.startswith("a02yyuw water_level ") and line.endswith(" m") for line in said)


async def test_without_raw_no_bytes_are_shown_and_it_may_end_by_itself(tmp_path):
    async with device(tmp_path, "a02yyuw", every=0.1):
        process = await start(tmp_path, "a02yyuw", "--for", "1.0")
        async with asyncio.timeout(WITHIN):
            printed, _ = await process.communicate()
    assert process.returncode == 0
    assert all(b"water_distance" in line for line in printed.splitlines())
    assert printed


async def test_faults_are_shown(tmp_path):
    with Pty(tmp_path / "dev/ttyUSB0") as wire:
        process = await start(tmp_path, "a02yyuw")
        while not wire.heard:
            await asyncio.sleep(0.02)
            wire.write(b"")
        wire.write(bytes.fromhex("FF 03 9D 9E FF 03 9D 9F"))
        lines, _, _ = await seen(process, lines=2)
    assert lines[0].endswith("a02yyuw bad data: checksum (ff 03 9d 9e)")
    assert lines[1].endswith("a02yyuw water_distance 0.925 m")


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
async def test_a_recording_is_whole_however_it_is_ended_and_is_what_a_test_takes(tmp_path, ended_by):
    file = tmp_path / "level.txt"
    async with device(tmp_path, "a02yyuw", every=0.1):
        process = await start(tmp_path, "a02yyuw", "--record", file, "--set", "mount_height=5.0")
        _, _, status = await seen(process, ended_by=ended_by)
    assert status == 0
    expected, made = decoded(file, "a02yyuw")
    assert expected == made != []
    (one,) = recording.recordings(file.read_text())
    assert one.facts == {"driver": "a02yyuw", "line": "9600 8N1"}
    assert one.given == {"mount_height": "5.0"}
    times = [piece.at for piece in one.pieces]
    assert times == sorted(times)


async def test_what_was_asked_is_in_the_recording_and_decode_reads_it_by_itself(tmp_path):
    file = tmp_path / "meter.txt"
    async with device(tmp_path, "sdm120", address=7):
        await seen(await start(tmp_path, "sdm120", "--record", file, "--set", "address=7"))
    (one,) = recording.recordings(file.read_text())
    assert {piece.sent for piece in one.pieces} == {True, False}
    done = roadside("decode", "--recording", file)
    assert (done.returncode, done.stdout.splitlines()) == (0, one.expected)
    assert '"quantity": "voltage"' in done.stdout


async def test_hil_plays_a_recording_as_it_came(tmp_path):
    file = tmp_path / "level.txt"
    async with device(tmp_path, "a02yyuw", every=0.1):
        await seen(await start(tmp_path, "a02yyuw", "--record", file))
    pieces = recorded.read(file).pieces
    (one,) = recording.recordings(file.read_text())
    assert [piece.data for piece in pieces] == [piece.data for piece in one.pieces]
    loop = asyncio.get_running_loop()

    class Wire:
        def __init__(self):
            self.came = []

        def write(self, data):
            self.came.append((loop.time(), data))

    wire, began = Wire(), loop.time()
    await Player(wire, recorded.read(file), times=2.0).run()
    assert wire.came[-1][0] - began >= (pieces[-1].at - pieces[0].at) / 2
    assert b"".join(data for _, data in wire.came) == one.data


async def test_a_recording_that_is_there_is_not_overwritten(tmp_path):
    file = tmp_path / "level.txt"
    file.write_text("precious")
    done = roadside("watch", "--root", tmp_path, "--port", PORT, "a02yyuw", "--record", file)
    assert (done.returncode, file.read_text()) == (1, "precious")
    assert "cannot be written: File exists" in done.stderr


def test_of_a_port_that_cannot_be_opened_nothing_is_left(tmp_path):
    done = roadside("watch", "--root", tmp_path, "--port", PORT, "a02yyuw", "--record", tmp_path / "level.txt")
    assert (done.returncode, "/dev/ttyUSB0 is not there" in done.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (("--port", PORT), 2, "name the driver of what is at /dev/ttyUSB0"),
        (("--port", PORT, "button"), 2, "'button' is at no serial line"),
        (("--port", PORT, "plantowr"), 78, "did you mean 'plantower'?"),
        (("--port", PORT, "a02yyuw", "--set", "nearest=99"), 78, "10"),
        (("--port", PORT, "a02yyuw", "--line", "fast"), 78, "must be line settings such as '9600 8N1'"),
        (("--record", "x.txt"), 2, "name the one device that is to be recorded"),
        (("--line", "9600 8N1"), 2, "--line and --set are for --port alone"),
        ((), 1, "no agent is running here; is the service started?"),
    ],
)
def test_what_cannot_be_watched(tmp_path, arguments, status, complaint):
    done = roadside("watch", "--root", tmp_path, *arguments)
    assert (done.returncode, complaint in done.stderr) == (status, True), done.stderr


# --- recordings -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("# driver: a02yyuw\nhex FF 0X", "line 2: 'hex FF 0X'"),
        ("# driver: a02yyuw\n\nblob 00", "line 3: 'blob 00': is neither a comment"),
        ("--sit x=1\nhex FF", "line 1: '--sit x=1': is no option of a recording"),
        ("hex FF", "does not say its driver: name a DRIVER"),
    ],
)
def test_what_is_no_recording_is_told_with_its_line(tmp_path, text, complaint):
    file = tmp_path / "x.txt"
    file.write_text(text)
    done = roadside("decode", "--recording", file)
    assert done.returncode in {2, 65}
    assert complaint in done.stderr


def test_decode_reads_the_recordings_of_the_tests_when_it_is_told_the_driver():
    file = harness.FOLDER / "tfmini.txt"
    done = roadside("decode", "--recording", file, "tfmini")
    assert done.stdout.splitlines() == [line for one in harness.recordings("tfmini") for line in one.expected]


@pytest.mark.parametrize(
    ("driver", "given"),
    [
        ("a02yyuw", {"mount_height": "5.0", "sum": "data"}),
        ("maxbotix", {"model": '"5 m"'}),
        ("wxt53x", {"address": '"3"', "ask": "nothing"}),
        ("line", {"pattern": '"x=(?P<rain>.+)"'}),
        ("line", {"json": '{ rain = "a.b" }'}),
        ("sdm120", {"address": "7", "words": '"low first"'}),
    ],
)
def test_settings_are_written_as_they_are_read(driver, given):
    loaded = registry.load(driver)
    settings = decoding.settings(loaded, given)
    assert recording.given(settings) == given
    assert decoding.settings(loaded, recording.given(settings)) == settings
    text = "\n".join([*recording.head("x", driver, "9600 8N1", given), "hex 00"])
    (one,) = recording.recordings(text)
    assert one.given == given


# --- the view ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "bars"),
    [([0, 7], "▁█"), ([1, None, 2, 3], "▁ ▅█"), ([4, 4, 4], "▁▁▁"), ([], ""), ([None], " "), ([-1.5, 1.5], "▁█")],
)
def test_sparklines(values, bars):
    assert sparkline(values) == bars


def test_what_a_device_says_plays_no_tricks_with_the_terminal():
    entry = {"at": 101.5, "device": "line-1", "quantity": "state", "value": "\x1b[2Jok", "unit": "", "reason": None}
    assert "\x1b" not in line(entry, MOMENT)
    table = Table({"line-1": {"driver": "line"}}, MOMENT)
    table.take([entry], 0)
    console = Console(record=True, width=100, file=StringIO())
    console.print(table.rendered())
    shown = console.export_text()
    assert "\x1b" not in shown
    assert "[2Jok" in shown


async def test_who_reads_slowly_misses_the_oldest_and_is_told_how_many():
    backlog = Backlog()
    for number in range(KEPT + 5):
        backlog.add({"n": number})
    answer = await backlog.take()
    assert (answer["missed"], len(answer["entries"]), answer["entries"][0]) == (5, TOGETHER, {"n": 5})
    assert (await backlog.take())["missed"] == 0


async def test_bytes_are_kept_within_bounds_too():
    backlog = Backlog()
    for _ in range(100):
        backlog.add({"hex": "00 " * 4096})
    answer = await backlog.take()
    assert sum(len(entry["hex"]) for entry in answer["entries"]) <= KEPT_BYTES
    assert answer["missed"] + len(answer["entries"]) == 100
