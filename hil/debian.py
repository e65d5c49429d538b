"""A bare Debian for our version of Python: the root folder of a container or of a virtual machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import re
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hil import foreign

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SUITES = {(3, 11): "bookworm", (3, 13): "trixie"}  # Debian's Python: what is installed for ours runs in there as well
SOURCES = (Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*"))
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "roadside-hil"


class DebianError(Exception):
    """A Debian cannot be made here; the message says why."""


def why_no_suite() -> str:
    """Return why there is no Debian for this Python; empty if there is one."""
    version = sys.version_info[:2]
    return "" if version in SUITES else f"no Debian has Python {version[0]}.{version[1]}"


def bare(packages: Sequence[str], cache: Path = CACHE, *, architecture: str = "") -> Path:
    """Return the archive of a bare Debian with these packages, made if it is not there yet; raises DebianError.

    It is for this machine, or for the `architecture` of Debian's that hil.foreign runs.
    """
    suite = SUITES[sys.version_info[0], sys.version_info[1]]
    recipe = sha256("\n".join([suite, *packages]).encode()).hexdigest()[:12]
    archive = cache / f"{'-'.join(filter(None, (suite, architecture, recipe)))}.tar"
    cache.mkdir(parents=True, exist_ok=True)
    with locked(archive.with_suffix(".lock"), fcntl.LOCK_EX):  # who comes second finds it made
        if not archive.exists():
            _make(archive, suite, packages, architecture)
    return archive


def _make(archive: Path, suite: str, packages: Sequence[str], architecture: str) -> None:
    part = archive.with_name(f"part-{os.getpid()}.tar")
    command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}"]
    if architecture:
        command = [*foreign.COMMAND, *command, f"--architectures={architecture}"]
    with TemporaryDirectory() as folder:
        sources = _sources(suite, Path(folder))
        made = subprocess.run([*command, suite, str(part), *sources], capture_output=True, text=True, check=False)
    if made.returncode:
        part.unlink(missing_ok=True)
        raise DebianError(f"mmdebstrap: {made.stderr.strip()[-500:]}")
    part.replace(archive)


@contextlib.contextmanager
def locked(path: Path, how: int) -> Iterator[None]:
    """Hold a lock of flock(2) on a file, which is made for it."""
    with path.open("a") as file:
        fcntl.flock(file, how)
        yield


def _sources(suite: str, folder: Path) -> list[str]:
    """Write the package sources of this machine for another suite into a folder; return the files' names."""
    ours = platform.freedesktop_os_release().get("VERSION_CODENAME", suite)
    written = []
    for source in SOURCES:
        if source.is_file():
            file = folder / source.name
            file.write_text(re.sub(rf"\b{re.escape(ours)}\b", suite, source.read_text()))
            written.append(str(file))
    return written


def unpack(archive: Path, root: Path) -> None:
    """Lay out such an archive; device nodes are the kernel's business."""
    subprocess.run(["tar", "-xf", str(archive), "-C", str(root), "--exclude=./dev/*"], check=True)


def said(*command: str | Path, folder: Path | None = None) -> str:
    """Run a command and return what it printed; raises DebianError with what it complained of."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    if done.returncode:
        raise DebianError(f"{' '.join(map(str, command))[:200]}: {done.stderr.strip()[-500:]}")
    return done.stdout
