"""Runs the real command as a process."""

from __future__ import annotations

import subprocess
import sys

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONWARNINGS": "error"}
WITHIN = 30  # seconds


def roadside(*arguments, locale="C.UTF-8", encoding="utf-8"):
    """Return the finished process: `returncode`, `stdout`, `stderr`."""
    return subprocess.run(
        [sys.executable, "-m", "agent", *map(str, arguments)],
        env={**ENVIRONMENT, "LANG": locale, "PYTHONIOENCODING": encoding},
        capture_output=True,
        text=True,
        timeout=WITHIN,
        check=False,
    )


def start(*arguments, **options):
    """Return the running process."""
    return subprocess.Popen(
        [sys.executable, "-m", "agent", *map(str, arguments)], env=ENVIRONMENT, text=True, **options
    )
