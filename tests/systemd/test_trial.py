"""Releases that are tried on the real systemd: one that works stays, one that does not comes to nothing by itself."""

import json
import shutil

import pytest

from hil.install import RELEASE

SWITCH = "/opt/roadside/roadside-switch"


@pytest.fixture
def release(machine):
    """Make a release out of the one that runs; afterwards that one runs again."""
    made = []

    def make(version, command=None):
        folder = machine.root / "opt/roadside/releases" / version
        shutil.copytree(machine.root / RELEASE, folder, symlinks=True)
        roadside = folder / "bin/roadside"
        roadside.write_text(command or roadside.read_text().replace("releases/test", f"releases/{version}"))
        made.append(folder)
        return version

    (machine.root / RELEASE / "COMPLETE").touch()
    machine.run("mkdir", "-p", "/run/systemd/system/roadside.service.d")
    machine.run("tee", "/run/systemd/system/roadside.service.d/test.conf", given="[Service]\nRestartSec=100ms\n")
    machine.run("systemctl", "daemon-reload")
    yield make
    machine.run("rm", "-rf", "/run/systemd/system/roadside.service.d", "/opt/roadside/trial.json")
    machine.run("ln", "-sfn", "releases/test", "/opt/roadside/current")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "roadside")
    for folder in made:
        shutil.rmtree(folder)


def current(machine):
    return (machine.root / "opt/roadside/current").readlink().name


def proof(machine):
    said = machine.run("cat", "/run/roadside/young/proof.json", check=False).stdout
    return json.loads(said) if said else {}


def judged(machine):
    """Have the judge look now at a release that has delivered, as if it had run for long.

    In a container its own /proc shows it the boot id of the machine underneath, where the start saw the container's: so
    the minutes begin anew with its first look, as after a power cut.
    """
    machine.run("systemctl", "start", "roadside-trial.service")
    path = machine.root / "opt/roadside/trial.json"
    trial = json.loads(path.read_text())
    path.write_text(json.dumps({**trial, "started": trial["started"] - 60}))
    machine.run("systemctl", "start", "roadside-trial.service")


def test_a_release_that_samples_stores_and_delivers_stays(machine, release):
    machine.until(lambda: proof(machine).get("delivered"), "the present release delivers")
    machine.run(SWITCH, "--restart", "try", release("2.0"))
    machine.until(lambda: proof(machine).get("release") == "2.0", "the new release runs")
    machine.until(lambda: proof(machine).get("delivered") and proof(machine).get("stored"), "it proves itself")
    judged(machine)
    assert current(machine) == "2.0"
    assert not (machine.root / "opt/roadside/trial.json").exists()
    assert (machine.root / "opt/roadside/previous").readlink().name == "test"
    machine.run(SWITCH, "--restart", "back")
    machine.until(lambda: proof(machine).get("release") == "test", "the old release runs again")


def test_a_release_that_does_not_even_start_is_taken_back_after_three_starts(machine, release):
    machine.until(lambda: proof(machine).get("sampled"), "the present release works")
    machine.run(SWITCH, "--restart", "try", release("2.1", "#!/bin/sh\nexit 1\n"), check=False)
    machine.until(lambda: current(machine) == "test", "the old release is back")
    machine.until(lambda: proof(machine).get("sampled"), "and works")
    told = ["journalctl", "-q", "-u", "roadside", "--no-pager", "--grep", "2.1 was given up"]
    machine.until(lambda: "it was started 3 times" in machine.run(*told, check=False).stdout, "the reason is told")


def test_a_release_that_runs_and_delivers_nothing_is_taken_back_by_the_judge(machine, release):
    machine.until(lambda: proof(machine).get("online"), "the present release is online")
    idle = "#!/bin/sh\nsystemd-notify --ready; while :; do systemd-notify WATCHDOG=1; sleep 5; done\n"
    machine.run("systemctl", "stop", "roadside-trial.timer")
    machine.run(SWITCH, "--restart", "try", release("2.2", idle), "--minutes", "0")
    machine.until(lambda: machine.show("roadside", "MainPID")["MainPID"] != "0", "the new release runs")
    machine.run("systemctl", "start", "roadside-trial.service")
    assert current(machine) == "test"
    machine.until(lambda: proof(machine).get("release") == "test" and proof(machine).get("online"), "the old one works")
    machine.run("systemctl", "start", "roadside-trial.timer")
