"""Debian's kernel for the virtual machine: the modules that it needs, gpio-sim, and an initial ramdisk.

Debian ships gpio-sim with no kernel, so it is built from Debian's kernel source, out of tree. All packages are
fetched and unpacked into a folder of their own; nothing is installed on this machine.
"""

from __future__ import annotations

import lzma
import platform
import shutil
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hil.debian import CACHE, DebianError, said
from hil.vm import newc
from hil.vm.architecture import AMD64
from hil.vm.packages import Packages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hil.vm.architecture import Architecture

GPIO_SIM = "gpio-sim-hil"
# What mounts the root, and qemu_fw_cfg: systemd looks for its credentials there before anything else runs.
AT_BOOT = ("virtio_pci", "virtio_blk", "crc32c_generic", "ext4", "qemu_fw_cfg")
LATER = (
    "virtio_console", "virtio_net", "virtio_rng", "xhci_pci", "ftdi_sio", "cdc_acm", "dm_mod", "dm_flakey",
    "dm_log_writes", "loop", "i6300esb", GPIO_SIM,
)  # fmt: skip
INIT = """\
#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sysfs /sys
$B mount -t devtmpfs devtmpfs /dev
for module in $($B cat /modules/order); do $B insmod /modules/$module; done
until [ -b /dev/vda ]; do $B sleep 0.1; done
$B mount -t ext4 -o rw,noatime /dev/vda /root
$B umount /proc
$B umount /sys
$B mount --move /dev /root/dev
exec $B switch_root /root /sbin/init
"""
SOURCES = ("drivers/gpio/gpio-sim.c", "drivers/gpio/gpiolib.h", "kernel/irq/irq_sim.c")
# irq_sim is not in Debian's kernels either, and becomes a part of the module. What it calls to run an interrupt's
# handler is not exported to modules; generic_handle_irq() is, and ends up in the same handler.
PATCH = (
    ("handle_simple_irq(irq_to_desc(irqnum))", "generic_handle_irq(irqnum)"),
    ("EXPORT_SYMBOL_GPL", "// EXPORT_SYMBOL_GPL"),
)
XZ = b"\xfd7zXZ\0"
ARM64_IMAGE = (56, b"ARM\x64")  # where it says that it is one: the kernel's Documentation/arm64/booting.rst
MAKEFILE = f"obj-m := {GPIO_SIM}.o\n{GPIO_SIM}-y := gpio-sim.o irq_sim.o\n"


class Kernel(NamedTuple):
    """A kernel that is ready to boot. `tree` holds lib/modules."""

    release: str
    image: Path
    initrd: Path
    tree: Path


def why_not(architecture: Architecture = AMD64) -> str:
    """Return why no kernel can be prepared on this machine; empty if one can."""
    if platform.machine() != AMD64.machine:
        return f"the virtual machine is built on x86-64 alone so far, and this is {platform.machine()}"
    for command in ("apt-get", "dpkg-deb", "make", "cc", "depmod", "modprobe", "xz", *architecture.builders):
        if shutil.which(command) is None:
            return f"{command} is not installed"
    return ""


def kernel(cache: Path = CACHE, architecture: Architecture = AMD64) -> Kernel:
    """Return the newest kernel that apt knows, prepared if it is not there yet; raises DebianError."""
    packages = Packages(architecture, cache)
    release, version = packages.newest_kernel()
    parts = (version, *AT_BOOT, *LATER, INIT, *SOURCES, *map(str, PATCH), MAKEFILE, "vmlinux")
    recipe = sha256("\n".join(parts).encode()).hexdigest()[:12]
    folder = cache / f"kernel-{release}-{recipe}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="part-kernel-", dir=cache) as work:
            made = _make(release, architecture, packages, Path(work))
            made.rename(folder)
    return Kernel(release, folder / "vmlinux", folder / "initrd", folder / "tree")


def _make(release: str, architecture: Architecture, packages: Packages, work: Path) -> Path:
    """Make a folder with all that a machine boots from."""
    series = ".".join(release.split(".")[:2])
    base = release.rpartition("-")[0]
    made, unpacked = work / "made", work / "unpacked"
    made.mkdir()
    unpacked.mkdir()
    theirs = [f"linux-image-{release}", f"linux-headers-{release}", "busybox-static"]
    ours = [f"linux-headers-{base}-common", f"linux-kbuild-{series}", f"linux-source-{series}"]
    fetched = packages.fetch(theirs, ours, work / "packages")
    for name, package in fetched.items():
        if not name.startswith("linux-source"):
            said("dpkg-deb", "-x", package, unpacked)
    _build_gpio_sim(fetched[f"linux-source-{series}"], unpacked, release, architecture, work / "module")
    said("depmod", "-b", unpacked, release)
    _copy_modules(unpacked, release, (*AT_BOOT, *LATER), made / "tree")
    _write_initrd(made / "initrd", unpacked, release)
    (made / "vmlinux").write_bytes(_unpacked_kernel((unpacked / f"boot/vmlinuz-{release}").read_bytes()))
    return made


def _unpacked_kernel(image: bytes) -> bytes:
    """Return the kernel itself, which unpacks itself ten times as slowly where QEMU has no KVM."""
    place, mark = ARM64_IMAGE
    if image[place:].startswith(mark):
        return image  # is not packed at all
    at = image.find(XZ)
    if at < 0:
        raise DebianError("the kernel's image is not compressed by xz: hil/vm/kernel.py has to learn how it is")
    return lzma.LZMADecompressor().decompress(image[at:])


def _build_gpio_sim(source: Path, unpacked: Path, release: str, architecture: Architecture, work: Path) -> None:
    """Build the module where the kernel's headers have been unpacked, and put it beside the kernel's own."""
    work.mkdir()
    listing = f"tar -xJf - -C {work} --strip-components=1 --wildcards " + " ".join(f"'*/{name}'" for name in SOURCES)
    series = source.name.partition("_")[0]
    tar = f"dpkg-deb --fsys-tarfile {source} | tar -xOf - ./usr/src/{series}.tar.xz | {listing}"
    said("sh", "-ec", tar)
    for name in SOURCES:
        text = (work / name).read_text(encoding="utf-8")
        for old, new in PATCH if name.endswith("irq_sim.c") else ():
            text = text.replace(old, new)
        (work / Path(name).name).write_text(text, encoding="utf-8")
    (work / "Makefile").write_text(MAKEFILE)
    headers = unpacked / f"usr/src/linux-headers-{release}"
    common = unpacked / f"usr/src/linux-headers-{release.rpartition('-')[0]}-common"
    (headers / "Makefile").write_text(f"include {common}/Makefile\n")  # as packaged it names the installed place
    crossing = (f"ARCH={architecture.kbuild}", f"CROSS_COMPILE={architecture.tools}")
    said("make", "-s", "-C", headers, f"M={work}", *crossing, "modules")
    target = unpacked / f"lib/modules/{release}/extra/{GPIO_SIM}.ko"
    target.parent.mkdir()
    said(f"{architecture.tools}strip", "--strip-debug", "-o", target, work / f"{GPIO_SIM}.ko")


def _needed(tree: Path, release: str, modules: Iterable[str]) -> list[Path]:
    """Return the files of modules and of all that they depend on, in the order in which they load."""
    files = dict[Path, None]()
    for module in modules:
        shown = said("modprobe", "-d", tree, "-S", release, "--show-depends", "--ignore-install", module)
        files |= dict.fromkeys(Path(line.split()[1]) for line in shown.splitlines() if line.startswith("insmod"))
    return list(files)


def _copy_modules(source: Path, release: str, modules: Iterable[str], target: Path) -> None:
    for file in _needed(source, release, modules):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        shutil.copy(source / f"lib/modules/{release}/{name}", target / f"lib/modules/{release}/{name}")
    said("depmod", "-b", target, release)


def _write_initrd(path: Path, tree: Path, release: str) -> None:
    modules = _needed(tree, release, AT_BOOT)
    busybox = next(file for file in (tree / "bin/busybox", tree / "usr/bin/busybox") if file.exists())
    entries = [newc.folder(name) for name in ("bin", "dev", "modules", "proc", "root", "sys")]
    entries += [newc.file("bin/busybox", busybox.read_bytes(), 0o755), newc.file("init", INIT.encode(), 0o755)]
    entries += [newc.file(f"modules/{module.name}", module.read_bytes()) for module in modules]
    entries += [newc.file("modules/order", "\n".join(module.name for module in modules).encode())]
    path.write_bytes(newc.archive(entries))
