"""Debian packages that a release brings, for systems that have not all of those that take the place of wheels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

if TYPE_CHECKING:
    from pathlib import Path

    from agent.updating.targets import Target

ARCHITECTURES = {"aarch64": "arm64", "armv7l": "armhf", "x86_64": "amd64"}  # as Debian calls them
MAGIC = b"!<arch>\ndebian-binary"  # deb(5)


class DebError(ValueError):
    """A file is no package for a release; the message is for people."""


class Deb(NamedTuple):
    """What the name of a package's file says (deb(5), dpkg-name(1))."""

    name: str
    version: str
    architecture: str

    @classmethod
    def named(cls, file: str) -> Deb:
        """Return what a file name says; raises ValueError."""
        name, version, architecture = file.removesuffix(".deb").split("_")
        return cls(name, unquote(version), architecture)


def read(folder: Path, target: Target) -> dict[str, bytes]:
    """Return the packages in a folder by their files' names; raises DebError unless all are for the target."""
    found = {}
    for path in sorted(folder.glob("*.deb")):
        try:
            deb = Deb.named(path.name)
        except ValueError:
            raise DebError(f"{path.name}: a package is named as apt-get download names it") from None
        if deb.architecture not in {"all", ARCHITECTURES[target.architecture]}:
            raise DebError(
                f"{path.name} is for {deb.architecture}, and {target} is {ARCHITECTURES[target.architecture]}"
            )
        found[path.name] = path.read_bytes()
        if not found[path.name].startswith(MAGIC):
            raise DebError(f"{path.name} is no Debian package")
    if not found:
        raise DebError(f"{folder} has no Debian package")
    return found
