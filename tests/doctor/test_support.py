"""The package for the workshop: what is in it, and that no secret is, wherever one was planted."""

import asyncio
import io
import json
import tarfile
from dataclasses import replace

import pytest

from agent.doctor import secrets
from agent.doctor.examine import examine
from agent.doctor.support import pack
from agent.readings import LedgerEntry, Stream
from tests.cli.roadside import roadside
from tests.doctor.tree import CONFIGURATION, NOW
from tests.journal.conftest import bench  # noqa: F401 - a fixture

PEM = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgplanted-in-a-key-f1
-----END PRIVATE KEY-----
"""
USER_DATA = """\
users:
- name: pi
  passwd: $6$salt$planted.in.user.data
  plain_text_passwd: 'planted-in-user-data'
"""
NETWORK = """\
wifis:
  wlan0:
    access-points:
      city:
        password: planted-in-network-config
"""
CONFIG = CONFIGURATION.replace(
    'url = "mqtt://127.0.0.1:1"',
    """url = "mqtts://localhost:1"  # the old password was planted-in-a-comment
username = "pkt-0042"
password_credential = "roadside_password"
certificate_file = "/etc/roadside/gateway.pem"
key_file = "/etc/roadside/gateway.key"
""",
)
PLANTED = {
    "etc/roadside/credentials/password": "planted in a credential ü\n",
    "etc/roadside/gateway.key": PEM,
    "etc/roadside/old.password": "planted-in-an-old-password\n",
    "etc/roadside/enrolment.claim": "planted-in-a-claim\n",
    "etc/roadside/gateway.toml": CONFIG,
    "etc/NetworkManager/system-connections/city.nmconnection": "[wifi-security]\npsk=planted-in-network-manager\n",
    "etc/wpa_supplicant/wpa_supplicant.conf": 'network={\n  ssid="city"\n  psk="planted in wpa supplicant"\n}\n',
    "etc/shadow": "pi:$6$salt$planted/in/shadow.1:20000:0:99999:7:::\n",
    "boot/firmware/user-data": USER_DATA,
    "boot/firmware/network-config": NETWORK,
    "boot/firmware/firstrun.sh": "#!/bin/sh\nPSK=planted-in-firstrun\n",
    "boot/firmware/config.txt": "enable_uart=1\ndtoverlay=disable-bt\n# api_key: planted-in-config-txt\n",
    "boot/firmware/cmdline.txt": "console=tty1 wifi.psk=planted-in-cmdline rootwait\n",
    "boot/firmware/roadside-log.txt": "claim=planted-in-a-boot-log\nDone: planted in a boot credential\n",
    "boot/firmware/roadside/credentials/password": "planted in a boot credential\n",
    "boot/firmware/roadside/claim": "planted-in-a-boot-claim\n",
    "var/lib/roadside/tls/gateway.key": PEM.replace("f1", "f2"),
}
LOG = """\
link_down broker=city message=login with 'planted in a credential ü' refused
url mqtts://pkt-0042:planted-in-an-address@broker.example:8883
Authorization: Bearer planted-in-a-header
{"token": "planted-in-json", "next": 1}
planted-in-an-old-password was tried; wifi wants planted-in-network-manager; $6$salt$planted.in.user.data
""" + PEM.replace("f1", "f3")


def members(data):
    """Return the texts of a package by their names."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:xz") as archive:
        return {one.name: archive.extractfile(one).read().decode() for one in archive}


def packed(site):
    return pack(site, list(examine(site)), ["ok"])


@pytest.fixture
def planted(tree):
    for name, text in PLANTED.items():
        tree.write(name, text)
    tree.systemd.dmesg = LOG
    message = "refused: planted in a credential ü"
    uplink = {"state": "connecting", "fault": "refused_login", "message": message, "broker": "localhost:1"}
    uplink |= {"acked": 0, "refused": {}, "certificates": {}}
    tree.status = {"version": "0", "devices": {}, "clock": {}, "journal": {"faults": {}}, "uplinks": {"city": uplink}}
    return tree


@pytest.mark.parametrize("live", [True, False], ids=["on the gateway", "from its card"])
def test_no_secret_is_in_it_wherever_one_was_planted(planted, live):
    site = planted.site() if live else replace(planted.card(), status=planted.status)
    assert site.config is not None
    texts = members(packed(site).data)
    assert len(texts) > 8
    assert {name: text[text.find("planted") - 40 :][:80] for name, text in texts.items() if "planted" in text} == {}


@pytest.mark.parametrize(
    "line",
    [
        'password = "planted"',
        'password_file = "planted"',
        'url = "mqtt://pkt-0042:planted@broker.example"',
        'url = "mqtt://broker.example/?token=planted"',
        'nonsense = { deep = ["planted"] }',
        "= planted",
    ],
)
def test_nor_what_somebody_wrote_into_the_wrong_place(tree, line):
    text = CONFIGURATION.replace('url = "mqtt://127.0.0.1:1"', line)
    tree.write("etc/roadside/gateway.toml", text + '\n[devices.air-1.extra]\nkey = "planted"\n')
    texts = members(packed(tree.site()).data)
    assert {name for name, text in texts.items() if "planted" in text} == set()


def test_what_the_workshop_needs_is_in_it(planted):
    texts = members(packed(planted.site()).data)
    assert set(texts) == {
        f"support/{name}"
        for name in (
            "CONTENTS.txt", "boot/cmdline.txt", "boot/config.txt", "boot/roadside-log.txt", "configuration.json",
            "doctor.json", "doctor.txt", "health.json", "kernel.log", "ledger.jsonl", "roadside.log", "versions.txt",
        )
    }  # fmt: skip
    configuration = json.loads(texts["support/configuration.json"])
    assert configuration["devices"]["air-1"] == {"driver": "plantower", "port": "/dev/ttyAMA0"}
    assert "password_credential" in configuration["uplinks"]["city"]
    assert json.loads(texts["support/health.json"])["uplinks"]["city"]["fault"] == "refused_login"
    assert "enable_uart=1" in texts["support/boot/config.txt"]
    assert "link_down broker=city" in texts["support/roadside.log"]


def test_it_says_what_is_in_it_and_what_was_left_out(planted):
    package = packed(planted.site())
    told = members(package.data)["support/CONTENTS.txt"]
    assert told.splitlines() == package.contents
    for name in PLANTED:
        if name.endswith((".key", "password", "claim", "user-data", "network-config", "shadow", ".nmconnection")):
            assert name.removeprefix("boot/firmware/") in told
    for name in members(package.data):
        assert name.removeprefix("support/") in told or name.endswith("CONTENTS.txt")


def test_the_ledger_is_in_it_and_readings_are_not(tree, bench):  # noqa: F811
    async def keep():
        opened = bench.open()
        entry = LedgerEntry(bench.clock.now, "dropped", "quota", 3, stream="telemetry", epoch="e", first=1, last=3)
        opened.append(Stream.LEDGER, [entry])
        await opened.commit()

    asyncio.run(keep())
    bench.card.path.rename(tree.root / "var/lib/roadside/journal")
    (line,) = members(packed(tree.site()).data)["support/ledger.jsonl"].splitlines()
    entry = json.loads(line)
    assert (entry["n"], entry["why"], entry["count"]) == ("dropped", "quota", 3)


def test_the_same_gateway_at_the_same_moment_gives_the_same_bytes(planted):
    site = planted.site()
    found = list(examine(site))
    first, second = (pack(site, found, ["ok"]) for _again in range(2))
    assert first.data == second.data
    with tarfile.open(fileobj=io.BytesIO(first.data), mode="r:xz") as archive:
        assert {(one.mtime, one.uid, one.mode) for one in archive} == {(NOW // 10**9, 0, 0o644)}


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("password=abc next", "password=(taken out) next"),
        ('"wifi_psk": "a b", "x": 1', '"wifi_psk": (taken out), "x": 1'),
        ("password_file = /etc/roadside/city.password", "password_file = /etc/roadside/city.password"),
        ("token_id: 7 compass: 120", "token_id: (taken out) compass: 120"),
        ("mqtt://a:b@c", "mqtt://(taken out)@c"),
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text, rest):
    assert secrets.Secrets().scrub(text) == rest


def test_the_command_writes_one_file_and_overwrites_none(planted, tmp_path):
    to = tmp_path / "support.tar.xz"
    done = roadside("support", "--card", planted.root, "--to", to)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[0] == "In this package:"
    assert to.stat().st_mode & 0o007 == 0
    assert "planted" not in "".join(members(to.read_bytes()).values())
    again = roadside("support", "--card", planted.root, "--to", to)
    assert (again.returncode, "exists already" in again.stderr) == (1, True)
