"""From the field to a test: what a capture holds, what `hil record` makes of it, and how `hil replay` plays it."""

import asyncio
import os
import random
import re
import subprocess
import sys
import tty
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from hil.cabinet import ON_WIRES
from hil.record import scenario
from hil.recorded import CaptureError, Piece, read
from hil.replay import Player
from hil.wires.port import Port
from hil.wires.pty import Pty
from tests.hil.waiting import until

ROOT = Path(__file__).parents[2]
WITHIN = 60  # seconds

LEVEL = """\
# Roadside 0.1.0, level-1 (DYP A02YYUW ...) at /dev/ttyUSB0, 2026-11-22T21:38:56+00:00; recorded
# driver: a02yyuw
# line: 9600 8N1
--set mount_height=5.0 --set 'sum=all'
hex FF 03 9D 9F # 0.6606
hex FF 03 9E A0 # 0.7610
# 3 entries are missing here
hex FF 03 9E # 0.9000
{"quantity": "water_level", "value": 4.075, "unit": "m"}
{"quantity": "water_level", "value": 4.074, "unit": "m"}
{"fault": "truncated", "offset": 8}
{"quantity": "water_level", "value": null, "reason": "no_echo"}
"""


def written(tmp_path, text):
    path = tmp_path / "capture.txt"
    path.write_text(text)
    return path


def hil(*arguments, **more):
    command = [sys.executable, "-m", "hil", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN, check=False, **more)


# --- what stands in a capture -----------------------------------------------------------------------------------------


def test_a_capture_says_whose_it_is_and_holds_bytes_times_and_values(tmp_path):
    capture = read(written(tmp_path, LEVEL))
    assert (capture.device, capture.driver, capture.line) == ("level-1", "a02yyuw", "9600 8N1")
    assert (capture.title, capture.recorded) == ("DYP A02YYUW ...", "2026-11-22T21:38:56+00:00")
    assert capture.settings == {"mount_height": "5.0", "sum": "all"}
    assert capture.pieces[0] == Piece(0.6606, bytes.fromhex("FF039D9F"))
    assert capture.values == [("water_level", 4.075), ("water_level", 4.074)]
    assert (capture.missing, capture.asked) == (3, False)


def test_what_passed_at_once_is_one_piece_and_directions_are_told_apart(tmp_path):
    text = "# driver: x\nhex 01 02 # 0.1000 sent\nhex 03 # 0.1000 sent\nhex 04 # 0.1000\nhex 05 # 0.2000\n"
    capture = read(written(tmp_path, text))
    assert capture.pieces == [Piece(0.1, b"\1\2\3", sent=True), Piece(0.1, b"\4"), Piece(0.2, b"\5")]
    assert capture.asked


def test_values_are_lacking_until_each_has_come_in_its_order(tmp_path):
    capture = read(written(tmp_path, LEVEL))
    assert capture.lacking([]) == capture.values
    assert capture.lacking([("water_level", 4.074), ("water_level", 4.075)]) == [("water_level", 4.074)]
    assert not capture.lacking([("water_level", 4.075), ("water_level", 9.0), ("water_level", 4.074)])


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "holds nothing with its time"),
        ("# driver: x\nhex 01 # 0.1 sent\n", "holds nothing with its time"),
        ("hex 01 # 0.1\n", "does not say '# driver: ...'"),
        ("# driver: x\nhex 01 0 # 0.1\n", "capture.txt:2:"),
        ("# driver: x\nhex 01 # 0.1\n{]\n", "capture.txt:3:"),
    ],
)
def test_what_is_no_capture_is_told_with_its_place(tmp_path, text, why):
    with pytest.raises(CaptureError) as error:
        read(written(tmp_path, text))
    assert why in str(error.value)


# --- playing ----------------------------------------------------------------------------------------------------------


class Wire:
    def __init__(self):
        self.came = []
        self.listeners = []

    def write(self, data):
        self.came.append(data)
        return 0

    def listen(self, heard):
        self.listeners.append(heard)

    def asks(self, data):
        for heard in self.listeners:
            heard(data)


async def test_a_question_gets_its_answers_in_turn_and_one_never_asked_gets_none(tmp_path):
    text = "# driver: x\n" + "".join(
        f"hex {asked} # {at}.0 sent\nhex {answer} # {at}.01\n"
        for at, (asked, answer) in enumerate([("01 02", "AA"), ("03 04", "BB"), ("01 02", "CC")])
    )
    wire = Wire()
    player = Player(wire, read(written(tmp_path, text)), times=10)
    await player.run()
    assert wire.came == []
    for asked, answer in [("01", None), ("02", "AA"), ("05 06", None), ("0304", "BB"), ("0102", "CC"), ("0102", "AA")]:
        before = len(wire.came)
        wire.asks(bytes.fromhex(asked))
        if answer is not None:
            await until(lambda before=before: len(wire.came) > before)
            assert wire.came[-1] == bytes.fromhex(answer)
    assert (len(wire.came), player.answered) == (4, 4)


async def test_replay_makes_a_line_for_whoever_opens_it_and_loses_nothing(tmp_path):
    link = tmp_path / "ttyX"
    capture = written(tmp_path, LEVEL)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hil", "replay", str(capture), str(link), "--speed", "20"), cwd=ROOT
    )
    await until(link.is_symlink, WITHIN)
    came = b""
    with Port(str(link), "9600 8N1") as port:

        def hear(data):
            nonlocal came
            came += data

        port.listen(hear)
        port.write(b"\0")  # a flush or a byte of ours: somebody is there
        assert await asyncio.wait_for(process.wait(), WITHIN) == 0
        await until(lambda: came == b"".join(piece.data for piece in read(capture).pieces))


async def test_replay_plays_to_a_port_that_is_there(tmp_path):
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        done = await asyncio.to_thread(hil, "replay", written(tmp_path, LEVEL), os.ttyname(slave), "--speed", "20")
        assert done.returncode == 0, done.stderr
        assert os.read(master, 100) == b"".join(piece.data for piece in read(tmp_path / "capture.txt").pieces)
    finally:
        os.close(master)
        os.close(slave)


def test_a_port_that_is_none_is_told(tmp_path):
    done = hil("replay", written(tmp_path, LEVEL), tmp_path / "capture.txt")
    assert done.returncode == 1
    assert str(tmp_path / "capture.txt") in done.stderr
    assert "Traceback" not in done.stderr


# --- a scenario -------------------------------------------------------------------------------------------------------


def test_nothing_is_overwritten(tmp_path):
    capture, folder = written(tmp_path, LEVEL), tmp_path / "scenario"
    assert hil("record", capture, folder).returncode == 0
    before = {path: path.read_bytes() for path in folder.iterdir()}
    done = hil("record", capture, folder)
    assert done.returncode == 1
    assert "is there already, and nothing is overwritten" in done.stderr
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_capture_of_which_nothing_was_read_makes_no_scenario(tmp_path):
    with pytest.raises(CaptureError, match="holds no values that could be expected"):
        scenario(written(tmp_path, "# driver: a02yyuw\nhex 01 # 0.1\n"), tmp_path / "scenario")


@asynccontextmanager
async def device(root, model, **properties):
    with Pty(root / "dev/ttyUSB0") as wire:
        made = ON_WIRES[model]("it", wire, random.Random(1), **properties)
        task = asyncio.create_task(made.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait({task})


@pytest.mark.system
@pytest.mark.parametrize(
    ("model", "properties", "settings"),
    [("a02yyuw", {"every": 0.2}, ["mount_height=5.0"]), ("sdm120", {"address": 7}, ["address=7"])],
)
async def test_what_was_recorded_arrives_at_the_city_when_it_is_played_to_a_real_agent(
    tmp_path, model, properties, settings
):
    file, folder = tmp_path / "capture.txt", tmp_path / "scenario"
    given = [word for one in settings for word in ("--set", one)]
    async with device(tmp_path, model, **properties):
        watch = [sys.executable, "-m", "agent", "watch", "--root", str(tmp_path), "--port", "/dev/ttyUSB0", model]
        process = await asyncio.create_subprocess_exec(
            *watch, *given, "--plain", "--record", str(file), "--for", "2", cwd=ROOT, stdout=subprocess.DEVNULL
        )
        assert await asyncio.wait_for(process.wait(), WITHIN) == 0
    assert hil("record", file, folder).returncode == 0
    (test,) = folder.glob("test_*.py")
    quantity, first = read(file).values[0]
    assert re.search(rf"{quantity}: .*{re.escape(repr(first))}", test.read_text("utf-8"))
    options = [
        "-q",
        "-p",
        "no:cacheprovider",
        f"--rig={folder / 'rig.toml'}",
        f"--rootdir={ROOT}",
        "-c",
        "pyproject.toml",
    ]
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "pytest", *options, str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=3 * WITHIN,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr
