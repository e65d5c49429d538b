"""The whole way of an update on the real systemd: made, signed, checked apart, installed, tried, and back."""

import json
import shutil
import time

import pytest

from agent.updating import bundle, confined, signing
from agent.updating.targets import TARGETS, here
from hil.install import RELEASE
from tests.systemd.test_trial import judged
from tests.updating.checkouts import checkout, installed_wheels

ROADSIDE = "/opt/roadside/current/bin/roadside"
DAYS = 365.0
SLOW = 300.0  # seconds for an installation on a machine that is busy: most of it is compiling
ATTEMPT = """
import os, socket

def can(what):
    try:
        what()
    except OSError:
        return False
    return True

own = os.environ["STATE_DIRECTORY"] + "/x"
print(
    os.getuid() != 0,
    can(lambda: open("/opt/x", "w")),
    can(lambda: os.listdir("/etc/roadside/credentials")),
    can(lambda: open(own, "w")),
    can(lambda: socket.socket(socket.AF_INET)),
)
"""
WEB = ("/usr/bin/python3", "-m", "http.server", "--directory=/root", "--bind=127.0.0.1", "8000")
ASK = ("/usr/bin/python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000')")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("releases")


@pytest.fixture(scope="module")
def keys(folder):
    signing.make_keys(folder / "keys", signing.moment_of(int(time.time())))
    return folder / "keys"


@pytest.fixture(scope="module")
def make(folder, keys):
    """Make a release of this checkout with another version, and perhaps with a file changed."""
    wheels = installed_wheels(folder / "wheels")

    def make(version, change=None):
        project = checkout(folder / version, version, wheels)
        for name, text in (change or {}).items():
            (project / name).write_text(text)
        target = here() or TARGETS["bookworm-x86_64"]
        path = folder / f"roadside-{version}"
        path.write_bytes(bundle.make(project, target, int(time.time()), wheels=wheels, keys=keys, days=DAYS))
        return path

    return make


@pytest.fixture(scope="module")
def second(make):
    return make("2.0")


@pytest.fixture(autouse=True)
def gateway(machine, keys):
    """A gateway that trusts the keys; afterwards it runs what it ran before."""
    shutil.copy(keys / "1.root.json", machine.root / "etc/roadside/update/root.json")
    (machine.root / RELEASE / "COMPLETE").touch()
    machine.run("mkdir", "-p", "/run/systemd/system/roadside.service.d")
    machine.run("tee", "/run/systemd/system/roadside.service.d/test.conf", given="[Service]\nRestartSec=100ms\n")
    machine.run("systemctl", "daemon-reload")
    machine.until(lambda: proof(machine).get("online"), "the present release is online")
    yield
    machine.run("rm", "-rf", "/run/systemd/system/roadside.service.d", "/opt/roadside/trial.json")
    machine.run("rm", "-rf", "/opt/roadside/previous", "/var/lib/roadside-update/metadata")
    machine.run("ln", "-sfn", "releases/test", "/opt/roadside/current")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "roadside")
    for left in (machine.root / "opt/roadside/releases").iterdir():
        if left.name != "test":
            shutil.rmtree(left)


def proof(machine):
    said = machine.run("cat", "/run/roadside/young/proof.json", check=False).stdout
    return json.loads(said) if said else {}


def current(machine):
    return (machine.root / "opt/roadside/current").readlink().name


def update(machine, path, source="/root/release"):
    shutil.copy(path, machine.root / "root/release")
    return machine.run(ROADSIDE, "update", source, check=False, within=SLOW)


def test_an_update_is_tried_proves_itself_stays_and_can_be_taken_back(machine, second):
    done = update(machine, second)
    assert done.returncode == 0, done.stderr
    assert "2.0 is on trial for 10 min" in done.stdout
    machine.until(lambda: proof(machine).get("release") == "2.0", "the new release runs")
    machine.until(lambda: proof(machine).get("delivered") and proof(machine).get("stored"), "it proves itself")
    judged(machine)
    assert current(machine) == "2.0"
    assert (machine.root / "opt/roadside/previous").readlink().name == "test"
    own = machine.run("stat", "-c", "%U %a", "/var/lib/roadside-update").stdout
    assert own == "roadside-update 700\n"

    refused = update(machine, second)
    assert refused.returncode == 1
    assert "2.0 runs already" in refused.stderr

    machine.run(ROADSIDE, "rollback")
    machine.until(lambda: proof(machine).get("release") == "test", "the old release runs again")
    assert current(machine) == "test"


def test_a_release_from_a_web_server_whose_agent_does_not_start_is_taken_back_by_itself(machine, make):
    machine.run("systemd-run", "--unit=web", *WEB)
    machine.until(lambda: machine.run(*ASK, check=False).returncode == 0, "the web server answers")
    broken = make("2.1", {"agent/commands/run.py": "raise SystemExit(1)\n"})
    done = update(machine, broken, "http://127.0.0.1:8000/release")
    machine.run("systemctl", "stop", "web")
    assert done.returncode == 0, done.stderr
    machine.until(lambda: current(machine) == "test", "the old release is back")
    machine.until(lambda: proof(machine).get("release") == "test", "and runs")


def test_a_release_that_somebody_has_changed_is_refused_and_nothing_happens(machine, second, folder):
    broken = bytearray(second.read_bytes())
    broken[len(broken) // 2] ^= 1
    (folder / "broken").write_bytes(broken)
    done = update(machine, folder / "broken")
    assert done.returncode == 1
    assert "nothing has changed" in done.stderr
    assert "damaged" in done.stderr
    assert current(machine) == "test"
    assert not (machine.root / "opt/roadside/releases/2.0").exists()


def test_only_root_may_update(machine):
    done = machine.run("setpriv", "--reuid=roadside", "--clear-groups", ROADSIDE, "update", "/root/x", check=False)
    assert done.returncode == 1
    assert "only root can install a release" in done.stderr


def test_the_check_can_neither_write_elsewhere_nor_read_secrets_nor_reach_a_network(machine):
    sandboxed = confined.command(online=False, language="en")
    sandboxed = sandboxed[: sandboxed.index("-m") - 2]
    done = machine.run(*sandboxed, "/usr/bin/python3", "-c", ATTEMPT)
    assert done.stdout.split() == ["True", "False", "False", "True", "False"]
    assert machine.run("test", "-e", "/var/lib/roadside-update/x").returncode == 0


def test_a_configuration_is_tried_within_the_sandbox_of_the_agent_and_stays_if_it_delivers(machine):
    def said():
        asked = machine.run(ROADSIDE, "status", "--json", check=False)
        return json.loads(asked.stdout).get("configuration", {}) if asked.stdout else {}

    text = (machine.root / "etc/roadside/gateway.toml").read_text()
    label = "label = { en = 'By the bridge', th = 'ข้างสะพาน' }"
    (machine.root / "root/new.toml").write_text(text.replace("[gateway]", f"[gateway]\n{label}"))
    try:
        done = machine.run(ROADSIDE, "configure", "/root/new.toml", "--minutes", "1", check=False)
        assert done.returncode == 0, done.stderr
        machine.until(lambda: said().get("trial") == "confirmed", "it proves itself")
    finally:
        machine.run("rm", "-f", "/var/lib/roadside/configuring.json")
