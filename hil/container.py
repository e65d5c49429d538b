"""A Debian with systemd as its first process, in a container: the unit, its watchdog and its sandbox are the real ones.

It needs root, mmdebstrap and systemd-nspawn. The bare system is made once (a minute) and kept; it then boots within a
second. It has a network of its own with nothing but a loopback.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

PACKAGES = ("dbus", "mosquitto", "mosquitto-clients", "procps", "python3", "python3-venv", "systemd", "systemd-sysv")
SUITES = {(3, 11): "bookworm", (3, 13): "trixie"}  # Debian's Python: what is installed for ours runs in there as well
SOURCES = (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*"))
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "roadside-hil"
BOOTS_WITHIN = 60.0  # seconds
ENDS_WITHIN = 20.0
SIGRTMIN = 34

# A file system of control groups that is ours alone; systemd-nspawn cannot use one that others have divided.
BOOT = """
set -e
umount -R /sys/fs/cgroup 2>/dev/null || umount -l /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p "/sys/fs/cgroup/$2"
echo $$ > "/sys/fs/cgroup/$2/cgroup.procs"
export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
exec systemd-nspawn --quiet --directory="$1" --machine="$2" --register=no --keep-unit --boot --console=pipe \\
    --private-network --capability=CAP_SYSLOG --system-call-filter="syslog adjtimex clock_adjtime" --link-journal=no
"""


class ContainerError(Exception):
    """A container cannot be had here; the message says why."""


def why_not() -> str:
    """Return why there can be no container on this machine; empty if there can."""
    if os.geteuid():
        return "a container needs root"
    if missing := [command for command in ("mmdebstrap", "systemd-nspawn", "nsenter") if shutil.which(command) is None]:
        return f"{missing[0]} is not installed"
    if sys.version_info[:2] not in SUITES:
        return f"no Debian has Python {sys.version_info[0]}.{sys.version_info[1]}"
    probe = ["unshare", "--mount", "--propagation", "private", "true"]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        return "the root of this process is no mount point (a chroot): systemd-nspawn cannot boot from there"
    return ""


def bare(cache: Path = CACHE) -> Path:
    """Return the archive of a bare Debian for our version of Python, made if it is not there yet."""
    suite = SUITES[sys.version_info[0], sys.version_info[1]]
    recipe = sha256("\n".join([suite, *PACKAGES]).encode()).hexdigest()[:12]
    archive = cache / f"{suite}-{recipe}.tar"
    if not archive.exists():
        cache.mkdir(parents=True, exist_ok=True)
        part = archive.with_name(f"part-{os.getpid()}.tar")
        sources = [str(source) for source in SOURCES if source.is_file()]
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", suite, str(part)]
        made = subprocess.run([*command, *sources], capture_output=True, text=True, check=False)
        if made.returncode:
            part.unlink(missing_ok=True)
            raise ContainerError(f"mmdebstrap: {made.stderr.strip()[-500:]}")
        part.replace(archive)
    return archive


class Container:
    """One machine. Use it as a context manager: `prepare` gets its root folder before it boots."""

    def __init__(self, prepare: Callable[[Path], None], archive: Path | None = None) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="roadside-container-")
        self.root = Path(self._folder.name) / "root"
        self.name = f"roadside-{os.getpid()}"
        self._archive = archive
        self._prepare = prepare
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Self:
        self.root.mkdir()
        unpack = ["tar", "-xf", str(self._archive or bare()), "-C", str(self.root), "--exclude=./dev/*"]
        try:
            subprocess.run(unpack, check=True)
            self._prepare(self.root)
            self.boot()
        except BaseException:
            self.off()
            self._folder.cleanup()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.off()
        self._folder.cleanup()

    def boot(self) -> None:
        """Switch it on, and wait until systemd has started all that there is to start."""
        self._process = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", BOOT, "sh", str(self.root), self.name],
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
        self, *command: str, check: bool = True, within: float = 60.0, given: str | None = None
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

    def until(self, condition: Callable[[], object], what: str, within: float = 20.0) -> None:
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


def _name(process: int) -> str:
    return Path(f"/proc/{process}/comm").read_text().strip()


def copy_distributions(names: Sequence[str], site: Path) -> None:
    """Copy installed distributions, and all that they need, into another folder of packages."""
    from importlib.metadata import PackageNotFoundError, distribution

    from packaging.requirements import Requirement

    waiting, copied = list(names), set[str]()
    while waiting:
        name = waiting.pop()
        if name in copied:
            continue
        copied.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # only needed elsewhere
        needed = map(Requirement, found.requires or ())
        waiting += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
        for file in found.files or ():
            source = Path(str(found.locate_file(file)))
            if ".." not in file.parts and source.is_file():
                target = site / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
