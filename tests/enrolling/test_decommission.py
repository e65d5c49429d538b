"""A gateway that is taken down keeps nothing: the real agent leaves a journal, and what is exported is all of it."""

import csv
import os
import pty
import subprocess
import sys

import pytest

from agent.enrolling.shredding import shred, shred_below
from tests.cli.roadside import ENVIRONMENT, roadside
from tests.system.gateway import Gateway

SECRET = b"a secret of the city"


@pytest.fixture
def gateway(tmp_path):
    """A root with what an enrolled gateway has, but for a journal."""
    root = tmp_path / "root"
    for name, data in {
        "etc/roadside/gateway.toml": b'[gateway]\nid = "pkt-0042"\n',
        "etc/roadside/claim": SECRET,
        "etc/roadside/credentials/password": SECRET,
        "var/lib/roadside/identity/5f0c/gateway.key": SECRET,
        "var/lib/roadside/journal/0000000001.segment": b"readings",
        "etc/NetworkManager/system-connections/roadside-karon.nmconnection": SECRET,
        "etc/NetworkManager/system-connections/cable.nmconnection": b"of somebody else",
        "boot/firmware/roadside/claim": SECRET,
        "boot/firmware/config.txt": b"enable_uart=1\n",
        "opt/roadside/current": b"",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)
    (root / "var/lib/roadside/identity/current").symlink_to("5f0c")
    return root


def left(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file() or path.is_symlink())


def test_secrets_settings_and_readings_are_gone_and_the_system_stays(gateway, tmp_path):
    witnesses = []
    for number, path in enumerate(path for path in gateway.rglob("*") if path.is_file() and b"ec" in path.read_bytes()):
        witnesses.append(tmp_path / f"witness-{number}")
        witnesses[-1].hardlink_to(path)  # sees what is in the same blocks
    done = roadside("decommission", "--no-export", "--yes", "--root", gateway)
    assert done.returncode == 0, done.stderr
    assert "roadside enrol revoke pkt-0042 --because decommissioned" in done.stdout
    assert left(gateway) == [
        "boot/firmware/config.txt", "etc/NetworkManager/system-connections/cable.nmconnection", "opt/roadside/current",
    ]  # fmt: skip
    assert witnesses
    assert all(SECRET not in path.read_bytes() for path in witnesses)


def test_called_again_it_finds_nothing_and_is_content(gateway):
    for _ in range(2):
        assert roadside("decommission", "--no-export", "--yes", "--root", gateway).returncode == 0


def test_a_root_that_is_none_is_not_said_to_be_wiped(tmp_path):
    done = roadside("decommission", "--no-export", "--yes", "--root", tmp_path / "mistyped")
    assert (done.returncode, done.stdout) == (1, "")
    assert "is no root partition" in done.stderr
    assert not (tmp_path / "mistyped").exists()


def test_it_must_be_told_where_the_readings_go(gateway):
    before = left(gateway)
    assert "--no-export" in roadside("decommission", "--yes", "--root", gateway).stderr
    inside = gateway / "var/lib/roadside/out.csv"
    assert "another disk" in roadside("decommission", "--yes", "--root", gateway, "--export", inside).stderr
    assert left(gateway) == before


def test_when_the_readings_cannot_be_written_nothing_is_wiped(gateway, tmp_path):
    before = left(gateway)
    done = roadside("decommission", "--yes", "--root", gateway, "--export", tmp_path / "no/such/folder.csv")
    assert done.returncode != 0
    assert [name for name in left(gateway) if "agent.lock" not in name] == before


def test_it_asks_and_no_is_no(gateway):
    before = left(gateway)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "agent", "decommission", "--no-export", "--root", gateway],
        stdin=theirs, stdout=theirs, env=ENVIRONMENT,
    ) as process:  # fmt: skip
        os.write(ours, b"n\n")
    for descriptor in (ours, theirs):
        os.close(descriptor)
    assert process.returncode == 130
    assert left(gateway) == before


@pytest.mark.system
async def test_all_readings_are_written_out_first(broker, tmp_path):
    async with Gateway(broker.url) as gateway:
        await gateway.go_on("air-1")
        refused = roadside("decommission", "--no-export", "--yes", "--root", gateway.root)
        assert refused.returncode == 75
        assert "is running" in refused.stderr
        await gateway.loses_nothing()
        arrived = {one.value for one in gateway.city.received if one.gateway == gateway.id and one.device == "air-1"}
        out = tmp_path / "readings.csv"
        done = roadside("decommission", "--export", out, "--yes", "--root", gateway.root)
        assert done.returncode == 0, done.stderr
        with out.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
        assert {row["device"] for row in rows} >= {"air-1"}
        assert arrived
        assert not (gateway.root / "var/lib/roadside").exists()


def test_a_link_is_removed_and_what_it_leads_to_stays(tmp_path):
    (tmp_path / "precious").write_bytes(b"precious")
    folder = tmp_path / "wiped"
    folder.mkdir()
    (folder / "link").symlink_to(tmp_path / "precious")
    (folder / "upwards").symlink_to(tmp_path)
    os.mkfifo(folder / "fifo")
    assert shred_below(folder) == 3
    assert (tmp_path / "precious").read_bytes() == b"precious"
    assert not folder.exists()


def test_a_large_file_is_overwritten_to_its_end(tmp_path):
    path, witness = tmp_path / "large", tmp_path / "witness"
    path.write_bytes(b"x" * (3 << 20) + SECRET)
    descriptor = os.open(path, os.O_RDONLY)
    witness.hardlink_to(path)
    shred(path)
    os.close(descriptor)
    assert not path.exists()
    assert witness.read_bytes() == b""
