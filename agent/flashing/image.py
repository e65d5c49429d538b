"""What an image is: its partitions, and which generation of Raspberry Pi OS it holds for which machine.

Both are told by what lies on the boot partition, which is near the beginning, so that a packed image need not be
unpacked whole. Trixie brings the files of cloud-init (pi-gen, stage2/04-cloud-init), bookworm does not know them; the
kernel `kernel7l.img` is in 32-bit images alone.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

from agent.flashing.fat import FatError, FatReader
from agent.flashing.medium import FlashError, Head, Image
from agent.i18n import _
from agent.updating.targets import Target

if TYPE_CHECKING:
    from pathlib import Path

    from agent.flashing.medium import Readable

SECTOR = 512  # bytes
TABLE_AT, ENTRY = 446, 16  # of the master boot record
FAT_KINDS = {0x0B, 0x0C, 0x0E}
CLOUD_INIT = {"user-data", "meta-data", "network-config"}
NEEDED = {"config.txt", "cmdline.txt"}
KERNEL_32_BIT = "kernel7l.img"


class Inspected(NamedTuple):
    """What was found out about an image."""

    boot_at: int  # bytes; where its boot partition begins
    size: int  # bytes, to the end of its last partition
    target: Target


def inspect(path: Path) -> Inspected:
    """Return what an image is; raises FlashError and OSError."""
    with Image(path) as image:
        head, packed = Head(image), image.packed
        try:
            boot_at, size = partitions(head)
            if not packed and path.stat().st_size < size:
                text = _("{path} is not whole: it is shorter than it says itself; get it again")
                raise FlashError(text.format(path=path))
            names = {name.lower() for name in FatReader(head, boot_at).names()}
        except FatError as error:
            text = _("{path} is no image of Raspberry Pi OS: {reason}")
            raise FlashError(text.format(path=path, reason=error)) from error
    if missing := NEEDED - names:
        text = _("{path} is no image of Raspberry Pi OS: {reason}")
        reason = _("there is no {name} on its boot partition").format(name=min(missing))
        raise FlashError(text.format(path=path, reason=reason))
    generation = "trixie" if names >= CLOUD_INIT else "bookworm"
    return Inspected(boot_at, size, Target(generation, "armv7l" if KERNEL_32_BIT in names else "aarch64"))


def partitions(medium: Readable) -> tuple[int, int]:
    """Return where the boot partition begins and where the last partition ends, in bytes; raises FatError."""
    record = medium.read(0, SECTOR)
    if len(record) < SECTOR or record[510:] != b"\x55\xaa":
        raise FatError(_("it has no partition table"))
    entries = [struct.unpack_from("<4xB3xII", record, TABLE_AT + index * ENTRY) for index in range(4)]
    used = [(kind, start, count) for kind, start, count in entries if kind and count]
    if not used or used[0][0] not in FAT_KINDS:
        raise FatError(_("its first partition is no boot partition"))
    return used[0][1] * SECTOR, max(start + count for _kind, start, count in used) * SECTOR
