"""The real unit under the real systemd: start, watchdog, crash loop, reload, stop."""

import json
import time

import pytest

from tests.systemd.installing import PASSWORD

FIELDS = ("ActiveState", "SubState", "Result", "NRestarts", "MainPID", "StatusText", "ExecMainStatus")


def agent(machine):
    return machine.show("roadside", *FIELDS)


def process(machine):
    return int(agent(machine)["MainPID"])


def received(machine, seconds=2):
    """Return on which topics readings come to the broker within so many seconds."""
    listen = [
        "mosquitto_sub",
        "-h",
        "127.0.0.1",
        "-u",
        "pkt-0042",
        "-P",
        PASSWORD,
        "-W",
        str(seconds),
        "-F",
        "%t",
        "-t",
    ]
    return machine.run(*listen, "roadside/v1/pkt-0042/live", check=False).stdout


def events(machine, event):
    """Return the fields of the agent's events of that name, oldest first."""
    told = machine.run("journalctl", "-o", "json", "--no-pager", f"ROADSIDE_EVENT={event}").stdout
    return [json.loads(line) for line in told.splitlines()]


def status(machine):
    asked = machine.run("/opt/roadside/current/bin/roadside", "status", "--json", check=False)
    return json.loads(asked.stdout) if asked.stdout else {}


@pytest.fixture(autouse=True)
def running(machine):
    """Have each test begin and end with a running agent as the unit says it."""
    yield
    machine.run("rm", "-rf", "/run/systemd/system/roadside.service.d")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", "roadside")
    machine.until(lambda: agent(machine)["SubState"] == "running", "the agent runs again")


def running_process(machine):
    """Return the number of a process that is ready."""
    machine.until(lambda: agent(machine)["SubState"] == "running" and process(machine), "the agent runs")
    return process(machine)


def override(machine, *lines):
    machine.run("mkdir", "-p", "/run/systemd/system/roadside.service.d")
    given = "\n".join(["[Service]", *lines, ""])
    machine.run("tee", "/run/systemd/system/roadside.service.d/test.conf", given=given)
    machine.run("systemctl", "daemon-reload")


def test_it_runs_after_boot_as_a_user_without_rights_and_says_how_it_is(machine):
    machine.until(lambda: "online" in agent(machine)["StatusText"], "the link is up")
    assert agent(machine)["StatusText"].startswith("1 device; city online; ")
    own = machine.run("cat", f"/proc/{process(machine)}/status").stdout
    fields = dict(line.split(":\t", 1) for line in own.splitlines() if ":\t" in line)
    assert int(fields["Uid"].split()[1]) not in {0, 65534}
    assert {fields[key] for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
    assert fields["NoNewPrivs"] == "1"
    assert fields["Seccomp"] == "2"


def test_readings_reach_the_broker_with_a_password_that_only_systemd_and_the_agent_can_read(machine):
    machine.until(lambda: received(machine), "readings at the broker")
    assert machine.run("stat", "-c", "%U %a", "/etc/roadside/credentials").stdout == "root 700\n"
    environment = machine.run("cat", f"/proc/{process(machine)}/environ").stdout
    assert PASSWORD not in environment
    assert not machine.run("journalctl", "-q", "--no-pager", "--grep", PASSWORD, check=False).stdout.strip()


def test_the_journal_of_the_system_has_the_fields_of_each_event(machine):
    machine.until(lambda: events(machine, "link_up"), "an event with fields")
    event = events(machine, "link_up")[0]
    assert event["ROADSIDE_UPLINK"] == "city"
    assert event["PRIORITY"] == "6"
    assert event["SYSLOG_IDENTIFIER"] == "roadside"
    assert event["_SYSTEMD_UNIT"] == "roadside.service"


def test_an_agent_that_is_killed_is_back_with_all_that_its_young_end_held(machine):
    machine.run("systemctl", "stop", "mosquitto")
    machine.until(
        lambda: status(machine).get("journal", {}).get("waiting", {}).get("city", {}).get("telemetry"), "work"
    )
    before, number = status(machine)["journal"], process(machine)
    machine.run("kill", "-KILL", str(number))
    machine.until(lambda: process(machine) not in {0, number} and status(machine), "a new process")
    after = status(machine)["journal"]
    assert after["epoch"] == before["epoch"]
    assert after["next"]["telemetry"] >= before["next"]["telemetry"]
    machine.run("systemctl", "start", "mosquitto")
    machine.until(lambda: received(machine), "readings at the broker")


def test_an_agent_that_hangs_is_ended_by_the_watchdog_and_started_again(machine):
    override(machine, "WatchdogSec=4s", "RestartSec=100ms")
    machine.run("systemctl", "restart", "roadside")
    number = running_process(machine)
    machine.run("kill", "-STOP", str(number))
    machine.until(lambda: process(machine) not in {0, number}, "a new process")
    told = ["journalctl", "-u", "roadside", "--no-pager", "--grep", "Watchdog timeout"]
    machine.until(lambda: "Watchdog timeout" in machine.run(*told, check=False).stdout, "systemd tells of it")


def test_a_device_that_holds_the_agent_up_is_found_and_set_aside(machine):
    path = machine.root / "etc/roadside/gateway.toml"
    before = path.read_text()
    pattern = r"pattern = '(?P<pm1>(?:[0-9]+)+)x'"
    path.write_text(before.replace('driver = "plantower"', f'driver = "line"\n{pattern}'))
    override(machine, "WatchdogSec=4s", "RestartSec=100ms")
    try:
        machine.run("systemctl", "restart", "roadside")
        machine.run("tee", "/run/cabinet-says", given="\n" + "1" * 40 + "!\n")
        machine.until(
            lambda: status(machine).get("devices", {}).get("air-1", {}).get("state") == "quarantined", "quarantine"
        )
        machine.until(lambda: events(machine, "device_held_up_the_agent"), "an event with the device")
        assert {event["ROADSIDE_DEVICE"] for event in events(machine, "device_held_up_the_agent")} == {"air-1"}
        stacks = ["journalctl", "-u", "roadside", "--no-pager", "--grep", "Fatal Python error: Aborted"]
        machine.until(lambda: "Aborted" in machine.run(*stacks, check=False).stdout, "what the threads were doing")
    finally:
        path.write_text(before)
    machine.run("systemctl", "restart", "roadside")
    machine.until(lambda: status(machine).get("devices", {}).get("air-1", {}).get("state") == "ok", "the mended device")


def test_a_configuration_that_was_never_valid_is_not_tried_again(machine):
    override(machine, "ExecStart=", "ExecStart=/opt/roadside/current/bin/roadside run --config /etc/roadside/none.toml")
    machine.run("mv", "/var/lib/roadside/last-good.toml", "/var/lib/roadside/ready", "/root")
    try:
        machine.run("systemctl", "restart", "roadside", check=False)
        machine.until(lambda: agent(machine)["ActiveState"] == "failed", "the end")
        assert agent(machine)["ExecMainStatus"] == "78"
        assert agent(machine)["NRestarts"] == "0"
    finally:
        machine.run("mv", "/root/last-good.toml", "/root/ready", "/var/lib/roadside")


def test_an_agent_that_keeps_ending_is_never_given_up(machine):
    override(machine, "ExecStart=", "ExecStart=/bin/false", "ExecStopPost=", "RestartSec=10ms", "RestartSteps=0")
    machine.run("systemctl", "restart", "roadside", check=False)
    machine.until(lambda: int(agent(machine)["NRestarts"]) > 20, "more restarts than systemd's own limit allows")


def test_reload_takes_up_a_valid_file_in_the_same_process_and_tells_what_is_wrong_with_another(machine):
    machine.until(lambda: status(machine), "an agent that answers")
    path, number = machine.root / "etc/roadside/gateway.toml", process(machine)
    before = path.read_text()
    try:
        path.write_text(before.replace("air-1", "air-2"))
        machine.run("systemctl", "reload", "roadside")
        machine.until(lambda: "air-2" in status(machine).get("devices", {}), "the new configuration")
        path.write_text(before.replace("plantower", "plantowr"))
        machine.run("systemctl", "reload", "roadside")
        machine.until(lambda: "plantowr" in agent(machine)["StatusText"], "what is wrong")
        assert "air-2" in status(machine)["devices"]
        assert process(machine) == number
    finally:
        path.write_text(before)


def test_it_starts_while_the_network_and_the_time_are_still_waited_for(machine):
    late = "network-pre.target network.target network-online.target time-sync.target"
    unit = f"[Unit]\nBefore={late}\nWants={late}\n[Service]\nType=oneshot\nExecStart=/bin/sleep infinity\n"
    machine.run("tee", "/run/systemd/system/dhcp.service", given=unit)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "stop", "roadside", *late.split())
    machine.run("systemctl", "start", "--no-block", "dhcp")
    try:
        machine.until(lambda: machine.show("dhcp", "SubState")["SubState"] == "start", "the network is waited for")
        machine.run("systemctl", "start", "--no-block", "roadside")
        machine.until(lambda: agent(machine)["SubState"] == "running", "the agent runs")
        assert machine.show("network.target", "ActiveState")["ActiveState"] == "inactive"
    finally:
        machine.run("systemctl", "stop", "dhcp")
        machine.run("rm", "/run/systemd/system/dhcp.service")


def test_a_removed_folder_of_credentials_does_not_stop_it(machine):
    machine.run("mv", "/etc/roadside/credentials", "/root")
    try:
        machine.run("systemctl", "restart", "roadside")
        machine.until(lambda: status(machine).get("devices", {}).get("air-1", {}).get("state") == "ok", "readings")
    finally:
        machine.run("mv", "/root/credentials", "/etc/roadside")


def test_whenever_it_is_told_to_reload_it_stays_the_same_process(machine):
    """Each SIGHUP makes it begin anew, and the next may come at any moment of that."""
    machine.until(lambda: status(machine), "an agent that answers")
    before = agent(machine)
    for _ in range(60):
        machine.run("kill", "-HUP", before["MainPID"])
    machine.until(lambda: agent(machine)["SubState"] == "running" and status(machine), "an agent that answers")
    assert {agent(machine)[key] == before[key] for key in ("MainPID", "NRestarts")} == {True}


def test_a_stop_takes_less_than_5_s_and_leaves_nothing_running(machine):
    machine.until(lambda: status(machine), "an agent that answers")
    began = time.monotonic()  # the clock of systemd's timestamps, and the same in the container
    machine.run("systemctl", "stop", "roadside")
    ended = "ExecMainExitTimestampMonotonic"
    assert int(machine.show("roadside", ended)[ended]) / 1e6 - began < 5
    assert agent(machine)["Result"] == "success"
    assert machine.run("test", "-e", "/run/roadside/young").returncode == 0  # RuntimeDirectoryPreserve=


def test_the_units_are_put_in_place_again_without_harm(machine):
    assert machine.run("systemctl", "is-enabled", "roadside").stdout == "enabled\n"
    groups = machine.run("id", "-nG", "roadside").stdout.split()
    assert set(groups) == {"roadside", "gpio", "dialout"}
