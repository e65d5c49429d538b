"""`roadside journal import` as a process: what it brings, and when it refuses."""

import os
import re
import shutil
import tarfile
from contextlib import closing

import pytest

from agent.host.disk import ReadOnlyFolder
from agent.host.lock import held
from agent.journal.frames import Kind, frame
from agent.journal.inspect import look
from agent.readings import Stream
from tests.cli.roadside import roadside
from tests.journal.conftest import bench  # noqa: F401 - a fixture

CONFIGURATION = """
[gateway]
id = "pkt-0042"

[uplinks.city]
url = "mqtt://127.0.0.1:1883"

[journal]
reserve = 0

[devices.air-1]
driver = "plantower"
port = "/dev/ttyAMA0"
"""


@pytest.fixture
def root(tmp_path):
    """The replacement, as it is before its agent has ever run."""
    root = tmp_path / "replacement"
    configuration = root / "etc/roadside/gateway.toml"
    configuration.parent.mkdir(parents=True)
    configuration.write_text(CONFIGURATION)
    return root


@pytest.fixture
async def broken(bench):  # noqa: F811 - the fixture's value
    """A journal with ten readings on its card and two more in its young end."""
    journal = bench.open()
    journal.keep("gateway", "pkt-0042")
    journal.append(Stream.TELEMETRY, bench.readings(10))
    await journal.commit()
    journal.append(Stream.TELEMETRY, bench.readings(2))
    bench.let_go()
    return bench


def bring(root, source, *arguments, **options):
    return roadside("journal", "import", source, "--root", root, *arguments, **options)


async def test_what_it_says_is_for_people_alone(root, broken):
    done = bring(root, broken.card.path)
    assert done.returncode == 0
    assert "journal_" not in done.stdout + done.stderr


def telemetry(root):
    """Return how many readings wait in a root, and how many ledger entries."""
    young = root / "run/roadside/young"
    found = look(ReadOnlyFolder(young), ReadOnlyFolder(root / "var/lib/roadside/journal"))
    assert found.is_whole()
    return [
        sum(found.waiting("city", key) for key in found.numbered() if key[1] is stream)
        for stream in (Stream.TELEMETRY, Stream.LEDGER)
    ]


def test_a_card_is_brought_and_the_ledger_says_what_the_power_took(root, broken):
    result = bring(root, broken.card.path)
    assert result.returncode == 0, result.stderr
    assert "10 readings brought" in result.stdout
    assert re.fullmatch(
        r"epoch [0-9a-f]{16}: the power took what came after alarm 0, telemetry 10, anchor 0, ledger 0\n", result.stderr
    )
    assert telemetry(root) == [10, len(Stream)]


def test_a_second_time_brings_nothing(root, broken):
    assert bring(root, broken.card.path).returncode == 0
    before = telemetry(root)
    result = bring(root, broken.card.path)
    assert (result.returncode, result.stdout) == (0, "nothing to bring: all of it is here, or has been sent\n")
    assert telemetry(root) == before


def test_a_whole_root_comes_with_its_young_end(root, broken, tmp_path):
    shutil.copytree(broken.card.path, tmp_path / "old/var/lib/roadside/journal")
    shutil.copytree(broken.young.path, tmp_path / "old/run/roadside/young")
    result = bring(root, tmp_path / "old")
    assert "12 readings brought" in result.stdout
    assert telemetry(root) == [12, 0]


def test_an_archive_is_as_good_as_a_card(root, broken, tmp_path):
    archive = tmp_path / "pkt-0042.tar.gz"
    with closing(tarfile.open(archive, "w:gz")) as tar:
        tar.add(broken.card.path, "var/lib/roadside/journal")
        tar.add(broken.young.path, "run/roadside/young")
    assert "12 readings brought" in bring(root, archive).stdout
    assert telemetry(root) == [12, 0]


def test_what_is_no_archive_or_cut_is_said_to_be(root, broken, tmp_path):
    archive = tmp_path / "pkt-0042.tar.gz"
    archive.write_bytes(b"no archive")
    result = bring(root, archive)
    assert result.returncode == 1
    assert f"{archive}: cannot be read" in result.stderr
    with closing(tarfile.open(archive, "w:gz")) as tar:
        tar.add(broken.card.path)
    archive.write_bytes(archive.read_bytes()[:100])
    result = bring(root, archive)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr


def test_an_archive_of_two_journals_is_refused(root, broken, tmp_path):
    archive = tmp_path / "both.tar"
    with closing(tarfile.open(archive, "w")) as tar:
        tar.add(broken.card.path, "one")
        tar.add(broken.card.path, "two")
    result = bring(root, archive)
    assert result.returncode == 1
    assert "pack one journal at a time" in result.stderr


def test_it_waits_for_no_agent_that_runs(root, broken):
    with held(root / "var/lib/roadside"):
        result = bring(root, broken.card.path)
    assert result.returncode == 75
    assert "the agent is running" in result.stderr
    assert not (root / "var/lib/roadside/journal").exists()


def test_the_journal_of_another_gateway_is_refused_and_what_to_do_is_said(root, broken):
    file = root / "etc/roadside/gateway.toml"
    file.write_text(CONFIGURATION.replace("pkt-0042", "pkt-0043"))
    result = bring(root, broken.card.path)
    assert result.returncode == 1
    assert "the journal of the gateway pkt-0042, and this one is pkt-0043" in result.stderr
    assert not (root / "var/lib/roadside").exists()


def test_an_uplink_that_is_called_otherwise_here_is_told(root, broken):
    file = root / "etc/roadside/gateway.toml"
    file.write_text(CONFIGURATION.replace("uplinks.city", "uplinks.province"))
    result = bring(root, broken.card.path)
    assert "the uplink city is not in this configuration" in result.stderr
    assert "the uplink province is new here" in result.stderr
    assert "10 readings brought" in result.stdout


def test_its_own_journal_is_refused(root, broken):
    assert bring(root, broken.card.path).returncode == 0
    result = bring(root, root / "var/lib/roadside/journal")
    assert result.returncode == 1
    assert "is the journal of this gateway itself" in result.stderr


def test_a_copy_of_its_own_journal_is_refused_also_after_a_reboot(root, broken, tmp_path):
    assert bring(root, broken.card.path).returncode == 0
    shutil.copytree(root / "var/lib/roadside/journal", tmp_path / "copy")
    shutil.rmtree(root / "run/roadside/young")  # the power was cut: another epoch begins
    result = bring(root, tmp_path / "copy")
    assert result.returncode == 1
    assert "this is a copy of the journal of this gateway itself" in result.stderr
    assert telemetry(root)[0] == 10


def test_whose_journal_it_is_is_known_before_an_agent_has_run_on_the_replacement(root, broken):
    assert bring(root, broken.card.path).returncode == 0
    (root / "etc/roadside/gateway.toml").unlink()
    assert "gateway: pkt-0042\n" in roadside("journal", "show", "--root", root).stdout


def test_a_folder_without_a_journal_is_said_to_be_none(root, tmp_path):
    (tmp_path / "empty").mkdir()
    result = bring(root, tmp_path / "empty")
    assert result.returncode == 1
    assert "no journal is here; it is in the folder var/lib/roadside/journal" in result.stderr


def test_what_a_newer_version_wrote_is_refused(root, broken):
    with (broken.card.path / broken.card.names()[-1]).open("ab") as file:
        file.write(frame(max(Kind) + 1, b"what nobody knows yet"))
    result = bring(root, broken.card.path)
    assert result.returncode == 1
    assert "a newer roadside wrote this" in result.stderr


def test_no_room_is_said_before_anything_is_brought(root, broken):
    file = root / "etc/roadside/gateway.toml"
    file.write_text(CONFIGURATION.replace("reserve = 0", f"reserve = {1 << 60}"))
    result = bring(root, broken.card.path)
    assert result.returncode == 1
    assert re.search(r"there is no room: 0\.\d KiB are to be brought, and 0\.0 KiB are left", result.stderr)
    assert telemetry(root)[0] == 0


def test_a_thai_technician_reads_thai(root, broken):
    assert "นำมาแล้ว 10 ค่า" in bring(root, broken.card.path, locale="th_TH.UTF-8").stdout


def test_what_has_no_end_is_refused(root, tmp_path):
    for source in ("/dev/zero", tmp_path / "fifo"):
        if source != "/dev/zero":
            os.mkfifo(source)
        result = bring(root, source)
        assert result.returncode == 1
        assert f"{source}: is neither a folder nor a file" in result.stderr


def test_a_damaged_archive_is_said_to_be_in_thai(root, broken, tmp_path):
    archive = tmp_path / "pkt-0042.tar.xz"
    with closing(tarfile.open(archive, "w:xz")) as tar:
        tar.add(broken.card.path)
    data = bytearray(archive.read_bytes())
    data[24] ^= 0xFF  # behind the headers of the stream and of its block: nothing can be read
    archive.write_bytes(data)
    result = bring(root, archive, locale="th_TH.UTF-8")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "เสียหาย" in result.stderr
    assert "method" not in result.stderr
