"""The agent under strace(1), which writes down what it does and kills it at one system call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tests.kills.trace import OPTIONS, Call, Trace

if TYPE_CHECKING:
    from collections.abc import Sequence

PROJECT = Path(__file__).parents[2]
HELD = "60s"  # how long strace holds a thread on the exit of a call: until we have killed the process
# Only the calls in question are slowed down. A signal that strace injects on the entry of a call gets lost with this:
# the kernel takes none when a thread goes on from the stop of a seccomp filter (ptrace(2), "PTRACE_EVENT stops").
QUICK = "--seccomp-bpf"
LOOK_EVERY = 0.02  # seconds

# Those of the journal's files and folders, of sockets, and of threads. Without `read`, whose buffers are whole modules.
CALLS = (
    "pwrite64", "openat", "unlink", "fdatasync", "fsync", "ftruncate", "rename", "mkdir", "getdents64", "close",
    "write", "sendto", "recvfrom", "epoll_wait", "epoll_pwait", "epoll_ctl", "futex", "clone3", "shutdown",
    "rt_sigreturn", "exit_group",
)  # fmt: skip


class Kill(NamedTuple):
    """Where the process is killed: at the n-th time that one of its threads makes a call.

    On entry the call is not performed; on exit it has been, and the process has not been told so.
    """

    call: str
    when: int
    on_exit: bool


class TracedAgent:
    """One run of the agent, its trace in a folder of its own."""

    def __init__(self, command: Sequence[str], *, root: Path, folder: Path, kill: Kill | None) -> None:
        self.folder = folder
        self.kill = kill
        self.status: int | None = None
        self._command = list(command)
        self._root = root
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start it."""
        self.folder.mkdir(parents=True)
        with (self._root / "agent.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "KILL", "strace", *OPTIONS, "-o", str(self.folder / "trace")),
                *("-e", f"trace={_set(CALLS)}", *self._inject()),
                *self._command,
                env={**os.environ, "PYTHONPATH": str(PROJECT)},
                cwd=self._root,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._watch = asyncio.create_task(self._kill_on_exit()) if self.kill and self.kill.on_exit else None

    def _inject(self) -> Sequence[str]:
        if self.kill is None:
            return (QUICK,)
        what = f"inject={_set([self.kill.call])}"
        if self.kill.on_exit:
            return (QUICK, "-e", f"{what}:delay_exit={HELD}:when={self.kill.when}")
        return ("-e", f"{what}:signal=SIGKILL:when={self.kill.when}")

    @property
    def has_ended(self) -> bool:
        """Whether it has come to an end."""
        return self._process is not None and self._process.returncode is not None

    async def ended(self, within: float) -> bool:
        """Wait until it has ended; returns whether it has."""
        assert self._process is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                self.status = await self._process.wait()
        if self.status is not None and self._watch is not None:
            self._watch.cancel()
        return self.status is not None

    def terminate(self) -> None:
        """Send the agent SIGTERM."""
        self._signal(signal.SIGTERM)

    async def end(self) -> None:
        """Kill it from outside, wherever it is."""
        assert self._process is not None
        if self._process.returncode is None:
            self._signal(signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()  # strace, which would hold a thread that is delayed even when that is dead
            await self.ended(10.0)

    def _signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        tracer = self._process.pid
        with contextlib.suppress(OSError):
            for child in Path(f"/proc/{tracer}/task/{tracer}/children").read_text("ascii").split():
                os.kill(int(child), number)

    async def _kill_on_exit(self) -> None:
        """Kill the agent once strace says that it holds a thread, with the call done and its result not yet known."""
        seen: dict[Path, int] = {}
        while True:
            await asyncio.sleep(LOOK_EVERY)
            for path in self.folder.glob("trace.*"):
                with path.open("rb") as lines:
                    lines.seek(seen.get(path, 0))
                    text = lines.read()
                seen[path] = seen.get(path, 0) + text.rfind(b"\n") + 1
                if b" (DELAYED)\n" in text:
                    await self.end()
                    return

    def last_call(self, trace: Trace) -> Call | None:
        """Return the call at which the process was killed, or None if it came to another end."""
        if self.kill is None or self.status == 0:
            return None
        for calls in trace.threads:
            same = [call for call in calls if call.name == self.kill.call]
            if len(same) == self.kill.when and calls[-1] is same[-1] and same[-1].returned is self.kill.on_exit:
                return same[-1]
        return None


def command(root: Path, **settings: str) -> list[str]:
    """Return the command line of an agent on a root."""
    config = Path(__file__).with_name("gateway.toml")
    run = ["setpriv", "--pdeathsig", "KILL", sys.executable, "-m", "agent", "run"]
    run += ["--config", str(config), "--root", str(root)]
    for key, value in settings.items():
        run += ["--set", f"{key}={value}"]
    return run


def _set(calls: Sequence[str]) -> str:
    return ",".join(f"?{call}" for call in calls)  # "?": not every architecture has each of them
