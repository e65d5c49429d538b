"""`roadside doctor` on a machine with the real systemd: what is broken is found, and mended."""

import json

import pytest

from tests.systemd.test_boot import agent, override

ROADSIDE = "/opt/roadside/current/bin/roadside"
LOOSE = ("WatchdogSec=0", "NoNewPrivileges=no", "PrivateUsers=no", "ProtectSystem=no", "SystemCallFilter=")


def doctor(machine, *arguments):
    """Return the exit status, and what each check has found."""
    done = machine.run(ROADSIDE, "doctor", "--json", *arguments, check=False)
    document = json.loads(done.stdout)
    return done.returncode, {one["check"]: one for one in document["findings"]}


@pytest.fixture
def loosened(machine):
    """Somebody has loosened the unit."""
    override(machine, *LOOSE)
    machine.run("systemctl", "restart", "roadside")
    yield
    machine.run("rm", "-rf", "/run/systemd/system/roadside.service.d")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "roadside")


def test_the_running_agent_is_well_and_who_else_holds_its_port_is_named(machine):
    machine.until(lambda: "online" in agent(machine)["StatusText"], "the link is up")
    _status, found = doctor(machine)
    fine = {name for name, one in found.items() if one["severity"] == "fine"}
    assert {"systemd.unit", "systemd.running", "systemd.watchdog", "systemd.sandbox", "serial.groups"} <= fine
    assert {"network.tcp", "network.login", "network.publish", "systemd.configuration"} <= fine
    assert "the agent is logged in there" in found["network.login"]["what"]

    cabinet = machine.show("cabinet", "MainPID")["MainPID"]  # which plays the sensor at the other end of the line
    assert f"(process {cabinet}) has /dev/ttyAMA0 open" in found["serial.holder"]["what"]


def test_an_agent_that_was_stopped_and_disabled_is_enabled_and_started(machine):
    machine.run("systemctl", "disable", "--now", "roadside")
    status, found = doctor(machine)
    assert (status, found["systemd.running"]["severity"], found["systemd.unit"]["severity"]) == (2, "error", "error")
    _status, found = doctor(machine, "--fix")
    assert (found["systemd.running"]["severity"], found["systemd.unit"]["severity"]) == ("fine", "fine")


@pytest.mark.usefixtures("loosened")
def test_a_unit_that_somebody_has_loosened_is_found(machine):
    _status, found = doctor(machine)
    assert (found["systemd.sandbox"]["severity"], found["systemd.watchdog"]["severity"]) == ("warning", "error")
