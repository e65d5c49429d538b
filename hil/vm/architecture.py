"""What differs from one processor to the next: a virtual machine is AMD64, as the host is, or ARM64, as a Pi is."""

from __future__ import annotations

import platform
from typing import NamedTuple


class Architecture(NamedTuple):
    """A processor, the board around it, and how it is built for."""

    debian: str  # as Debian calls it, and the names of its kernels end
    machine: str  # as uname(1), wheels and QEMU call it
    kbuild: str  # as the kernel's makefiles call it
    tools: str  # what the names of its compiler and its binutils begin with
    board: tuple[str, ...]  # for QEMU
    kernel_arguments: str
    revision: str = ""  # of a Raspberry Pi, told in a device tree; a board without such a tree has none

    @property
    def foreign(self) -> bool:
        """Tell whether this machine cannot run its programs itself."""
        return self.machine != platform.machine()

    @property
    def qemu(self) -> str:
        """The command that emulates it."""
        return f"qemu-system-{self.machine}"

    @property
    def builders(self) -> tuple[str, ...]:
        """The commands that an image of it takes, beyond those that every image takes."""
        compiling = (f"{self.tools}gcc", f"{self.tools}strip")
        return (*compiling, f"qemu-{self.machine}-static", "arch-test") if self.foreign else compiling


AMD64 = Architecture(
    debian="amd64",
    machine="x86_64",
    kbuild="x86",
    tools="",
    # Fewer levels of page tables, and no detours around faults that an emulated processor does not have.
    board=("-M", "q35", "-cpu", "max,la57=off"),
    # A busy host is late with the timer's interrupts, as no board is. What panics ends, and is not waited for.
    kernel_arguments="console=ttyS0 quiet mitigations=off nokaslr tsc=reliable no_timer_check panic=-1",
)
ARM64 = Architecture(
    debian="arm64",
    machine="aarch64",
    kbuild="arm64",
    tools="aarch64-linux-gnu-",
    board=("-M", "virt", "-cpu", "cortex-a72"),  # the processor of a Pi 4
    kernel_arguments="console=ttyAMA0 quiet mitigations=off nokaslr panic=-1",
    revision="c03115",  # a Pi 4 B
)
