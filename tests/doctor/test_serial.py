"""The UART: each thing that keeps a sensor from being heard, broken alone; what is advised mends it, as it is shown."""

import shlex

import pytest

from agent.doctor import serial
from agent.doctor.examine import mend, safe
from agent.doctor.finding import Severity
from agent.doctor.programs import run
from tests.doctor.tree import named

CMDLINE, CONFIG = "boot/firmware/cmdline.txt", "boot/firmware/config.txt"
WANTS = "etc/systemd/system/getty.target.wants/serial-getty@ttyAMA0.service"


def check(name):
    return named(serial.CHECKS, name)


def console(tree):
    tree.replace(CMDLINE, "console=tty1", "console=serial0,115200 console=tty1")


def switched_off(tree):
    tree.replace(CONFIG, "enable_uart=1\n", "")


def bluetooth(tree):
    tree.replace(CONFIG, "dtoverlay=disable-bt\n", "")


def no_groups(tree):
    tree.replace("etc/group", "dialout:x:20:roadside", "dialout:x:20:pi")


BREAKS = {
    "serial.console": (console, Severity.ERROR),
    "serial.uart": (switched_off, Severity.WARNING),
    "serial.bluetooth": (bluetooth, Severity.WARNING),
    "serial.groups": (no_groups, Severity.ERROR),
}


@pytest.mark.parametrize("name", BREAKS)
def test_what_is_broken_is_found_and_fixed(tree, name):
    assert tree.finding(check(name)).severity is Severity.FINE
    break_it, severity = BREAKS[name]
    break_it(tree)
    found = next(check(name).findings(tree.card()))
    assert found.severity is severity

    done = list(mend(tree.site(), safe([found])))
    assert [one.error for one in done] == [""]
    assert next(check(name).findings(tree.card())).severity is Severity.FINE


@pytest.mark.parametrize("name", [name for name in BREAKS if name != "serial.groups"])  # there it would be our own user
def test_the_command_that_is_shown_does_the_same_when_it_is_typed(tree, name):
    BREAKS[name][0](tree)
    (command,) = safe(tree.findings(check(name)))
    words = shlex.split(str(command))
    assert words[0] == "sudo"
    assert run(words[1:]).status == 0
    assert tree.finding(check(name)).severity is Severity.FINE


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("console=serial0,115200 console=tty1 root=x", "console=tty1 root=x"),
        ("root=x console=ttyAMA0,115200n8 rootwait", "root=x rootwait"),
        ("console=tty1 console=ttyS0", "console=tty1"),
        ("console=ttyAMA10,115200 console=tty1", "console=ttyAMA10,115200 console=tty1"),
    ],
)
def test_only_the_consoles_on_the_pins_are_taken_out(tree, before, after):
    tree.write(CMDLINE, before + "\n")
    list(mend(tree.site(), safe(tree.findings(check("serial.console")))))
    assert tree.read(CMDLINE) == after + "\n"


def test_a_console_that_goes_with_the_next_boot_is_a_matter_of_rebooting(tree):
    tree.write("proc/cmdline", "console=ttyAMA0,115200 console=tty1")
    found = tree.finding(check("serial.console"))
    assert found.severity is Severity.WARNING
    assert [str(one) for one in found.commands] == ["sudo reboot"]


def test_where_no_device_is_on_the_uart_others_may_have_it(tree):
    tree.replace("etc/roadside/gateway.toml", "/dev/ttyAMA0", "/dev/ttyUSB0")
    for break_it, _severity in (BREAKS[name] for name in ("serial.console", "serial.uart", "serial.bluetooth")):
        break_it(tree)
    names = ("serial.console", "serial.uart", "serial.bluetooth")
    assert {tree.finding(check(name)).severity for name in names} == {Severity.FINE}


def test_a_pi_5_has_another_uart_for_bluetooth_and_another_switch(tree):
    tree.write("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0")
    tree.write(CONFIG, "dtparam=uart0=on\n")
    assert tree.finding(check("serial.bluetooth")).severity is Severity.FINE
    assert tree.finding(check("serial.uart")).severity is Severity.FINE
    tree.write(CONFIG, "[pi4]\nenable_uart=1\n")
    assert "dtparam=uart0=on" in tree.finding(check("serial.uart")).what


@pytest.mark.parametrize(
    ("model", "text", "severity"),
    [
        ("Raspberry Pi 4 Model B", "", Severity.ERROR),
        ("Raspberry Pi 4 Model B", "enable_uart=0\ndtoverlay=disable-bt", Severity.WARNING),
        ("Raspberry Pi 2 Model B", "", Severity.FINE),
        ("Raspberry Pi 2 Model B", "enable_uart=0", Severity.ERROR),
        ("Raspberry Pi 5 Model B", "enable_uart=1", Severity.ERROR),
        ("Raspberry Pi 5 Model B", "enable_uart=1\n[pi5]\ndtparam=uart0=on", Severity.FINE),
    ],
)
def test_whether_the_uart_is_on_depends_on_the_model(tree, model, text, severity):
    tree.write("proc/device-tree/model", model)
    tree.write(CONFIG, text + "\n")
    assert tree.finding(check("serial.uart")).severity is severity


def test_a_login_that_is_enabled_is_disabled(tree):
    tree.link(WANTS, "/usr/lib/systemd/system/serial-getty@.service")
    found = tree.finding(check("serial.getty"))
    assert found.severity is Severity.ERROR
    assert [str(one) for one in found.commands] == ["sudo systemctl disable --now serial-getty@ttyAMA0.service"]


def test_a_login_on_a_card_is_disabled_by_the_real_systemctl(tree):
    tree.link(WANTS, "/usr/lib/systemd/system/serial-getty@.service")
    tree.write("usr/lib/systemd/system/serial-getty@.service", "[Install]\nWantedBy=getty.target\n")
    found = list(check("serial.getty").findings(tree.card()))
    assert [one.error for one in mend(tree.card(), safe(found))] == [""]
    assert [one.severity for one in check("serial.getty").findings(tree.card())] == [Severity.FINE]


def test_a_login_that_the_console_brought_is_stopped(tree):
    tree.systemd.active.add("serial-getty@ttyAMA0.service")
    found = tree.finding(check("serial.getty"))
    assert (found.severity, found.commands[0].argv[1]) == (Severity.ERROR, "stop")


def test_without_its_user_roadside_is_not_installed(tree):
    tree.write("etc/passwd", "root:x:0:0::/root:/bin/sh\n")
    assert "no user roadside" in tree.finding(check("serial.groups")).what
