"""The unit that enrols, under the real systemd: root lends the claim, the agent's user makes the key, root shreds."""

import pytest

from hil.install import RELEASE, copy_distributions

ROADSIDE = "/opt/roadside/current/bin/roadside"
AUTHORITY = "/srv/authority"
IDENTITY = "/var/lib/roadside/identity/current"


@pytest.fixture
def workshop(machine):
    """The enrolment service in the same container; afterwards the gateway is as before."""
    copy_distributions(["cryptography"], machine.root / RELEASE / "lib")
    machine.run(ROADSIDE, "enrol", "authority", AUTHORITY, "--url", "https://127.0.0.1:8443")
    machine.run("systemd-run", "--unit=workshop", ROADSIDE, "enrol", "--serve", "--authority", AUTHORITY)
    yield machine
    machine.run("systemctl", "stop", "workshop", "roadside-enrol.service", check=False)
    machine.run("rm", "-rf", AUTHORITY, "/var/lib/roadside/identity", "/etc/roadside/claim")


def enrolment(machine):
    return machine.show("roadside-enrol.service", "ActiveState", "SubState", "Result", "ExecMainStatus")


def test_a_claim_becomes_a_certificate_of_the_agents_user_and_nothing_of_it_is_left(workshop):
    workshop.run(
        "sh", "-c", f"umask 077; {ROADSIDE} enrol claim pkt-0042 --authority {AUTHORITY} > /etc/roadside/claim"
    )
    workshop.until(lambda: "listening" in workshop.run("journalctl", "-u", "workshop").stdout, "the service listens")
    workshop.run("systemctl", "start", "roadside-enrol.service")
    assert enrolment(workshop)["Result"] == "success"
    said = workshop.run("stat", "--format=%U %a %F", f"{IDENTITY}/gateway.key").stdout
    assert said == "roadside 600 regular file\n"
    workshop.run("openssl", "verify", "-CAfile", f"{AUTHORITY}/root.pem", "-untrusted", f"{AUTHORITY}/intermediate.pem",
                 f"{IDENTITY}/gateway.pem")  # fmt: skip
    for path in ("/etc/roadside/claim", "/run/roadside-enrol"):
        assert workshop.run("test", "-e", path, check=False).returncode == 1

    # Started again, as by the timer, it has nothing to do, and is content.
    workshop.run("systemctl", "start", "roadside-enrol.service")
    assert enrolment(workshop)["Result"] == "success"


def test_a_claim_that_nobody_takes_stays_and_is_tried_again(workshop):
    workshop.run(
        "sh", "-c", f"umask 077; {ROADSIDE} enrol claim pkt-0042 --authority {AUTHORITY} > /etc/roadside/claim"
    )
    workshop.run("systemctl", "stop", "workshop")
    assert workshop.run("systemctl", "start", "roadside-enrol.service", check=False).returncode != 0
    assert enrolment(workshop)["ExecMainStatus"] == "75"
    workshop.until(lambda: enrolment(workshop)["SubState"] == "auto-restart", "it waits for its next attempt")
    assert workshop.run("stat", "--format=%U %a", "/etc/roadside/claim").stdout == "root 600\n"


def test_without_a_claim_and_a_certificate_there_is_nothing_to_do_and_the_timer_goes_on(machine):
    machine.run("systemctl", "start", "roadside-enrol.service", check=False)
    assert enrolment(machine)["Result"] == "exec-condition"
    assert machine.run("systemctl", "is-failed", "roadside-enrol.service", check=False).stdout == "inactive\n"
    told = machine.show("roadside-enrol.timer", "ActiveState", "SubState", "NextElapseUSecMonotonic")
    assert (told["ActiveState"], told["SubState"]) == ("active", "waiting")  # the agent brought it
    assert told["NextElapseUSecMonotonic"] != "infinity"
