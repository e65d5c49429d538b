"""A gateway as ssh shows it, played on this machine: `fake_gateway.py ROOT COMMAND...`; one service, and no systemd.

Paths are below ROOT, where `dev/` has the ends of the wires. `ROOT/off` is there while it has no power.
"""

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(sys.argv[1])
PID, LOG, SOCKET = ROOT / "pid", ROOT / "agent.log", ROOT / "run/roadside/control"
WITHIN = 60  # seconds


def pid():
    return int(PID.read_text()) if PID.exists() else 0


def runs(number):
    """Tell whether it runs; one that nobody waited for does not."""
    with contextlib.suppress(OSError, IndexError):
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def until(condition):
    deadline = time.monotonic() + WITHIN
    while not condition():
        if time.monotonic() > deadline:
            sys.exit("never so")
        time.sleep(0.02)


def start():
    if runs(pid()):
        return
    (drop_in,) = (ROOT / "run/systemd/system").glob("*.d/rig.conf")
    lines = [line.partition("=")[2] for line in drop_in.read_text().splitlines() if line.startswith("ExecStart=")]
    command = [word.replace("$$", "$") for word in shlex.split(lines[-1])]
    SOCKET.unlink(missing_ok=True)
    with LOG.open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd=ROOT
        )
    PID.write_text(str(process.pid))
    until(SOCKET.exists)


def end(number):
    if runs(pid()):
        os.kill(pid(), number)
        until(lambda: not runs(pid()))


match sys.argv[2:]:
    case ["power", "off"]:
        (ROOT / "off").touch()
        end(signal.SIGKILL)
        shutil.rmtree(SOCKET.parent, ignore_errors=True)  # what was in memory
    case ["power", "on"]:
        (ROOT / "off").unlink(missing_ok=True)
    case _ if (ROOT / "off").exists():
        sys.exit("no route to host")
    case ["true"] | ["systemctl", "daemon-reload"]:
        pass
    case ["mkdir", "-p", folder]:
        (ROOT / folder.lstrip("/")).mkdir(parents=True, exist_ok=True)
    case ["tee", path]:
        (ROOT / path.lstrip("/")).write_bytes(sys.stdin.buffer.read())
    case ["systemctl", "start", _]:
        start()
    case ["systemctl", "stop", _]:
        end(signal.SIGTERM)
    case ["systemctl", "kill", _, number, _]:
        if number == "--signal=SIGSTOP":
            os.kill(pid(), signal.SIGSTOP)
            number = "--signal=SIGKILL"  # WatchdogSec=
        end(signal.Signals[number.partition("=")[2]])
        start()  # Restart=always
    case ["systemctl", "show", _, wanted]:
        told = {"MainPID": pid() * runs(pid()), "SubState": "running" if runs(pid()) else "dead"}
        told |= {"ExecMainCode": 1, "ExecMainStatus": 0}
        for key in wanted.partition("=")[2].split(","):
            sys.stdout.write(f"{key}={told[key]}\n")
    case ["journalctl", *_]:
        os.execlp("tail", "tail", "-n0", "-F", str(LOG))  # noqa: S606 - no shell is the point
    case other:
        sys.exit(f"no such command here: {other}")
