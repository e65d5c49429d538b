"""The small card of a virtual machine: a disk of its own for the agent's journal, that fails, lies, or is full.

Between the disk and its file system stands a device-mapper table. Another one in its place makes of an honest card
one that fails (dm-flakey) or lies, and nobody in the machine is told. `guest/card.sh` makes the first table and mounts
the card; a `Machine` has one by `cards={CARD: path}`, and with `WRITES: path` beside it a log of each write to it
(hil.vm.writes). Both files outlive the power, as cards do.

Source: Linux's Documentation/admin-guide/device-mapper, dm-flakey.rst and log-writes.rst.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from hil.vm.machine import Machine

CARD, WRITES = "card", "writes"  # the serial numbers of the two disks
SIZE = 16 << 20  # bytes
LOG_SIZE = 256 << 20  # bytes, of which a log takes what it needs
BLOCK = 4096  # bytes, as on a card that is larger
FOLDER = "/var/lib/roadside/journal"
FILLER = f"{FOLDER}/filler"
OPTIONS = "/etc/hil-card"  # how guest/card.sh mounts it
HONEST = "linear {disk} 0"
LYING = "flakey {disk} 0 0 1 1 drop_writes"  # for no second up, then for one down, and so on
FAILING = "flakey {disk} 0 0 1 1 error_writes"


def make(path: Path, size: int = SIZE) -> None:
    """Make a card with an empty file system; raises CalledProcessError."""
    blank(path, size)
    # Nothing is reserved for root, and nothing is left for the kernel to make ready later.
    options = ("-m", "0", "-b", str(BLOCK), "-E", "lazy_itable_init=0,lazy_journal_init=0")
    subprocess.run(["mke2fs", "-q", "-t", "ext4", *options, path], check=True)


def blank(path: Path, size: int = LOG_SIZE) -> None:
    """Make a disk with nothing on it."""
    with path.open("wb") as file:
        os.ftruncate(file.fileno(), size)


class Card:
    """The card of a machine that is on; the verbs raise HelperError."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    async def lies(self) -> None:
        """Have it say of every write that it is done, and do none; what the kernel has in memory it reads as ever."""
        await self._becomes(LYING)

    async def fails(self) -> None:
        """Have it refuse every write with an error. The kernel then gives its file system up: see `mount_anew`."""
        await self._becomes(FAILING)

    async def is_honest(self) -> None:
        """Have it do again what it says."""
        await self._becomes(HONEST)

    async def _becomes(self, target: str) -> None:
        _start, size, *rest = (await self._machine.helper.run("dmsetup", "table", CARD)).out.split()
        disk = next(word for word in rest if ":" in word)
        table = f"0 {size} {target.format(disk=disk)}"
        # The file system is not frozen: that would write all that it still has in memory.
        swap = f"dmsetup load {CARD} --table '{table}' && dmsetup suspend --noflush --nolockfs {CARD}"
        await self._machine.helper.run("sh", "-c", f"{swap} && dmsetup resume --noudevsync {CARD}")

    async def mount_anew(self) -> None:
        """Have its file system repaired and mounted anew, as nobody but a person does; whoever uses it has stopped."""
        await self._machine.helper.run("systemctl", "restart", "hil-card")

    def mounted(self, *, writable: bool) -> None:
        """Have the next boots mount it so."""
        self._machine.files[OPTIONS] = "rw\n" if writable else "ro\n"

    async def fill(self) -> None:
        """Leave no byte free."""
        await self._machine.helper.run("dd", "if=/dev/zero", f"of={FILLER}", "bs=64k", check=False)

    async def empty(self) -> None:
        """Take away what filled it."""
        await self._machine.helper.run("rm", "-f", FILLER)

    async def mark(self, text: str) -> None:
        """Put a mark into the log of its writes, behind all that it has been made to keep; no blanks in it."""
        await self._machine.helper.run("dmsetup", "message", CARD, "0", "mark", text)
