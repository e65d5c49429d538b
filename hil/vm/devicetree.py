"""The device tree of a virtual machine: QEMU's own of the board, but for what gpiozero takes for a Raspberry Pi.

QEMU makes one for each boot, with a new seed for the kernel's random numbers in it. From that goes the board's own
GPIO chip with its power button, so that the first chip is the one that gpio-sim makes; and in it comes the revision
that a Pi's firmware puts there.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

GPIO = ("/gpio-keys", "/pl061@9030000")
SYSTEM = "/system"


class DeviceTreeError(Exception):
    """A device tree cannot be made; the message says what was said."""


async def write(path: Path, qemu: Sequence[str], revision: str) -> None:
    """Write the tree of the board that this command of QEMU's makes; raises DeviceTreeError."""
    await _run(*qemu, "-M", f"dumpdtb={path}", "-display", "none")
    await _run("fdtput", "-r", str(path), *GPIO)
    await _run("fdtput", "-c", str(path), SYSTEM)
    await _run("fdtput", "-t", "x", str(path), SYSTEM, "linux,revision", revision)


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise DeviceTreeError(f"{' '.join(command)}: {said.decode(errors='replace').strip()[-500:]}")
