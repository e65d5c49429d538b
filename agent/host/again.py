"""Beginning anew in the same process: same number, same service for systemd, everything else from the start."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def begin_again() -> NoReturn:
    """Replace this process by a new run of its own command line; never returns. Locks are let go as it happens."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - no shell, and our own command line
