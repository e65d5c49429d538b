"""Runs the check of a release apart from everything: as a user without rights, in a sandbox that ends with it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING

from agent.updating.archive import MANIFEST, Checked

if TYPE_CHECKING:
    from collections.abc import Sequence

USER = "roadside-update"  # systemd/roadside.sysusers
STATE = Path("/var/lib") / USER  # what is trusted, and what was fetched
FETCHED = "fetched"  # in there
LIB = Path(__file__).parents[2]
# The folder is the only place that it may write to. The release comes as an open file: it needs no file system for it.
SANDBOX = (
    f"User={USER}", f"StateDirectory={USER}", "StateDirectoryMode=0700", "UMask=0077", "CapabilityBoundingSet=",
    "NoNewPrivileges=yes", "PrivateUsers=yes", "ProtectSystem=strict", "ProtectHome=yes", "PrivateTmp=yes",
    "PrivateDevices=yes", "PrivateIPC=yes", "PrivateMounts=yes", "ProtectProc=invisible", "ProtectClock=yes",
    "ProtectHostname=yes", "ProtectKernelLogs=yes", "ProtectKernelModules=yes", "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes", "RestrictNamespaces=yes", "RestrictRealtime=yes", "RestrictSUIDSGID=yes",
    "LockPersonality=yes", "SystemCallArchitectures=native", "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources", "MemoryMax=256M", "TasksMax=16", "RuntimeMaxSec=30min",
)  # fmt: skip
OFFLINE = ("PrivateNetwork=yes", "RestrictAddressFamilies=AF_UNIX")
ONLINE = ("RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",)


class ConfinedError(Exception):
    """It was not found good; the message is what the check said."""


def command(*, online: bool, language: str) -> list[str]:
    """Return what runs the check in its sandbox; its own arguments follow."""
    properties = [word for line in (*SANDBOX, *(ONLINE if online else OFFLINE)) for word in ("--property", line)]
    environment = [f"--setenv=PYTHONPATH={LIB}", "--setenv=PYTHONDONTWRITEBYTECODE=1"]
    return ["systemd-run", "--quiet", "--pipe", "--wait", "--collect", *properties, *environment,
            *check(language, STATE)]  # fmt: skip


def check(language: str, trusted: Path) -> list[str]:
    """Return what runs the check by itself."""
    program = [sys.executable, "-sP", "-m", "agent.updating.verifying"]
    return [*program, "--trusted", str(trusted), "--language", language]


def ask(checking: Sequence[str], file: IO[bytes] | None) -> Checked:
    """Return a release that was found good; raises ConfinedError.

    What comes back is only looked at for its shape: the one who answers has no rights, but is believed.
    """
    given = subprocess.DEVNULL if file is None else file
    done = subprocess.run(checking, stdin=given, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfinedError(done.stderr.strip() or f"{checking[0]}: {done.returncode}")
    try:
        said = json.loads(done.stdout)
        files = {str(name): (int(at), int(size), str(digest)) for name, (at, size, digest) in said["files"].items()}
        version = str(said["version"])
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ConfinedError(f"the check answered nonsense: {error}") from error
    if MANIFEST not in files or "/" in version or version.startswith("."):
        raise ConfinedError("the check answered nonsense")
    return Checked(version, files)
