"""Why a device file cannot be used, in words that say how to mend it."""

from __future__ import annotations

import contextlib
import errno
import grp
import os
import pwd
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

GROUP_MAY_USE = stat.S_IRGRP | stat.S_IWGRP


def permission(device: Path, number: int = 0) -> str:
    """Say what keeps this user from a device file; `number` is the errno of the attempt.

    EPERM is the answer of a control group that bars devices, whatever their mode; a mode's own is EACCES.
    """
    user = _name(pwd.getpwuid, os.geteuid())
    try:
        status = device.stat()
    except OSError:
        return f"user {user} may not enter the folder it is in"
    forbidden = f"user {user} has the permission, but a sandbox forbids it; see DeviceAllow= of the service"
    if number == errno.EPERM:
        return forbidden
    group = _name(grp.getgrgid, status.st_gid)
    if status.st_mode & GROUP_MAY_USE == GROUP_MAY_USE and status.st_gid not in (os.getegid(), *os.getgroups()):
        return f"it belongs to group {group}, and user {user} is not in that group; sudo usermod -aG {group} {user}"
    if os.access(device, os.R_OK | os.W_OK, effective_ids=True):
        return forbidden
    return f"its mode {stat.filemode(status.st_mode)} (group {group}) does not let user {user} in; a udev rule can"


def holder(device: Path) -> str:
    """Name the process that has a device file open, as far as /proc tells."""
    with contextlib.suppress(OSError):
        status = device.stat()
        for pid in (*_lockers(status), *_openers(status)):
            with contextlib.suppress(OSError):
                return f"{Path(f'/proc/{pid}/comm').read_text('utf-8').strip()} (process {pid})"
    return "another process"


def _lockers(device: os.stat_result) -> Iterator[int]:
    """Yield who holds a flock(2) on it: proc_locks(5)."""
    place = f"{os.major(device.st_dev):02x}:{os.minor(device.st_dev):02x}:{device.st_ino}"
    for lock in Path("/proc/locks").read_text("ascii").splitlines():
        fields = lock.split()
        if fields[1] == "FLOCK" and fields[5] == place:
            yield int(fields[4])


def _openers(device: os.stat_result) -> Iterator[int]:
    """Yield who has it open; without privileges /proc shows only the user's own processes."""
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.path.samestat(descriptor.stat(), device):
                yield int(descriptor.parts[2])


def _name(look_up: Callable[[int], pwd.struct_passwd | grp.struct_group], number: int) -> str:
    try:
        return str(look_up(number)[0])
    except KeyError:  # a container's user need not have a name
        return str(number)
