"""What can be said of the units without booting anything."""

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.commands.update import FLOORS

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNIT = SYSTEMD / "roadside.service"
MOST_EXPOSED = 15  # tenths: 1.5 with GPIO and serial lines allowed

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


def test_the_sandbox_leaves_the_unit_exposed_to_1_5_at_most():
    judged = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", UNIT)
    assert judged.returncode == 0, judged.stdout[-500:]


def test_systemd_understands_every_line(tmp_path):
    # The programs need not be installed here.
    unit = tmp_path / "roadside.service"
    text = UNIT.read_text()
    for program in ("/opt/roadside/current/bin/roadside", "/opt/roadside/roadside-switch", "/bin/kill"):
        text = text.replace(program, "/bin/true")
    unit.write_text(text)
    judged = analyze("verify", unit)
    said = [line for line in judged.stderr.splitlines() if "roadside.service" in line]
    assert not said
    assert judged.returncode == 0


def test_gpio_and_serial_lines_are_the_only_devices():
    allowed = [line.partition("=")[2] for line in UNIT.read_text().splitlines() if line.startswith("DeviceAllow=")]
    assert allowed == [f"char-{kind} rw" for kind in ("gpiochip", "ttyAMA", "ttyS", "ttyUSB", "ttyACM")]


def test_a_kind_of_device_that_is_allowed_is_known_to_the_kernel_before_the_agent_starts():
    built_in = {"gpiochip", "ttyAMA", "ttyS"}  # in Debian's kernels and in Raspberry Pi OS's
    module_of = {"ttyUSB": "usbserial", "ttyACM": "cdc_acm"}
    lines = UNIT.read_text().splitlines()
    allowed = {line.partition("char-")[2].split()[0] for line in lines if line.startswith("DeviceAllow=")}
    loaded = {f"modprobe@{module_of[kind]}.service" for kind in allowed - built_in}
    for setting in ("Wants=", "After="):
        assert loaded <= {unit for line in lines if line.startswith(setting) for unit in line.partition("=")[2].split()}


@pytest.mark.parametrize("name", ["journald.conf", "watchdog.conf", "timesyncd.conf", "roadside-254.conf"])
def test_a_setting_is_given_once_and_in_a_section(name):
    parser = configparser.ConfigParser(strict=True)
    parser.optionxform = str
    parser.read_string((SYSTEMD / name).read_text())
    assert len(parser.sections()) == 1


def test_the_hardware_watchdog_stays_below_the_15_s_of_the_pi():
    parser = configparser.ConfigParser()
    parser.read_string((SYSTEMD / "watchdog.conf").read_text())
    assert {parser["Manager"][key] for key in ("RuntimeWatchdogSec", "RebootWatchdogSec")} == {"14s"}


def test_the_file_that_tells_an_update_the_least_time_is_the_one_that_chrony_writes():
    lines = (SYSTEMD / "chrony.conf").read_text().splitlines()
    written = [Path(line.split()[1]) for line in lines if line.startswith("driftfile ")]
    assert written
    assert set(written) <= set(FLOORS)
