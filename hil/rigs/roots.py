"""Root folders of containers, laid out once for each recipe and kept; a container writes on a layer of its own."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from hil.container import PACKAGES
from hil.debian import CACHE, bare, locked, unpack
from hil.install import run_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEPT = 2  # roots; older ones that nobody uses are removed
IDLE = ("mosquitto.service", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "fstrim.timer")
MACHINE_ID = "0123456789abcdef0123456789abcdef"  # with one, the first boot is like every other
HOSTS = "127.0.0.1 localhost\n"
PINS = "usr/lib/python3/dist-packages/rig_pins-1.dist-info"
ENTRY_POINT = "[gpiozero_pin_factories]\nrig = hil.pins:RigFactory\n"


@contextlib.contextmanager
def laid_out(prepare: Callable[[Path], None], recipe: str, cache: Path = CACHE) -> Iterator[Path]:
    """Have a root folder that nobody may write to, made if it is not there yet; raises DebianError.

    `prepare` gets the bare Debian; `recipe` is any text that changes when what it does changes.
    """
    parts = "\n".join([recipe, *PACKAGES, *IDLE, MACHINE_ID, HOSTS, PINS, ENTRY_POINT])
    archive = bare(PACKAGES, cache)
    root = cache / f"root-{archive.stem}-{sha256(parts.encode()).hexdigest()[:12]}"
    with contextlib.ExitStack() as held:
        with locked(cache / "roots.lock", fcntl.LOCK_EX):
            unpacked = _kept(cache / f"unpacked-{archive.stem}", lambda part: unpack(archive, part))
            _kept(root, lambda part: _lay_out(part, unpacked, prepare))
            held.enter_context(locked(root.with_suffix(".lock"), fcntl.LOCK_SH))
            os.utime(root)
            _forget_old(cache)
        yield root


def _kept(folder: Path, make: Callable[[Path], None]) -> Path:
    """Return a folder, made if it is not there yet."""
    if not folder.exists():
        with tempfile.TemporaryDirectory(prefix="part-", dir=folder.parent) as work:
            part = Path(work) / "root"
            part.mkdir()
            make(part)
            part.rename(folder)
    return folder


def _lay_out(root: Path, unpacked: Path, prepare: Callable[[Path], None]) -> None:
    """Copy a bare Debian, whose /usr is shared because nobody writes into a file of it, and put the agent there."""
    for entry in unpacked.iterdir():
        shared = ["--link"] if entry.name == "usr" else []
        subprocess.run(["cp", "--archive", *shared, str(entry), str(root)], check=True)
    prepare(root)
    _quieten(root)


def _quieten(root: Path) -> None:
    """Leave out what a gateway of a rig has no use for, and have gpiozero find the pins of a rig."""
    (root / "etc/machine-id").write_text(f"{MACHINE_ID}\n")
    (root / "etc/hosts").write_text(HOSTS)
    run_in(root, "systemctl", "mask", "--quiet", *IDLE)
    (root / PINS).mkdir(parents=True)
    (root / PINS / "METADATA").write_text("Metadata-Version: 2.1\nName: rig-pins\nVersion: 1\n")
    (root / PINS / "entry_points.txt").write_text(ENTRY_POINT)


def _forget_old(cache: Path) -> None:
    for old in sorted(cache.glob("root-*[!k]"), key=lambda path: path.stat().st_mtime)[:-KEPT]:
        lock = old.with_suffix(".lock")
        with contextlib.suppress(BlockingIOError), locked(lock, fcntl.LOCK_EX | fcntl.LOCK_NB):
            shutil.rmtree(old)
            lock.unlink()
