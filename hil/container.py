"""A Debian with systemd as its first process, in a container: the unit, its watchdog and its sandbox are the real ones.

It needs root, mmdebstrap and systemd-nspawn. The bare system is made once (a minute) and kept; it then boots within a
second.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from hil.debian import why_no_suite

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

PACKAGES = ("dbus", "mosquitto", "mosquitto-clients", "procps", "python3", "python3-venv", "systemd", "systemd-sysv")
BOOTS_WITHIN = 120.0  # seconds, on a machine that has other work to do
ENDS_WITHIN = 60.0
DOES_WITHIN = 120.0
SIGRTMIN = 34

# Mounts that nobody else sees, and a file system of control groups that is ours alone: systemd-nspawn cannot use one
# that others have divided.
PRIVATE = ("unshare", "--mount", "--propagation", "private", "sh", "-c")
GROUPS = """
set -e
umount -R /sys/fs/cgroup 2>/dev/null || umount -l /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
"""
BOOT = f"""{GROUPS}
root=$1 name=$2; shift 2
mkdir -p "/sys/fs/cgroup/$name"
echo $$ > "/sys/fs/cgroup/$name/cgroup.procs"
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
exec systemd-nspawn --quiet --directory="$root" --machine="$name" --register=no --keep-unit --boot --console=pipe \\
    --capability=CAP_SYSLOG --system-call-filter="syslog adjtimex clock_adjtime bpf" --link-journal=no "$@"
"""
# Beside a network of its own it may have the rights by which systemd bars devices from a unit (DevicePolicy=).
OWN_NETWORK = ("--private-network", "--capability=CAP_NET_ADMIN,CAP_BPF")
FORGET = f'{GROUPS}\nfind "/sys/fs/cgroup/$1" -depth -type d -exec rmdir {{}} +'
numbers = itertools.count(1)


class ContainerError(Exception):
    """A container cannot be had here; the message says why."""


def why_not() -> str:
    """Return why there can be no container on this machine; empty if there can."""
    if os.geteuid():
        return "a container needs root"
    if missing := [command for command in ("mmdebstrap", "systemd-nspawn", "nsenter") if shutil.which(command) is None]:
        return f"{missing[0]} is not installed"
    if reason := why_no_suite():
        return reason
    probe = ["unshare", "--mount", "--propagation", "private", "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        return "the root of this process is no mount point (a chroot): systemd-nspawn cannot boot from there"
    return ""


class Container:
    """One machine with this root folder. Use it as a context manager; inside it is on.

    `view` are the words before a command that runs where the root folder is mounted. `binds` are files and folders
    by where they are seen in the machine. Its network is its own, with nothing but a loopback, or this machine's.
    """

    def __init__(
        self,
        root: Path,
        *,
        view: Sequence[str] = (),
        binds: Mapping[str, Path] | None = None,
        own_network: bool = True,
    ) -> None:
        self.root = root
        self._view = view
        self._options = [f"--bind={here}:{there}:norbind" for there, here in (binds or {}).items()]
        self._options += [*OWN_NETWORK] if own_network else []
        self._name = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Self:
        try:
            self.boot()
        except BaseException:
            self.off()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.off()

    @property
    def is_on(self) -> bool:
        """Tell whether it has power."""
        return self._process is not None

    def seen(self, path: str) -> Path:
        """Return where a path of the machine, which is on, is found from outside."""
        return Path(f"/proc/{self._leader}/root") / path.lstrip("/")

    def boot(self) -> None:
        """Switch it on, and wait until systemd has started all that there is to start."""
        self._name = f"roadside-{os.getpid()}-{next(numbers)}"
        self._process = subprocess.Popen(
            [
                "setpriv",
                "--pdeathsig",
                "KILL",
                *self._view,
                *PRIVATE,
                BOOT,
                "sh",
                str(self.root),
                self._name,
                *self._options,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        deadline = time.monotonic() + BOOTS_WITHIN
        while not self._is_up():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = self._process.stderr.read().decode() if self._process.poll() and self._process.stderr else ""
                raise ContainerError(f"it does not boot: {said.strip()[-500:]}")
            time.sleep(0.05)

    def _is_up(self) -> bool:
        self._leader = self._leader or self._first_process()
        if not self._leader:
            return False
        state = self.run("systemctl", "is-system-running", check=False).stdout.strip()
        return state in {"running", "degraded"}

    def _first_process(self) -> int:
        """Return the number of its first process as we see it, 0 while there is none."""
        if self._process is None:
            return 0
        try:
            children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
            return next((int(child) for child in children if _name(int(child)) == "systemd"), 0)
        except OSError:
            return 0

    def run(
        self, *command: str, check: bool = True, within: float = DOES_WITHIN, given: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in it, as root, and return what came of it."""
        enter = ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "--"]
        done = subprocess.run(
            [*enter, *command], capture_output=True, text=True, check=False, timeout=within, input=given
        )
        if check and done.returncode:
            raise ContainerError(
                f"{' '.join(command)}: {done.returncode}: {done.stderr.strip() or done.stdout.strip()}"
            )
        return done

    def show(self, unit: str, *properties: str) -> dict[str, str]:
        """Return properties of a unit as systemd shows them."""
        text = self.run("systemctl", "show", unit, f"--property={','.join(properties)}").stdout
        return dict(line.partition("=")[::2] for line in text.splitlines())

    def until(self, condition: Callable[[], object], what: str, within: float = DOES_WITHIN) -> None:
        """Wait for a condition; raises TimeoutError, which says what did not come."""
        deadline = time.monotonic() + within
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(what)
            time.sleep(0.05)

    def power_off(self) -> None:
        """Let systemd stop everything in order."""
        self._end(SIGRTMIN + 4)

    def off(self) -> None:
        """Switch it off at once, as if the power went."""
        self._end(signal.SIGKILL)

    def _end(self, number: int) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        try:
            if self._leader and process.poll() is None:
                os.kill(self._leader, number)
                process.wait(ENDS_WITHIN)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stderr is not None:
                process.stderr.close()
            self._leader = 0
            subprocess.run([*PRIVATE, FORGET, "sh", self._name], capture_output=True, check=False)


def _name(process: int) -> str:
    return Path(f"/proc/{process}/comm").read_text().strip()
