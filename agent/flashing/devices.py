"""The disks of this machine, as the kernel tells of them, and why one of them must not be written to.

Read below a folder, `/` but for tests: sys/block, proc/self/mountinfo and proc/swaps (proc(5); Linux's
Documentation/ABI/stable/sysfs-block).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from agent.i18n import _

if TYPE_CHECKING:
    from collections.abc import Iterator

SECTOR = 512  # bytes; sysfs counts in these whatever the device has
NO_CARDS = ("loop", "ram", "zram", "dm-", "md", "sr", "fd", "nbd")


class Disk(NamedTuple):
    """One disk: all of it, with its partitions."""

    name: str  # as in /dev
    size: int  # bytes; 0 is a reader without a card
    model: str  # with its maker; may be empty
    serial: str  # may be empty
    removable: bool
    read_only: bool
    mounts: tuple[str, ...]  # where anything of it is mounted, or what else it is in use for

    @property
    def path(self) -> Path:
        """The file to write to."""
        return Path("/dev", self.name)


def disks(root: Path = Path("/")) -> list[Disk]:
    """Return all disks that could be cards."""
    mounted = list(_mounted(root))
    folders = sorted((root / "sys/block").glob("*"))
    return [_disk(folder, mounted, root) for folder in folders if not folder.name.startswith(NO_CARDS)]


def find(path: Path, root: Path = Path("/")) -> Disk | None:
    """Return the disk that a path such as /dev/sdb or /dev/disk/by-id/... means; None if it is no whole disk."""
    name = (root / path.relative_to("/")).resolve().name
    return next((disk for disk in disks(root) if disk.name == name), None)


def whole_of(path: Path, root: Path = Path("/")) -> Disk | None:
    """Return the disk that a path names a partition of."""
    name = (root / path.relative_to("/")).resolve().name
    return next((disk for disk in disks(root) if (root / "sys/block" / disk.name / name).is_dir()), None)


def objection(disk: Disk) -> str:
    """Return why a disk must not be written to; empty if it may."""
    if "/" in disk.mounts:
        return _("{path} is what this computer runs from").format(path=disk.path)
    if not disk.removable:
        text = _("{path} ({what}) is not removable: it is a disk of this computer, not a card")
        return text.format(path=disk.path, what=described(disk))
    if disk.size == 0:
        return _("{path} is a reader without a card; put one in").format(path=disk.path)
    if disk.mounts:
        text = _("{path} is in use ({mounts}); look whether it is the right one, then: sudo umount {path}?*")
        return text.format(path=disk.path, mounts=", ".join(disk.mounts))
    if disk.read_only:
        return _("{path} is write-protected; move the little lever on the card's adapter").format(path=disk.path)
    return ""


def described(disk: Disk) -> str:
    """Return model, size and serial number in one line."""
    size = _("{size:.1f} GB").format(size=disk.size / 1e9)
    serial = _("serial number {serial}").format(serial=disk.serial or _("unknown"))
    return ", ".join([disk.model or _("unknown model"), size, serial])


def _disk(folder: Path, mounted: list[tuple[str, str]], root: Path) -> Disk:
    device = folder / "device"
    makers = [_text(device / name) for name in ("vendor", "model")]
    model = " ".join(filter(None, makers)) or _text(device / "name")
    # A slot for SD cards that is no USB reader counts as fixed, whatever is in it: there the kind of card tells.
    removable = _text(folder / "removable") == "1" or _text(device / "type") == "SD"
    numbers = {_text(path) for path in [folder / "dev", *folder.glob(f"{folder.name}*/dev")]}
    uses = {where for number, where in mounted if number in numbers}
    uses |= set(_holders(folder)) | set(_swaps(folder.name, root))
    return Disk(
        name=folder.name,
        size=int(_text(folder / "size") or 0) * SECTOR,
        model=model,
        serial=_text(device / "serial") or _text(device / "cid"),
        removable=removable,
        read_only=_text(folder / "ro") == "1",
        mounts=tuple(sorted(uses)),
    )


def _mounted(root: Path) -> Iterator[tuple[str, str]]:
    """Yield the number of what is mounted, and where."""
    for line in _text(root / "proc/self/mountinfo").splitlines():
        fields = line.split(" ")
        where = re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), fields[4])
        yield fields[2], where


def _holders(folder: Path) -> Iterator[str]:
    """Yield what is built on a disk or its partitions: encryption, volumes, arrays."""
    for holders in [folder / "holders", *folder.glob(f"{folder.name}*/holders")]:
        yield from (path.name for path in holders.glob("*"))


def _swaps(name: str, root: Path) -> Iterator[str]:
    for line in _text(root / "proc/swaps").splitlines()[1:]:
        if Path(line.split()[0]).name.startswith(name):
            yield _("swap")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""
