"""The gateway of a bench, at the other end of ssh, and commands of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from hil.rigs.base import RigError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

RUN_WITHIN = 60.0  # seconds
AGAIN_AFTER = 1.0  # seconds


class Gateway:
    """Runs commands on the gateway, as root. `prefix` stands before each, such as `["ssh", "root@gateway"]`."""

    def __init__(self, prefix: Sequence[str]) -> None:
        self._prefix = list(prefix)

    async def run(self, *command: str) -> str:
        """Run a command there, and return what it printed; raises RigError."""
        return await run(self.words(*command))

    async def put(self, path: str, data: bytes) -> None:
        """Put a file in place there; raises RigError."""
        await self.run("mkdir", "-p", str(Path(path).parent))
        await run(self.words("tee", path), data)

    async def answers(self) -> None:
        """Wait until it does."""
        while True:
            with contextlib.suppress(RigError):
                await self.run("true")
                return
            await asyncio.sleep(AGAIN_AFTER)

    def words(self, *command: str) -> list[str]:
        """Return the words that run a command there: ssh hands its own, joined, to a shell at the other end."""
        if Path(self._prefix[0]).name == "ssh":
            return [*self._prefix, shlex.join(command)]
        return [*self._prefix, *command]


async def run(command: Sequence[str], data: bytes = b"") -> str:
    """Run a command of this machine, and return what it printed; raises RigError."""
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
    except OSError as error:
        raise RigError(f"{command[0]}: {error.strerror}") from error
    try:
        async with asyncio.timeout(RUN_WITHIN):
            printed, complaints = await process.communicate(data)
    except TimeoutError:
        raise RigError(f"{shlex.join(command)}: not over within {RUN_WITHIN:g} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise RigError(f"{shlex.join(command)}: exit status {process.returncode}: {complaints.decode().strip()}")
    return printed.decode()


@contextlib.asynccontextmanager
async def kept_running(command: Sequence[str], into: Path | None = None) -> AsyncIterator[None]:
    """Have a command run meanwhile, and again whenever it has ended; what it prints is appended to a file."""

    async def keep() -> None:
        while True:
            with (into or Path("/dev/null")).open("ab") as file:
                process = await asyncio.create_subprocess_exec(
                    *command, stdin=asyncio.subprocess.DEVNULL, stdout=file, stderr=asyncio.subprocess.DEVNULL
                )
            try:
                await process.wait()
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            await asyncio.sleep(AGAIN_AFTER)

    task = asyncio.create_task(keep())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
