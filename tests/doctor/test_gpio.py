"""GPIO: the matrix of models, kernels and libraries, and everything in config.txt that takes a pin."""

import pytest

from agent.doctor import boot, gpio
from agent.doctor.examine import mend
from agent.doctor.finding import Severity
from tests.doctor.tree import named

CONFIG = "boot/firmware/config.txt"
SITE = "opt/roadside/releases/1/lib/python3.13/site-packages"
PI_5 = "Raspberry Pi 5 Model B Rev 1.0\0"


def check(name):
    return named(gpio.CHECKS, name)


def install(tree, name):
    tree.write(f"{SITE}/{name}.dist-info/METADATA", "")


def gpiozero(tree, version):
    (tree.root / SITE / "gpiozero-2.0.1.post3.dist-info").rename(tree.root / SITE / f"gpiozero-{version}.dist-info")


def test_a_machine_without_pins_is_told(tree):
    (tree.root / "dev/gpiochip0").unlink()
    assert tree.finding(check("gpio.chip")).severity is Severity.ERROR


@pytest.mark.parametrize(
    ("model", "kernel", "chips", "severity"),
    [
        (PI_5, "6.6.31+rpt-rpi-2712", ["gpiochip4"], Severity.ERROR),
        (PI_5, "6.6.51+rpt-rpi-2712", ["gpiochip0"], Severity.FINE),
        (PI_5, "6.12.25+rpt-rpi-2712", ["gpiochip0", "gpiochip4"], Severity.FINE),
        ("Raspberry Pi 4 Model B\0", "6.1.21-v8+", ["gpiochip0"], Severity.FINE),
    ],
)
def test_the_chip_of_each_kernel(tree, model, kernel, chips, severity):
    (tree.root / "dev/gpiochip0").unlink()
    for chip in chips:
        tree.write(f"dev/{chip}", "")
    tree.write("proc/device-tree/model", model)
    tree.write("proc/sys/kernel/osrelease", kernel)
    assert tree.finding(check("gpio.chip")).severity is severity


@pytest.mark.parametrize(
    ("version", "severity"),
    [
        ("2.0", Severity.ERROR),
        ("2.0.1", Severity.ERROR),
        ("2.0.1.post2", Severity.ERROR),
        ("2.0.1.post3", Severity.FINE),
        ("2.1", Severity.FINE),
    ],
)
def test_the_versions_of_gpiozero(tree, version, severity):
    gpiozero(tree, version)
    assert tree.finding(check("gpio.library")).severity is severity


def test_the_empty_lgpio_of_pypi_is_found(tree):
    install(tree, "lgpio-0.0.0.2")
    found = tree.finding(check("gpio.library"))
    assert (found.severity, str(found.commands[0])) == (Severity.ERROR, "sudo apt-get install python3-lgpio")


def test_a_venv_that_does_not_see_debians_lgpio_has_none(tree):
    tree.write("opt/roadside/releases/1/pyvenv.cfg", "include-system-site-packages = false\n")
    assert "lgpio is not installed" in tree.finding(check("gpio.library")).what


def test_a_release_without_gpiozero_is_told(tree):
    (tree.root / SITE / "gpiozero-2.0.1.post3.dist-info/METADATA").unlink()
    (tree.root / SITE / "gpiozero-2.0.1.post3.dist-info").rmdir()
    assert "gpiozero is not installed" in tree.finding(check("gpio.library")).what


def test_another_factory_than_lgpio_is_found_also_in_a_drop_in(tree):
    tree.write(
        "etc/systemd/system/roadside.service.d/mine.conf", "[Service]\nEnvironment=GPIOZERO_PIN_FACTORY=native\n"
    )
    found = tree.finding(check("gpio.factory"))
    assert (found.severity, "'native'" in found.what) == (Severity.ERROR, True)


def test_lgpio_needs_its_working_folder(tree):
    tree.replace("etc/systemd/system/roadside.service", "WorkingDirectory=/run/roadside\n", "")
    assert tree.finding(check("gpio.folder")).severity is Severity.WARNING


@pytest.mark.parametrize(
    ("line", "pin"),
    [
        ("dtparam=i2c_arm=on", 2),
        ("dtparam=audio=on,spi=on", 10),
        ("dtoverlay=w1-gpio", 4),
        ("dtoverlay=w1-gpio,gpiopin=17", 17),
        ("dtoverlay=gpio-fan,gpiopin=18,temp=60000", 18),
        ("dtoverlay=uart5", 12),
        ("dtoverlay=spi1-1cs", 20),
        ("[pi4]\ndtoverlay=pps-gpio", 18),
    ],
)
def test_a_line_that_takes_the_pin_of_a_device_is_found_and_taken_out(tree, line, pin):
    tree.replace("etc/roadside/gateway.toml", "pin = 17", f"pin = {pin}")
    tree.write(CONFIG, f"dtparam=audio=on\n{line}\n")
    (found,) = tree.findings(check("gpio.conflict"))
    assert found.severity is Severity.ERROR
    assert f"takes GPIO {pin}, which rain-1 is on" in found.what

    assert not found.commands[0].safe  # somebody may want that line
    assert [one.error for one in mend(tree.site(), found.commands[:1])] == [""]
    assert tree.finding(check("gpio.conflict")).severity is Severity.FINE


@pytest.mark.parametrize(
    "line",
    [
        "#dtparam=i2c_arm=on",
        "dtparam=i2c_arm=off",
        "[pi5]\ndtparam=i2c_arm=on",
        "[none]\ndtparam=i2c_arm=on",
        "dtoverlay=w1-gpio",
    ],
)
def test_what_does_not_apply_takes_no_pin(tree, line):
    tree.replace("etc/roadside/gateway.toml", "pin = 17", "pin = 2")
    tree.write(CONFIG, f"{line}\n")
    assert tree.finding(check("gpio.conflict")).severity is Severity.FINE


def test_the_sections_of_a_config_txt():
    text = "a=1\n[pi4]\nb=2\n[pi5]\nc=3 # why\n[all]\nd=4\n[none]\ne=5\n"
    assert [one.key for one in boot.settings(text, "Raspberry Pi 5 Model B")] == ["a", "c", "d"]
    assert [one.key for one in boot.settings(text, "")] == ["a", "b", "c", "d"]
