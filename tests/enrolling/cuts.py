"""Enrols one gateway after the other, each ended by SIGKILL one step later than the one before, and then goes on.

`python -m tests.enrolling.cuts FOLDER` reads a claim a line; it prints how many steps there were to be cut at. A step
is whatever changes a file, or asks the service: Python tells of it just before (docs.python.org, "Audit events table").
"""

import os
import signal
import sys
from pathlib import Path

from agent.enrolling.enrolment import enrol
from tests.enrolling.gateways import identity_in

STEPS = {"os.rename", "os.remove", "os.mkdir", "os.symlink", "os.rmdir", "os.truncate", "os.chmod", "socket.connect"}


def is_step(event, arguments):
    return event in STEPS or (event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT)


def cut_at(number):
    """End this process with its step of that number."""
    done = 0

    def hook(event, arguments):
        nonlocal done
        if is_step(event, arguments):
            done += 1
            if done == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def run(folder, token, cut=None):
    """Enrol in a process of its own; return whether it came to its end."""
    process = os.fork()
    if process == 0:
        if cut is not None:
            cut_at(cut)
        enrol(identity_in(folder), token)
        os._exit(0)
    status = os.waitpid(process, 0)[1]
    if cut is None:
        assert status == 0, f"{folder}: does not go on"
    return status == 0


def main(base, tokens):
    for number, token in enumerate(tokens, 1):
        folder = base / str(number)
        if run(folder, token, cut=number):
            sys.stdout.write(str(number - 1))
            return
        keys = [path.read_bytes() for path in folder.rglob("gateway.key")]
        run(folder, token)
        current = identity_in(folder).current()
        assert keys in ([], [current.key.read_bytes()])
        assert sorted(path.name for path in folder.rglob("*") if path.is_file()) == [
            "ca.pem", "gateway.key", "gateway.pem", "service",
        ]  # fmt: skip
    raise AssertionError("more steps than claims")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.stdin.read().split())
