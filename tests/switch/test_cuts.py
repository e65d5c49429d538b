"""The switcher is cut after each of its system calls: there is always a whole release, and the next command goes on.

strace ends it with SIGKILL at each call that changes or syncs anything, one run for each.
"""

import re
import shutil
import subprocess
import sys
from collections import Counter

import pytest

from tests.switch.test_switch import SWITCH, Gateway

MANY = 5  # calls that an end or a beginning of a trial takes at the least
CALLS = "openat,write,fsync,rename,renameat,renameat2,unlink,unlinkat,symlink,symlinkat"

pytestmark = pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")


def traced(gateway, *arguments, inject=()):
    """Run a command under strace; return its calls in order, each with how many of its name it is."""
    log = gateway.base / "strace"
    command = [sys.executable, "-I", "-S", str(SWITCH), "--base", str(gateway.base), "--proof", str(gateway.proof)]
    strace = ["strace", "-f", "-o", str(log), "-e", f"trace={CALLS}", *inject]
    subprocess.run([*strace, *command, *arguments], capture_output=True, check=False)
    counted, calls = Counter(), []
    for line in log.read_text().splitlines():
        if found := re.search(r"(\w+)\(", line):
            counted[found[1]] += 1
            calls.append((found[1], counted[found[1]], line))
    return calls


def changes(gateway, *arguments):
    """Return the calls of a command that make, fill, sync, rename or remove something, but for what it prints."""
    calls = traced(gateway, *arguments)
    first = next(at for at, (_, _, line) in enumerate(calls) if "trial" in line or "current" in line)
    return [
        (name, number)
        for name, number, line in calls[first:]
        if (name != "openat" or "O_CREAT" in line) and not line.partition("write(")[2].startswith(("1,", "2,"))
    ]


def prepared(folder, state):
    gateway = Gateway(folder)
    gateway.switch("try", "1.0")
    gateway.says("1.0", delivered=True, online=True)
    if state != "fresh":
        gateway.switch("try", "1.1")
        gateway.says("1.1", delivered=state == "proven", online=True)
        gateway.let_pass(2)
    if state == "late":
        gateway.let_pass(11)
    if state == "worn":
        for _ in range(3):
            gateway.switch("starting")
    return gateway


def go_on(gateway):
    """Do what systemd does next, and what the timer does."""
    gateway.switch("starting")
    if gateway.trial:
        gateway.let_pass(2)
    gateway.switch("judge")


def reached(gateway):
    return gateway.current, gateway.trial is None


COMMANDS = {
    "the switch to a new release": ("fresh", ("try", "1.1")),
    "the end of a trial that went well": ("proven", ("judge",)),
    "the end of a trial that did not": ("late", ("judge",)),
    "the start that is one too many": ("worn", ("starting",)),
    "the way back by hand": ("tried", ("back",)),
}


@pytest.mark.parametrize("what", COMMANDS)
def test_a_cut_leaves_a_whole_release_and_the_next_command_comes_to_the_same_end(tmp_path, what):
    state, arguments = COMMANDS[what]
    whole = prepared(tmp_path / "whole", state)
    calls = changes(whole, *arguments)
    untouched = prepared(tmp_path / "untouched", state)
    go_on(untouched)
    assert len(calls) >= MANY
    for name, number in calls:
        gateway = prepared(tmp_path / f"{name}{number}", state)
        traced(gateway, *arguments, inject=("-e", f"inject={name}:signal=KILL:when={number}"))
        assert "killed by SIGKILL" in (gateway.base / "strace").read_text()
        assert (gateway.base / "current/COMPLETE").exists()
        go_on(gateway)
        assert (gateway.base / "current/COMPLETE").exists()
        assert reached(gateway) in {reached(whole), reached(untouched)}, (name, number)
        shutil.rmtree(tmp_path / f"{name}{number}")
