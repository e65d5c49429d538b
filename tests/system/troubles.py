"""Ways to start an agent, or another process, so that it meets a real trouble of the machine."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

# The agent stays our own child (-D), and only the calls in question are slowed down (--seccomp-bpf).
STRACE = ("strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null")
FULL = 256 * 1024  # bytes a small disk holds


def unprivileged(_: Path) -> Sequence[str]:
    """Respect file permissions: root is not asked for them unless it gives these capabilities up."""
    if os.geteuid() != 0:
        return ()
    return ("setpriv", "--bounding-set=-dac_override,-dac_read_search")


def hanging_open(device: str) -> Callable[[Path], Sequence[str]]:
    """Have open(2) of one device file hang for a minute, as the driver of a wedged adapter does."""

    def wrap(root: Path) -> Sequence[str]:
        return (
            *(*STRACE, "-P", str(root / device)),
            *inject("openat:delay_enter=60s"),
        )

    return wrap


def unsynchronised(_: Path) -> Sequence[str]:
    """Hide from the agent that this machine's own clock may be synchronised."""
    return (*STRACE, *inject("adjtimex,clock_adjtime:error=EPERM"))


def inject(what: str) -> Sequence[str]:
    """Return the options of strace(1) that change what system calls do."""
    return ("-e", f"trace={what.partition(':')[0]}", "-e", f"inject={what}")


def ended(pid: int) -> bool:
    """Return whether a process has come to its end, also when a tracer still holds one of its threads."""
    return field(pid, "State").startswith("Z")


def release(pid: int) -> None:
    """End the tracer of a process, if it has one. While strace delays a call, it does not let even a dead thread go."""
    tracer = int(field(pid, "TracerPid"))
    if tracer:
        os.kill(tracer, signal.SIGKILL)


def field(pid: int, name: str, file: str = "status") -> str:
    """Return a field of /proc/PID/status, or of another file of that form."""
    lines = Path(f"/proc/{pid}/{file}").read_text("utf-8").splitlines()
    return next(line for line in lines if line.startswith(f"{name}:")).partition(":")[2].strip()


def small_disk(folder: str) -> Callable[[Path], Sequence[str]]:
    """Put a small disk of its own below the root, which no other process sees; `inside` leads there."""

    def wrap(root: Path) -> Sequence[str]:
        # Nothing mounted here may reach the machine. A chroot has no root to make private.
        private = "mount --make-rprivate / 2>/dev/null || true"
        mount = f"mkdir -p '{root / folder}' && mount -t tmpfs -o size={FULL} small '{root / folder}' && exec \"$@\""
        mapped = () if os.geteuid() == 0 else ("--map-root-user",)
        return ("unshare", "--mount", "--propagation", "unchanged", *mapped, "sh", "-c", f"{private}; {mount}", "sh")

    return wrap


def inside(pid: int, path: Path) -> Path:
    """Return a path as a process with mounts of its own sees it."""
    return Path(f"/proc/{pid}/root") / path.relative_to("/")


def fill(folder: Path) -> Path:
    """Fill the disk that a folder is on, and return the file that does."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(512))
        except OSError:
            return filler


@asynccontextmanager
async def process(*command: str, **streams: int) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run another process for a while."""
    other = await asyncio.create_subprocess_exec(*command, **streams)
    try:
        yield other
    finally:
        if other.returncode is None:
            other.kill()
        await other.wait()


def memory(pid: int) -> int:
    """Return the bytes of memory that a process has for itself: its proportional set size."""
    return int(field(pid, "Pss", "smaps_rollup").split()[0]) * 1024
