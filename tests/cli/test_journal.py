"""`roadside journal` as a process, on journals that are being written, were carried home, or are damaged."""

import asyncio
import csv
import json

import pytest

from agent.readings import AlarmEvent, Anchor, Reading, Stream
from agent.receiver import Receiver
from drivers.contract import Reason
from tests.brokers import mosquitto  # noqa: F401 - a fixture
from tests.cli.roadside import roadside
from tests.journal.conftest import BOOT, bench  # noqa: F401 - a fixture
from tests.system.gateway import Gateway

SECOND = 1_000_000_000
UTC = 1_795_346_000 * SECOND


def journal(verb, bench, *arguments, **options):  # noqa: F811 - the fixture's value
    folders = ("--folder", bench.card.path, "--young", bench.young.path)
    return roadside("journal", verb, *folders, *arguments, **options)


@pytest.fixture
async def filled(bench):  # noqa: F811
    """A journal that is open: some of it is on the card, some in the young end alone."""
    opened = bench.open()
    start = bench.clock.now
    opened.append(Stream.ANCHOR, [Anchor(BOOT, start, UTC, 0.1, "timesyncd")])
    opened.append(Stream.TELEMETRY, [Reading("air-1", "pm2_5", start, 12.5, unit="ug/m3")])
    await opened.commit()
    opened.append(Stream.TELEMETRY, [Reading("level-1", "water_level", start + 2 * SECOND, None, Reason.NO_ECHO)])
    opened.append(Stream.TELEMETRY, [Reading("panic-1", "pressed", start + 3 * SECOND, value=True)])
    event = AlarmEvent("level-1", "flood", start, "c0ffee", raised=True, quantity="water_level", value=2.6)
    opened.append(Stream.ALARM, [event])
    opened.keep("answer", 42)
    return bench


def test_it_shows_what_is_there_and_what_waits(filled):
    result = journal("show", filled)
    assert (result.returncode, result.stderr) == (0, "")
    assert "0000000001.segment" in result.stdout
    assert "0000000001.young" in result.stdout
    assert "numbers 1-3  here: 1-3  3 wait for city" in result.stdout
    assert "kept values: answer" in result.stdout


def test_it_finds_nothing_wrong_while_the_journal_is_written(filled):
    result = journal("verify", filled)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith("nothing is damaged or missing\n")


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


async def test_undated_readings_are_said_to_be(bench):  # noqa: F811
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


def test_damage_is_told_with_its_place_and_an_exit_status(filled):
    [name] = filled.card.names()
    path = filled.card.path / name
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    result = journal("verify", filled)
    assert result.returncode == 2
    assert f"{name}: damaged: " in result.stdout
    assert "something is damaged or missing" in result.stdout
    assert "see roadside journal verify" in journal("export", filled).stderr


def test_a_folder_without_a_journal_is_said_to_be_none_and_is_not_made(tmp_path):
    for folder in (tmp_path, tmp_path / "none"):
        result = roadside("journal", "show", "--folder", folder)
        assert result.returncode == 1
        assert f"{folder}: no journal is here" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_configuration_that_is_named_is_refused(tmp_path):
    file = tmp_path / "gateway.toml"
    file.write_text("[gatway]\n")
    assert roadside("journal", "show", "--config", file).returncode == 78


def test_a_thai_technician_reads_thai(filled):
    result = journal("verify", filled, locale="th_TH.UTF-8")
    assert result.stdout.endswith("ไม่มีสิ่งใดเสียหายหรือขาด\n")


async def test_a_journal_that_an_agent_writes_at_this_moment_is_whole(mosquitto):  # noqa: F811
    async with Gateway(mosquitto().url) as gateway:
        await gateway.go_on("air-1")
        for _ in range(3):
            result = await asyncio.to_thread(roadside, "journal", "verify", "--root", gateway.root)
            assert (result.returncode, result.stderr) == (0, "")
            result = await asyncio.to_thread(roadside, "journal", "export", "--root", gateway.root)
            rows = list(csv.DictReader(result.stdout.splitlines()))
            assert {"air-1", "level-1"} <= {row["device"] for row in rows}
            keys = [(row["epoch"], row["stream"], row["number"]) for row in rows]
            assert len(keys) == len(set(keys))
        await gateway.loses_nothing()
