"""Debian's packages, fetched by apt and not installed: those for this machine, or those for another processor."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hil.debian import DebianError, said
from hil.vm.architecture import AMD64

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hil.vm.architecture import Architecture

LISTS = Path("/var/lib/apt/lists")  # what apt knows of this machine's own packages


class Packages:
    """The packages of an architecture. Of a foreign one apt is given lists that this machine itself does not see."""

    def __init__(self, architecture: Architecture, cache: Path) -> None:
        self._suffix = f":{architecture.debian}"
        self._options = _beside_ours(architecture, cache) if architecture.foreign else []

    def newest_kernel(self) -> tuple[str, str]:
        """Return the release of the newest kernel and the version of its package; raises DebianError."""
        depends = said("apt-cache", *self._options, "depends", f"linux-image-{self._suffix[1:]}{self._suffix}")
        for line in depends.splitlines():
            if "Depends: linux-image-" in line:
                release = line.partition("linux-image-")[2].removesuffix(self._suffix).strip()
                package = f"linux-image-{release}{self._suffix}"
                shown = said("apt-cache", *self._options, "show", "--no-all-versions", package)
                return release, shown.partition("\nVersion: ")[2].partition("\n")[0]
        raise DebianError("apt knows no kernel of Debian's: apt-get update?")

    def fetch(self, theirs: Sequence[str], ours: Sequence[str], folder: Path) -> dict[str, Path]:
        """Fetch packages for the architecture, and some that are for ours or for any; return their files by name."""
        folder.mkdir()
        names = [*(f"{name}{self._suffix}" for name in theirs), *ours]
        said("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", *self._options, *names, folder=folder)
        return {path.name.partition("_")[0]: path for path in folder.iterdir()}


def _beside_ours(architecture: Architecture, cache: Path) -> list[str]:
    """Return what lets apt know an architecture beside ours. Its lists are renewed when those of this machine were."""
    folder = cache / f"apt-{architecture.debian}"
    names = [f"APT::Architectures::={one.debian}" for one in (AMD64, architecture)]
    places = [f"Dir::State::lists={folder}/lists", f"Dir::Cache={folder}/cache"]
    options = [word for one in (*names, *places) for word in ("-o", one)]
    fetched = folder / "fetched"
    if not fetched.exists() or fetched.stat().st_mtime < LISTS.stat().st_mtime:
        for place in ("lists/partial", "cache/archives/partial"):
            (folder / place).mkdir(parents=True, exist_ok=True)
        said("apt-get", "update", "-q", "-o", "APT::Sandbox::User=root", *options)
        fetched.touch()
    return options
