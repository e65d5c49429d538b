"""Runs the programs of another processor: `python -m hil.foreign COMMAND...`, as root.

Linux hands a program that it cannot run itself to what binfmt_misc names for it, here QEMU's emulation of the
processor. Since Linux 6.7 each user namespace has a binfmt_misc of its own. So the command runs in such a namespace,
in which every user is the one outside, and what this machine itself knows of foreign programs stays as it was.
"""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from pathlib import Path

COMMAND = (sys.executable, "-m", "hil.foreign")  # and behind it, what is to be run
INTERPRETER = Path("/usr/bin/qemu-aarch64-static")
BINFMT_MISC = Path("/proc/sys/fs/binfmt_misc")
# How an ELF file for Linux on aarch64 begins, as in QEMU's scripts/qemu-binfmt-conf.sh.
MAGIC = bytes.fromhex("7f454c46 02 01 01 00 0000000000000000 0200 b700")
MASK = bytes.fromhex("ffffffff ff ff ff 00 ffffffffffffffff feff ffff")
MACHINES = {0x3E: "x86_64", 0xB7: "aarch64"}  # e_machine of elf(5), and what uname(1) calls it
NEW_NAMESPACES = 0x10000000 | 0x00020000  # CLONE_NEWUSER and CLONE_NEWNS of unshare(2)
EVERYBODY = "0 0 4294967295"  # of user_namespaces(7): each number stands for itself


def machine(root: Path) -> str:
    """Return what uname(1) would call the processor that the programs below a root folder are for."""
    head = (root / "usr/bin/env").read_bytes()[: len(MAGIC)]
    return MACHINES[int.from_bytes(head[18:20], "little")]


def prefix(root: Path) -> list[str]:
    """Return what a command has to begin with that runs programs below a root folder; nothing if they are our own."""
    return [] if machine(root) == platform.machine() else [*COMMAND]


def entry() -> str:
    """Return the line by which binfmt_misc gets to know of aarch64.

    Its F has the kernel open the interpreter now, so that it is found below every root folder.
    """
    magic, mask = ("".join(f"\\x{byte:02x}" for byte in octets) for octets in (MAGIC, MASK))
    return f":qemu-aarch64:M::{magic}:{mask}:{INTERPRETER}:F"


def enter() -> None:
    """Move this process into namespaces where programs for aarch64 run; raises OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.getpid()
    waits, entered = os.pipe()
    mapper = os.fork()
    if mapper == 0:  # stays outside: who is whom in a namespace is written from there
        os.close(entered)
        os.read(waits, 1)
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{process}/{name}").write_text(EVERYBODY)
        os._exit(0)
    if libc.unshare(NEW_NAMESPACES):
        raise OSError(ctypes.get_errno(), "no namespace of its own")
    os.close(entered)
    os.waitpid(mapper, 0)
    if libc.mount(b"binfmt_misc", os.fsencode(BINFMT_MISC), b"binfmt_misc", 0, None):
        raise OSError(ctypes.get_errno(), "no binfmt_misc of its own, which needs Linux 6.7")
    (BINFMT_MISC / "register").write_text(entry())


def main() -> None:
    """Become the command, for which a Pi 4's processor is emulated: that is quicker than the best that QEMU knows."""
    enter()
    os.environ.setdefault("QEMU_CPU", "cortex-a72")
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - a command is what we are given


if __name__ == "__main__":
    main()
