"""What can be said of the unit that enrols without booting anything."""

import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "systemd"
MOST_EXPOSED = 15  # tenths, as for the agent

pytestmark = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def analyze(*arguments):
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False)


def test_the_sandbox_leaves_it_exposed_to_1_5_at_most():
    judged = analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", SYSTEMD / "roadside-enrol.service")
    assert judged.returncode == 0, judged.stdout[-1500:]


def test_systemd_understands_every_line(tmp_path):
    for name in ("roadside-enrol.service", "roadside-enrol.timer"):
        text = (SYSTEMD / name).read_text().replace("/opt/roadside/current/bin/roadside", "/bin/true")
        (tmp_path / name).write_text(text)
    for name in ("roadside-enrol.service", "roadside-enrol.timer"):
        judged = analyze("verify", tmp_path / name)
        assert not [line for line in judged.stderr.splitlines() if "roadside-enrol" in line]
        assert judged.returncode == 0


def test_the_agent_brings_its_timer_along():
    agent = (SYSTEMD / "roadside.service").read_text()
    assert "Wants=time-set.target roadside-enrol.timer\n" in agent
