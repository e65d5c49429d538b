"""`roadside journal export` as a process."""

import csv
import json
import subprocess

import pytest

from agent.readings import Reading, Stream
from agent.receiver import Receiver
from tests.cli.journal.conftest import journal
from tests.cli.roadside import start


def test_it_exports_a_table(filled):
    result = journal("export", filled)
    rows = list(csv.reader(result.stdout.splitlines()))
    epoch = rows[1][8]
    at = "2026-11-22T11:13:2"
    assert rows == [
        ["utc", "uncertainty", "gateway", "device", "quantity", "value", "unit", "reason", "epoch", "stream", "number"],
        [f"{at}0.000Z", "0.1", "unknown", "air-1", "pm2_5", "12.5", "ug/m3", "", epoch, "telemetry", "1"],
        [f"{at}0.000Z", "0.1", "unknown", "level-1", "water_level:alarm", "raise", "", "flood", epoch, "alarm", "1"],
        [f"{at}2.000Z", "0.1", "unknown", "level-1", "water_level", "", "", "no_echo", epoch, "telemetry", "2"],
        [f"{at}3.000Z", "0.1", "unknown", "panic-1", "pressed", "true", "", "", epoch, "telemetry", "3"],
    ]
    assert result.stderr == "4 readings, 0 of them undated\n"


def test_it_leaves_out_what_is_older(filled):
    result = journal("export", filled, "--since", "2026-11-22T11:13:23")
    assert [row[-1] for row in csv.reader(result.stdout.splitlines())] == ["number", "3"]


def test_it_exports_packs_that_a_receiver_understands(filled, tmp_path):
    out = tmp_path / "out.senml"
    result = journal("export", filled, "--format", "senml", "--out", out)
    assert result.returncode == 0
    lanes = {"telemetry": "history", "alarm": "alarms", "anchor": "anchors", "ledger": "ledger"}
    receiver = Receiver()
    received = []
    for line in out.read_bytes().splitlines():
        lane = lanes[json.loads(line)[0]["stream"]]
        received += receiver.take(f"roadside/v1/unknown/{lane}", line)
    assert sum(one.series.stream == "telemetry" for one in received) == 3
    assert all(one.utc is not None for one in received)
    assert not any(account.missing() or account.doubled for account in receiver.accounts.values())


async def test_undated_readings_are_said_to_be(bench):
    opened = bench.open()
    opened.append(Stream.TELEMETRY, bench.readings(2))
    await opened.commit()
    result = journal("export", bench)
    assert [row[:2] for row in csv.reader(result.stdout.splitlines())][1:] == [["undated", ""]] * 2
    assert result.stderr == "2 readings, 2 of them undated\n"


def test_it_writes_over_no_file_and_not_into_the_journal(filled, tmp_path):
    there = tmp_path / "there"
    there.write_text("mine")
    assert journal("export", filled, "--out", there).returncode == 1
    assert there.read_text() == "mine"
    inside = filled.card.path / "out.csv"
    assert journal("export", filled, "--out", inside).returncode == 2
    assert not inside.exists()


def test_a_table_in_a_file_says_that_it_is_utf_8_for_a_spreadsheet_in_thailand(filled, tmp_path):
    out = tmp_path / "out.csv"
    assert journal("export", filled, "--out", out).returncode == 0
    assert out.read_bytes().startswith(b"\xef\xbb\xbfutc,uncertainty,")
    assert journal("export", filled).stdout.startswith("utc,uncertainty,")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1"])
async def test_a_text_is_no_formula_and_a_negative_number_stays_one(bench, text):
    opened = bench.open()
    opened.append(Stream.TELEMETRY, [Reading("air-1", "model", bench.clock.now, text)])
    opened.append(Stream.TELEMETRY, [Reading("air-1", "temperature", bench.clock.now, -1.5)])
    opened.close_packs()
    rows = list(csv.DictReader(journal("export", bench).stdout.splitlines()))
    assert [row["value"] for row in rows] == ["'" + text, "-1.5"]


def test_a_reader_that_has_enough_is_no_error(filled):
    process = start("journal", "export", "--folder", filled.card.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    with process.stderr:
        assert "Traceback" not in process.stderr.read()
    assert process.wait(30) == 1


@pytest.mark.parametrize("verb", ["export", "show", "verify"])
def test_a_full_disk_behind_standard_output_is_told(filled, verb):
    with open("/dev/full", "w") as full:
        process = start(
            *("journal", verb, "--folder", filled.card.path, "--young", filled.young.path),
            stdout=full,
            stderr=subprocess.PIPE,
        )
        with process.stderr:
            said = process.stderr.read()
    assert process.wait(30) == 1
    assert "what is said cannot be written: No space left on device" in said
    assert "Traceback" not in said


def test_a_loop_of_links_is_told(filled, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for out in (tmp_path / "loop", tmp_path / "loop/out.csv"):
        result = journal("export", filled, "--out", out)
        assert result.returncode == 1
        assert f"{out}: cannot be written" in result.stderr
        assert "Traceback" not in result.stderr


def test_a_file_is_there_when_it_is_whole_and_for_its_owner_alone(filled, tmp_path):
    assert journal("export", filled, "--out", tmp_path / "out.csv").returncode == 0
    assert (tmp_path / "out.csv").stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.glob(".*")] == []


def test_what_could_not_be_read_shows_in_the_exit_status(filled):
    with (filled.card.path / "0000000009.segment").open("wb") as file:
        file.truncate(1 << 40)  # more than any file of ours
    result = journal("export", filled)
    assert result.returncode == 2
    assert "see roadside journal verify" in result.stderr
    assert "air-1" in result.stdout
