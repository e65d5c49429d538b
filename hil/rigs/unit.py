"""The agent as a service of a real systemd: what a rig adds to its unit, and how it is killed, hung and stopped."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import signal
    from collections.abc import Mapping, Sequence

LOOKED_AT_EVERY = 0.1  # seconds


class Run(Protocol):
    """Runs a command as root where the service is, and returns what it printed; raises if it fails."""

    async def __call__(self, *command: str) -> str:
        """Run it."""
        ...


def drop_in(*lines: tuple[str, str], environment: Mapping[str, str]) -> str:
    """Return a file of a unit's `.d` folder: keys with their values, and the environment."""
    given = [f"Environment={_quoted(f'{name}={value}')}" for name, value in environment.items()]
    return "\n".join(["[Service]", *(f"{key}={value}" for key, value in lines), *given, ""])


def command_line(words: Sequence[str]) -> str:
    """Write a command so that systemd runs these very words (systemd.service(5), "Command lines")."""
    return " ".join(_quoted(word).replace("$", "$$") for word in words)


def _quoted(word: str) -> str:
    for letter, instead in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%")):
        word = word.replace(letter, instead)
    return f'"{word}"'


class Unit:
    """One service."""

    def __init__(self, name: str, run: Run) -> None:
        self.name = name
        self._run = run

    async def shows(self, *properties: str) -> dict[str, str]:
        """Return properties as systemd shows them."""
        said = await self._run("systemctl", "show", self.name, f"--property={','.join(properties)}")
        return dict(line.partition("=")[::2] for line in said.splitlines())

    async def pid(self) -> int:
        """Return the number of its process as it is there, 0 if there is none."""
        return int((await self.shows("MainPID"))["MainPID"])

    async def start(self) -> None:
        """Have it read anew what its unit is, and start it; returns when it is ready."""
        await self._run("systemctl", "daemon-reload")
        await self._run("systemctl", "start", self.name)

    async def send(self, number: signal.Signals) -> None:
        """Send its process a signal, and nobody else."""
        await self._run("systemctl", "kill", "--kill-whom=main", f"--signal={number.name}", self.name)

    async def again(self, than: int) -> None:
        """Wait until another process than this one is ready."""
        while True:
            said = await self.shows("MainPID", "SubState")
            if said["SubState"] == "running" and int(said["MainPID"]) not in {0, than}:
                return
            await asyncio.sleep(LOOKED_AT_EVERY)

    async def stop(self) -> int:
        """Stop it in order, and return the exit status, or the negative number of the signal that ended it."""
        await self._run("systemctl", "stop", self.name)
        said = await self.shows("ExecMainCode", "ExecMainStatus")
        status = int(said["ExecMainStatus"])
        return status if said["ExecMainCode"] == "1" else -status  # CLD_EXITED

    async def ended_at(self) -> float:
        """Return when its last process ended, in seconds of the machine's CLOCK_MONOTONIC."""
        return int((await self.shows("ExecMainExitTimestampMonotonic"))["ExecMainExitTimestampMonotonic"]) / 1e6
