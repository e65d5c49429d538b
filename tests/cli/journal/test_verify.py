"""`roadside journal verify` as a process, on journals that are whole, damaged, or being written."""

import asyncio
import csv
import re

from agent.journal.frames import Kind, frame
from agent.journal.pack import Lane
from agent.readings import Stream
from tests.brokers import mosquitto  # noqa: F401 - a fixture
from tests.cli.journal.conftest import journal
from tests.cli.roadside import roadside
from tests.journal.conftest import bench  # noqa: F401 - a fixture
from tests.journal.packs import drain
from tests.system.gateway import Gateway


def test_it_finds_nothing_wrong_while_the_journal_is_written(filled):
    result = journal("verify", filled)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.endswith("nothing is damaged or missing\n")
    assert "numbers 1-3: 3 here, 0 delivered earlier, missing: none\n" in result.stdout


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


def test_records_of_a_newer_version_are_not_passed_over(filled):
    [name] = filled.card.names()
    newer = frame(max(Kind) + 1, b"what nobody knows yet")
    with (filled.card.path / name).open("ab") as file:
        file.write(newer)
    result = journal("verify", filled)
    assert result.returncode == 2
    assert f"{name}: 1 records are of a kind that this version does not know" in result.stdout


async def test_what_was_delivered_is_told_apart_from_what_is_missing(bench):  # noqa: F811 - the fixture's value
    opened = bench.open()
    opened.append(Stream.TELEMETRY, bench.readings(5))
    opened.close_packs()
    outbox = opened.outbox("city")
    for pack in drain(outbox, Lane.LIVE) + drain(outbox):
        outbox.done(pack)
    opened.append(Stream.TELEMETRY, bench.readings(2))
    await opened.commit()
    bench.let_go()
    bench.power_cut()
    said = journal("verify", bench).stdout
    assert re.search(r"telemetry \(epoch .*\), numbers 1-7: 2 here, 5 delivered earlier, missing: none\n", said)
