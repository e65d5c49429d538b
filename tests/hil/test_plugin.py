"""The plugin as its user sees it: what was skipped and why, how often each test passed, and the page."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.system
def test_the_example_passes_and_what_cannot_be_done_is_counted_with_its_reason(tmp_path):
    page = tmp_path / "page.html"
    done = run("--rig=hil/example/rig.toml", "--repeat", "2", f"--hil-report={page}", "hil/example")
    assert done.returncode == 0, done.stdout
    assert "6 passed, 2 skipped" in done.stdout
    assert "what rig hil/example/rig.toml cannot do: 2 skipped" in done.stdout
    assert '2  account: agent.wire = "plain": nobody knows which message says what' in done.stdout
    assert "pass rate: 6 of 6 (100.0%)" in done.stdout
    text = page.read_text("utf-8")
    assert "6 of 6 passed" in text
    assert "What the sensor measures arrives" in text
    assert "button-1.press()" in text
    assert text.count("<svg") == 6
    assert not re.search(r"(src|href)=", text)  # it needs no other file


def test_a_rig_that_is_not_there_is_told_before_any_test_runs():
    done = run("--rig=/nowhere.toml", "hil/example")
    assert done.returncode != 0
    assert "/nowhere.toml: No such file or directory: --rig takes a name" in done.stdout + done.stderr


def test_what_runs_on_a_gateway_imports_no_pytest():
    code = "import agent.app, agent.cli, agent.commands.run, hil.pins, sys; print('pytest' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
