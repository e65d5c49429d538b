"""Puts a release in place: built at its final path, and whole only with its COMPLETE, which is written last.

It is unpacked, not installed: a wheel is a zip of what belongs into one folder, so neither pip nor a virtual
environment is needed, and nothing of the release runs while it is put there.
"""

from __future__ import annotations

import compileall
import hashlib
import io
import json
import os
import shutil
import zipfile
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING

from agent.i18n import _
from agent.updating.archive import MANIFEST
from agent.updating.targets import order

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from agent.updating.archive import Checked

COMPLETE = "COMPLETE"
WHEELS, UNITS = "wheels/", "systemd/"
GROWTH = 1.7  # compiled, Python takes so much more room; measured for a whole release: 1.5
RESERVE = 32 << 20  # bytes that are left free for the agent's own
OLD_ONES = 2  # releases that are kept beside those in use
COMMAND = """\
#!/usr/bin/python3 -sP
import sys

sys.path.insert(0, {lib!r})
from agent.cli import main

main()
"""


class InstallError(Exception):
    """A release cannot be put in place; the message is for people."""


class Releases:
    """The folder of releases, as systemd/roadside-switch reads it."""

    def __init__(self, base: Path) -> None:
        """Take the folder that has `releases` and `current`."""
        self.base = base
        self._folder = base / "releases"

    @property
    def present(self) -> str:
        """The version that runs; empty if there is none."""
        return self._named("current")

    def in_use(self) -> set[str]:
        """Return the releases that nobody may remove: what runs, what ran before, and both sides of a trial."""
        named = {self._named("current"), self._named("previous")}
        try:
            trial = json.loads((self.base / "trial.json").read_bytes())
            named |= {str(trial[key]) for key in ("from", "to")}
        except (OSError, ValueError, LookupError, TypeError):
            pass  # no trial
        return named - {""}

    def install(self, checked: Checked, file: IO[bytes]) -> Path:
        """Return the folder of a release that is whole and on the card; raises InstallError and OSError.

        `file` is the archive in which the files of `checked` lie; each is believed only with its digest.
        """
        folder = self._folder / checked.version
        self._sweep()
        if (folder / COMPLETE).is_file():
            if _is_same(folder, checked):
                return folder
            if checked.version in self.in_use():
                text = _(
                    "another release {version} is in use here; a release that was changed needs a number of its own"
                )
                raise InstallError(text.format(version=checked.version))
            self._remove(folder)  # given up, and signed anew since
        contents = {name: _read(file, name, checked) for name in checked.files}
        self._hold_room(contents)
        folder.mkdir(parents=True)
        lib = folder / "lib"
        for name, data in contents.items():
            if name.startswith(WHEELS):
                _unpack(data, lib)
            else:
                _write(folder / _inside(name), data)
        _write(folder / "bin/roadside", COMMAND.format(lib=str(lib)).encode(), executable=True)
        for path in folder.glob("systemd/*"):
            if path.name in {"install.sh", "roadside-switch"}:
                path.chmod(0o755)
        # What cannot be compiled is never imported either: packages bring broken files for their own tests.
        compileall.compile_dir(str(lib), quiet=2)
        os.sync()  # thousands of files at once, then the one that vouches for them
        _write(folder / COMPLETE, b"")
        for path in (folder / COMPLETE, folder, self._folder):
            _sync(path)
        return folder

    def prune(self) -> list[str]:
        """Remove the oldest releases that are in no use, beyond two; returns which."""
        unused = sorted(set(self._complete()) - self.in_use(), key=_age)
        gone = unused[:-OLD_ONES]
        for version in gone:
            self._remove(self._folder / version)
        return gone

    def other_units(self, folder: Path) -> bool:
        """Return whether a release brings other units than the one that runs."""
        return _contents(folder / "systemd") != _contents(self.base / "current/systemd")

    def _sweep(self) -> None:
        """Remove what an interrupted installation left."""
        in_use = self.in_use()
        for path in self._folder.glob("*"):
            if path.name not in in_use and not (path / COMPLETE).exists():
                shutil.rmtree(path)

    def _remove(self, folder: Path) -> None:
        """Remove a release; first what makes it one, so that no half of it is ever taken for the whole."""
        (folder / COMPLETE).unlink()
        _sync(folder)
        shutil.rmtree(folder)

    def _complete(self) -> Iterator[str]:
        return (path.parent.name for path in self._folder.glob(f"*/{COMPLETE}"))

    def _hold_room(self, contents: Mapping[str, bytes]) -> None:
        needed = RESERVE + int(GROWTH * sum(_unpacked(name, data) for name, data in contents.items()))
        self._folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._folder).free
        if free < needed:
            text = _("{folder}: {free} MiB are free, and {needed} MiB are needed")
            raise InstallError(text.format(folder=self._folder, free=free >> 20, needed=-(-needed >> 20)))

    def _named(self, link: str) -> str:
        try:
            return Path(os.readlink(self.base / link)).name
        except OSError:
            return ""


def _is_same(folder: Path, checked: Checked) -> bool:
    try:
        return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest() == checked.files[MANIFEST][2]
    except OSError:
        return False


def _age(version: str) -> tuple[int, ...]:
    try:
        return order(version)
    except ValueError:
        return ()  # of no release that was made with a bundle: the oldest


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*") if path.is_file()}


def _read(file: IO[bytes], name: str, checked: Checked) -> bytes:
    offset, size, digest = checked.files[name]
    file.seek(offset)
    data = file.read(size)
    if hashlib.sha256(data).hexdigest() != digest:
        raise InstallError(_("{name}: has changed since it was checked").format(name=name))
    return data


def _unpacked(name: str, data: bytes) -> int:
    if not name.startswith(WHEELS):
        return len(data)
    with zipfile.ZipFile(io.BytesIO(data)) as wheel:
        return sum(entry.file_size for entry in wheel.infolist())


def _unpack(wheel: bytes, lib: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        for entry in archive.infolist():
            if not entry.is_dir() and (inside := _in_lib(entry.filename)) is not None:
                _write(lib / inside, archive.read(entry))


def _in_lib(name: str) -> PurePosixPath | None:
    """Return where a file of a wheel goes below `lib`; None for scripts and headers, which nobody here needs."""
    path = _inside(name)
    if not path.parts[0].endswith(".data"):
        return path
    return PurePosixPath(*path.parts[2:]) if path.parts[1] in {"purelib", "platlib"} else None


def _inside(name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise InstallError(_("{name}: leads out of its folder").format(name=name))
    return path


def _write(path: Path, data: bytes, *, executable: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(0o755 if executable else 0o644)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
