"""The disk that a virtual machine boots from: built from Debian's packages alone, kept by the hash of its recipe."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hil import debian, install
from hil.debian import CACHE, DebianError
from hil.vm import kernel as kernels
from hil.vm.architecture import AMD64, Architecture

if TYPE_CHECKING:
    from collections.abc import Callable

PACKAGES = (
    "dbus", "dmsetup", "e2fsprogs", "iproute2", "kmod", "procps", "python3", "systemd", "systemd-sysv", "udev",
)  # fmt: skip
LGPIO = "lgpio==0.2.2.0"  # Debian has it from trixie on
SIZE = "1500M"
KEPT = 3  # images; older ones are removed
GUEST = Path(__file__).with_name("guest")
MACHINE_ID = "0123456789abcdef0123456789abcdef"  # with one, the first boot is like every other
AT = {  # where in the machine each file of `guest` goes
    "helper.py": "usr/local/lib/hil/helper.py",
    "cpuinfo": "usr/local/lib/hil/cpuinfo",
    "card.sh": "usr/local/lib/hil/card.sh",
    "chip.sh": "usr/local/lib/hil/chip.sh",
    "hil-card.service": "etc/systemd/system/hil-card.service",
    "hil-chip.service": "etc/systemd/system/hil-chip.service",
    "hil-helper.service": "etc/systemd/system/hil-helper.service",
    "patience.conf": "etc/systemd/system.conf.d/hil.conf",
    "pi.conf": "etc/systemd/system/roadside.service.d/pi.conf",
    "host.network": "etc/systemd/network/host.network",
    "trigger.conf": "etc/systemd/system/systemd-udev-trigger.service.d/hil.conf",
    "60-hil.rules": "etc/udev/rules.d/60-hil.rules",
}
STAND_INS = ("cpuinfo", "pi.conf")  # for what the device tree of a Pi says
SERVICES = ("hil-card.service", "hil-chip.service", "hil-helper.service", "systemd-networkd.service")
IDLE = (  # what a machine of a rig has no use for: each costs a second of its boot
    "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "e2scrub_reap.service",
    "fstrim.timer", "getty@tty1.service", "serial-getty@ttyS0.service", "systemd-logind.service",
    "modprobe@drm.service", "modprobe@efi_pstore.service", "modprobe@fuse.service", "modprobe@loop.service",
    "modprobe@dm_mod.service", "dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-tracing.mount",
    "systemd-network-generator.service", "systemd-pstore.service", "systemd-random-seed.service",
    "systemd-remount-fs.service", "systemd-sysusers.service", "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service", "systemd-user-sessions.service", "kmod-static-nodes.service",
    "remote-fs.target", "serial-getty@ttyAMA0.service",
)  # fmt: skip


class Image(NamedTuple):
    """What a machine boots from. The disk is never written: each machine has an overlay of its own."""

    kernel: Path
    initrd: Path
    disk: Path
    architecture: Architecture = AMD64


def why_not(architecture: Architecture = AMD64) -> str:
    """Return why no image can be built on this machine; empty if one can."""
    if reason := debian.why_no_suite() or kernels.why_not(architecture):
        return reason
    if debian.SUITES[sys.version_info[0], sys.version_info[1]] != "bookworm":
        return "gpio-sim has been built for the kernel of Debian 12 alone, whose Python is 3.11"
    for command in ("mmdebstrap", "mke2fs"):
        if shutil.which(command) is None:
            return f"{command} is not installed"
    return ""


def image(
    prepare: Callable[[Path], None], recipe: str, cache: Path = CACHE, *, architecture: Architecture = AMD64
) -> Image:
    """Return an image, built if it is not there yet; raises DebianError.

    `prepare` gets the root folder at the end; `recipe` is any text that changes when what `prepare` does changes.
    """
    kernel = kernels.kernel(cache, architecture)
    files = [Path(__file__), *(GUEST / name for name in sorted(AT))]
    found = sha256(f"{recipe}\n{kernel.tree}".encode() + b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
    disk = cache / f"disk-{found}.img"
    if not disk.exists():
        archive = debian.bare(PACKAGES, cache, architecture=architecture.debian if architecture.foreign else "")
        with tempfile.TemporaryDirectory(prefix="part-disk-", dir=cache) as work:
            root = Path(work) / "root"
            root.mkdir()
            debian.unpack(archive, root)
            _lay_out(root, kernel, architecture)
            prepare(root)
            part = Path(work) / "disk.img"
            _run("mke2fs", "-q", "-t", "ext4", "-d", str(root), str(part), SIZE)
            part.rename(disk)
        _forget_old(cache)
    disk.touch()
    return Image(kernel.image, kernel.initrd, disk, architecture)


def with_roadside(cache: Path = CACHE, *, architecture: Architecture = AMD64) -> Image:
    """Return an image with this checkout installed as on a gateway; its configuration is given at boot."""
    return image(install.install, install.fingerprint(), cache, architecture=architecture)


def overlay(path: Path, base: Path) -> None:
    """Make a disk that begins as another one, qcow2 or raw, and keeps what is written on it to itself."""
    kind = "qcow2" if base.suffix == ".qcow2" else "raw"
    _run("qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", str(base.absolute()), str(path))


def _lay_out(root: Path, kernel: kernels.Kernel, architecture: Architecture) -> None:
    shutil.copytree(kernel.tree / "lib/modules", root / "usr/lib/modules", dirs_exist_ok=True)
    for name, place in AT.items():
        if name in STAND_INS and architecture.revision:
            continue
        target = root / place
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(GUEST / name, target)
    (root / "etc/machine-id").write_text(f"{MACHINE_ID}\n")
    (root / "etc/hostname").write_text("gateway\n")
    (root / "etc/fstab").write_text("/dev/vda / ext4 rw,noatime 0 0\n")
    site = root / f"usr/local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/dist-packages"
    install.fetch([LGPIO], site, architecture.machine)
    install.run_in(root, "systemctl", "enable", "--quiet", *SERVICES)
    install.run_in(root, "systemctl", "mask", "--quiet", *IDLE)
    off = root / "etc/systemd/system-generators"  # they make units of what a fuller machine has: each is a process
    off.mkdir(parents=True, exist_ok=True)
    for generator in (root / "usr/lib/systemd/system-generators").iterdir():
        (off / generator.name).symlink_to("/dev/null")


def _forget_old(cache: Path) -> None:
    for old in sorted(cache.glob("disk-*.img"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DebianError(f"{' '.join(command)}: {done.stderr.strip()[-500:]}")
