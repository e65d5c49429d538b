"""Runs the system's own programs: by their arguments, never through a shell, and never for long."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

WITHIN = 20.0  # seconds; systemd-analyze takes some on a Pi Zero
LANGUAGE = {"LC_ALL": "C", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_PAGER": ""}


class Done(NamedTuple):
    """What came of a program."""

    status: int
    output: str
    errors: str


def run(argv: Sequence[str]) -> Done:
    """Run a program, and return what came of it; raises OSError if there is none, or it does not end."""
    try:
        done = subprocess.run(
            list(argv), capture_output=True, check=False, timeout=WITHIN, stdin=subprocess.DEVNULL, env=LANGUAGE
        )
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"{argv[0]} does not end") from None
    return Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
