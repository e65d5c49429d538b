"""The clock and the service, each broken in one way."""

import asyncio
from shutil import copytree

import pytest

from agent.doctor import clock, service
from agent.doctor.examine import mend, safe
from agent.doctor.finding import Severity
from agent.readings import Reading, Stream
from tests.doctor.tree import NOW, StillClock, named
from tests.journal.conftest import bench  # noqa: F401 - a fixture

UNIT = "etc/systemd/system/roadside.service"
WATCHDOG = "etc/systemd/system.conf.d/roadside-watchdog.conf"
SECOND = 10**9


def check(name):
    return named((*clock.CHECKS, *service.CHECKS), name)


@pytest.mark.parametrize("now", [0, NOW - 86_400 * 30 * SECOND])
def test_a_clock_that_says_a_day_already_lived_through_is_wrong(tree, now):
    tree.clock = StillClock(utc=now)
    found = tree.finding(check("clock.day"))
    assert found.severity is Severity.ERROR
    assert found.what.startswith("the clock is wrong")
    assert clock.is_wrong([found])


def test_a_clock_that_nobody_has_set(tree):
    tree.clock = StillClock(sync=None)
    found = tree.finding(check("clock.synchronised"))
    assert (found.severity, clock.is_wrong([found])) == (Severity.WARNING, True)


def test_the_agent_knows_better_who_has_set_it(tree):
    tree.clock = StillClock(sync=None)
    tree.status = {"clock": {"source": "gnss", "uncertainty": 0.5}}
    assert tree.finding(check("clock.synchronised")).what == "synchronised by gnss, to 0.50 s"


@pytest.mark.parametrize(
    ("active", "severity"),
    [
        (set(), Severity.ERROR),
        ({"systemd-timesyncd.service"}, Severity.FINE),
        ({"chrony.service"}, Severity.FINE),
        ({"chrony.service", "systemd-timesyncd.service"}, Severity.ERROR),
    ],
)
def test_exactly_one_keeps_the_time(tree, active, severity):
    tree.systemd.active = active
    assert tree.finding(check("clock.service")).severity is severity


def test_a_contradiction_that_the_agent_has_found(tree):
    tree.status = {"clock": {"fault": "gnss_disagrees"}}
    assert tree.finding(check("clock.faults")).severity is Severity.ERROR


@pytest.mark.parametrize(("ppm", "severity"), [(20, "fine"), (-180, "warning"), (250, "warning")])
def test_the_drift_is_told_by_the_anchors_of_one_boot(ppm, severity, tree, bench):  # noqa: F811
    day = 86_400 * SECOND
    anchors = [("a", 0, NOW), ("a", round(day * (1 + ppm / 1e6)), NOW + day), ("b", 5, NOW)]

    async def keep():
        opened = bench.open()
        opened.keep("anchors", [[*one, 0.1, "kernel"] for one in anchors])
        opened.append(Stream.TELEMETRY, [Reading("air-1", "pm2_5", bench.clock.now, 12.5)])
        await opened.commit()

    asyncio.run(keep())
    copytree(bench.card.path, tree.root / "var/lib/roadside/journal")
    found = tree.finding(check("clock.drift"))
    assert (found.severity, f"drifts by {ppm} ppm" in found.what) == (severity, True)


def test_a_unit_that_is_not_there_is_put_in_place_by_the_release(tree):
    (tree.root / UNIT).unlink()
    tree.write("opt/roadside/releases/1/systemd/install.sh", "#!/bin/sh\n")
    (found,) = check("systemd.unit").findings(tree.card())
    assert found.severity is Severity.ERROR
    assert found.commands[0].argv[1:] == ("--root", str(tree.root))


def test_a_unit_that_is_not_started_at_boot_is_enabled_on_a_card_by_the_real_systemctl(tree):
    (tree.root / "etc/systemd/system/multi-user.target.wants/roadside.service").unlink()
    (found,) = check("systemd.unit").findings(tree.card())
    assert found.severity is Severity.ERROR
    assert [one.error for one in mend(tree.card(), safe([found]))] == [""]
    assert [one.severity for one in check("systemd.unit").findings(tree.card())] == [Severity.FINE]


def test_a_claim_that_has_not_been_used(tree):
    tree.write("etc/roadside/claim", "a claim")
    found = tree.finding(check("systemd.enrolment"))
    assert (found.severity, str(found.commands[0])) == (Severity.WARNING, "sudo roadside enrol")


def test_an_agent_that_has_ended_is_started(tree):
    tree.systemd.unit |= {"ActiveState": "failed", "Result": "watchdog"}
    found = tree.finding(check("systemd.running"))
    assert (found.severity, str(found.commands[0])) == (Severity.ERROR, "sudo systemctl start roadside.service")


def test_an_agent_without_a_configuration_is_not_started_again_and_again(tree):
    tree.systemd.unit |= {"ActiveState": "failed", "Result": "exit-code", "ExecMainStatus": "78"}
    found = tree.finding(check("systemd.running"))
    assert [str(one) for one in found.commands] == ["sudo roadside check /etc/roadside/gateway.toml"]


@pytest.mark.parametrize(("count", "severity"), [("0", "fine"), ("2", "fine"), ("3", "warning")])
def test_how_often_it_was_restarted(tree, count, severity):
    tree.systemd.unit["NRestarts"] = count
    assert tree.finding(check("systemd.restarts")).severity == severity


def test_a_unit_without_a_watchdog(tree):
    tree.systemd.unit["WatchdogUSec"] = "0"
    assert tree.finding(check("systemd.watchdog")).severity is Severity.ERROR


@pytest.mark.parametrize(
    ("value", "severity"), [("14s", "fine"), ("14", "fine"), ("off", "warning"), ("0", "warning"), ("1min", "warning")]
)
def test_the_watchdog_of_the_pi(tree, value, severity):
    tree.write(WATCHDOG, f"[Manager]\nRuntimeWatchdogSec={value}\n")
    assert tree.finding(check("systemd.hardware_watchdog")).severity == severity


def test_a_sandbox_that_somebody_has_loosened_is_made_good_by_taking_out_the_change_and_not_ours(tree):
    tree.systemd.exposure = "4.2 OK"
    theirs = tree.write(f"{UNIT}.d/theirs.conf", "[Service]\nProtectSystem=no\n")
    tree.write(f"{UNIT}.d/254.conf", "[Service]\nType=notify-reload\n")
    found = tree.finding(check("systemd.sandbox"))
    assert found.severity is Severity.WARNING
    assert found.commands[0].argv == ("rm", str(theirs))


def test_what_is_wrong_with_the_configuration_is_said_with_its_line(tree):
    tree.replace("etc/roadside/gateway.toml", "mm_per_tip", "mm_per_tap")
    found = tree.finding(check("systemd.configuration"))
    assert found.severity is Severity.ERROR
    assert "gateway.toml:14: devices.rain-1.mm_per_tap" in found.what


def test_where_systemd_does_not_answer_nothing_is_claimed(tree):
    tree.systemd.unit = {}
    names = ("systemd.running", "systemd.restarts", "systemd.watchdog")
    assert {tree.finding(check(name)).severity for name in names} == {Severity.UNKNOWN}
