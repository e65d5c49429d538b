"""What a release can be made for: generations of Raspberry Pi OS, and the machines they run on."""

from __future__ import annotations

import platform
import sys
from typing import NamedTuple

PYTHONS = {"bookworm": (3, 11), "trixie": (3, 13)}  # of each generation: the system's own, which runs the agent
# Which wheels a generation takes: glibc 2.36 of bookworm is the older one, and whatever needs less than that will do.
GLIBCS = (36, 35, 34, 31, 28, 27, 17)
ARCHITECTURES = ("aarch64", "armv7l", "x86_64")
# Debian's packages in place of wheels that are not to be had. For armv7l cryptography has one, cffi below it has none.
EVERYWHERE = {"lgpio": "python3-lgpio"}
INSTEAD = {"armv7l": {"cryptography": "python3-cryptography", "cffi": "python3-cffi-backend"}}
PULLED_IN = {"cffi": ("pycparser",)}  # needed by what Debian stands in for, and by nothing else


class Target(NamedTuple):
    """One kind of gateway."""

    generation: str
    architecture: str

    def __str__(self) -> str:
        """Return the name that is asked for, such as `bookworm-aarch64`."""
        return f"{self.generation}-{self.architecture}"

    @property
    def python(self) -> tuple[int, int]:
        """The version of Python."""
        return PYTHONS[self.generation]

    @property
    def platforms(self) -> list[str]:
        """The platform tags of wheels that run there, the best first."""
        return [f"manylinux_2_{minor}_{self.architecture}" for minor in GLIBCS] + [f"manylinux2014_{self.architecture}"]

    @property
    def debian(self) -> dict[str, str]:
        """The Debian packages that take the place of distributions, by their names."""
        return EVERYWHERE | INSTEAD.get(self.architecture, {})

    @property
    def left_out(self) -> set[str]:
        """The distributions that no wheel is taken of."""
        return {*self.debian, *(name for one in self.debian for name in PULLED_IN.get(one, ()))}


TARGETS = {str(target): target for target in (Target(one, other) for one in PYTHONS for other in ARCHITECTURES)}


def here() -> Target | None:
    """Return what this machine is; None if no release is made for such a one."""
    generation = next((name for name, python in PYTHONS.items() if python == sys.version_info[:2]), None)
    machine = platform.machine()
    if machine == "aarch64" and sys.maxsize < 1 << 32:
        machine = "armv7l"  # Raspberry Pi OS 32-bit on a 64-bit kernel
    return TARGETS.get(f"{generation}-{machine}")


def order(version: str) -> tuple[int, ...]:
    """Return what puts versions in their order; raises ValueError: a release's is numbers and dots alone."""
    if not all(part.isascii() and part.isdigit() for part in version.split(".")):
        raise ValueError(version)
    return tuple(map(int, version.split(".")))
