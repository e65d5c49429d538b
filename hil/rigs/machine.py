"""A view of this machine that an agent has for itself: a card and a memory of its own, a boot, and a wall clock.

Card, memory and boot id are mounts that nobody else sees, held by a process that does nothing else, so that they
outlive the agent as a card does. The clocks are set by a library that is loaded before the C library.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import struct
import subprocess
import tempfile
import time
import uuid
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from hil.rigs.base import Part, RigError, step

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from hil.rigs.timeline import Timeline

BOOT_ID = "/proc/sys/kernel/random/boot_id"
CARD_SIZE = "4m"
MEMORY_SIZE = "24m"
STA_UNSYNC = 0x0040  # linux/timex.h
# Nothing mounted here may reach the machine. A chroot has no root to make private.
HOLD = "mount --make-rprivate / 2>/dev/null; echo; exec sleep infinity"
NAMESPACES = ("--mount",) if os.geteuid() == 0 else ("--mount", "--user")
CLOCKS = struct.Struct("=qq")  # nanoseconds that are added to the wall clock, and to what counts since boot
CLOCK_SOURCE = Path(__file__).with_name("wallclock.c")


@cache
def why_no_mounts() -> str:
    """Return why an agent can have no mounts of its own here; empty if it can."""
    for command in ("unshare", "nsenter", "mount"):
        if shutil.which(command) is None:
            return f"{command} is not installed"
    probe = subprocess.run([*_unshare(), "mount -t tmpfs rig /tmp"], capture_output=True, text=True, check=False)
    return f"mounts of one's own are not allowed here: {probe.stderr.strip()}" if probe.returncode else ""


@cache
def why_no_step() -> str:
    """Return why an agent's wall clock cannot be set here; empty if it can."""
    return "" if shutil.which("cc") else "no C compiler (cc) is installed, which makes the library that sets the clock"


@cache
def why_no_clock() -> str:
    """Return why an agent would know the time here although no time server can be heard; empty if it would not."""
    fields = (ctypes.c_long * 64)()  # struct timex, to read only
    if ctypes.CDLL(None).adjtimex(fields) >= 0 and not fields[5] & STA_UNSYNC:
        return "the kernel of this machine says that its clock is synchronised, and an agent may ask it"
    return ""


def _unshare() -> list[str]:
    mapped = [] if os.geteuid() == 0 else ["--map-root-user"]
    return ["unshare", "--mount", "--propagation", "unchanged", *mapped, "sh", "-c"]


class Machine:
    """What is below `root` as an agent sees it. Use it as an asynchronous context manager.

    `card` and `memory` are folders below the root: the one holds 4 MiB, the other is lost with the power.
    """

    def __init__(self, root: Path, *, card: str, memory: str) -> None:
        self._root = root
        self._card = root / card if card else None
        self._memory = root / memory if memory else None
        self._holder: asyncio.subprocess.Process | None = None
        self._clock = root / "wallclock"

    async def __aenter__(self) -> Self:
        for folder in filter(None, (self._card, self._memory)):
            folder.mkdir(parents=True, exist_ok=True)
        self._clock.write_bytes(CLOCKS.pack(0, 0))
        if not why_no_mounts():
            self._holder = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "KILL", *_unshare(), HOLD), cwd=self._root, stdout=subprocess.PIPE
            )
            assert self._holder.stdout is not None  # noqa: S101 - it was asked for
            await self._holder.stdout.readline()
            await self._mount("-t", "tmpfs", "-o", f"size={CARD_SIZE}", "card", self._card)
            await self._mount("-t", "tmpfs", "-o", f"size={MEMORY_SIZE}", "memory", self._memory)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._holder is not None:
            self._holder.kill()
            await self._holder.communicate()

    def inside(self, *command: str) -> list[str]:
        """Return a command that runs in this view; its working directory is the root."""
        if self._holder is None:
            return list(command)
        enter = ["nsenter", f"--target={self._holder.pid}", *NAMESPACES, "--root", "--wd"]
        return [*enter, *(() if os.geteuid() == 0 else ("--preserve-credentials",)), *command]

    def seen(self, path: Path) -> Path:
        """Return where a path of this view is found from outside."""
        return path if self._holder is None else Path(f"/proc/{self._holder.pid}/root") / path.relative_to("/")

    @property
    def environment(self) -> dict[str, str]:
        """What the agent's environment needs, so that its wall clock can be set."""
        if why_no_step():
            return {}
        return {"LD_PRELOAD": str(_library()), "RIG_CLOCK": str(self._clock)}

    def set_clock(self, seconds: float) -> None:
        """Have the wall clock be off by so much from now on."""
        self._add_to_clocks(0, round(seconds * 1e9))

    def _add_to_clocks(self, which: int, nanoseconds: int) -> None:
        with self._clock.open("r+b", buffering=0) as file:  # it is mapped: it must stay the same file
            os.pwrite(file.fileno(), struct.pack("=q", nanoseconds), 8 * which)

    async def power_lost(self) -> None:
        """Forget what was in memory, and begin another boot, as far as an agent can be made to believe it."""
        if self._memory is not None:
            for entry in self.seen(self._memory).iterdir():
                shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        if self._holder is not None and not why_no_step():
            self._add_to_clocks(1, -time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW))
            boot = self._root / "boot_id"
            boot.write_text(f"{uuid.uuid4()}\n", encoding="ascii")
            await self.run("mount", "--bind", str(boot), BOOT_ID)

    async def card_takes_writes(self, *, yes: bool) -> None:
        """Mount the card anew, read-only or not; raises RigError while somebody writes on it."""
        await self.run("mount", "-o", f"remount,{'rw' if yes else 'ro'}", str(self._card))

    def fill_card(self) -> None:
        """Leave no byte free on the card."""
        with (self._on_card() / "filler").open("wb", buffering=0) as file:
            for size in (65536, 4096, 512):
                _write_all(file.fileno(), size)

    def empty_card(self) -> None:
        """Take away what filled it."""
        (self._on_card() / "filler").unlink(missing_ok=True)

    def _on_card(self) -> Path:
        if self._card is None:
            raise RigError("the rig's description names no folder on the card (agent.card)")
        return self.seen(self._card)

    async def _mount(self, *options: str | Path | None) -> None:
        if None not in options:
            await self.run("mount", *map(str, options))

    async def run(self, *command: str) -> None:
        """Run a command in this view; raises RigError."""
        process = await asyncio.create_subprocess_exec(*self.inside(*command), stderr=subprocess.PIPE)
        _, said = await process.communicate()
        if process.returncode:
            raise RigError(f"{' '.join(command)}: {said.decode().strip()}")


class Card(Part):
    """The small disk that is the card."""

    def __init__(self, machine: Machine, timeline: Timeline) -> None:
        super().__init__("disk", timeline)
        self._machine = machine

    @step
    async def fill(self) -> None:
        """Fill it up."""
        self._machine.fill_card()

    @step
    async def empty(self) -> None:
        """Take away what filled it."""
        self._machine.empty_card()

    @step
    async def read_only(self) -> None:
        """Let it take no more writes."""
        await self._machine.card_takes_writes(yes=False)

    @step
    async def writable(self) -> None:
        """Let it take writes again."""
        await self._machine.card_takes_writes(yes=True)


def _write_all(descriptor: int, size: int) -> None:
    try:
        while True:
            os.write(descriptor, bytes(size))
    except OSError:
        return


@cache
def _library() -> Path:
    """Return the library that sets the clock of whoever loads it, made once a process."""
    folder = Path(tempfile.gettempdir()) / f"hil-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    made = folder / f"wallclock-{os.getpid()}.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", made, CLOCK_SOURCE], check=True)
    library = folder / "wallclock.so"
    made.replace(library)
    return library
