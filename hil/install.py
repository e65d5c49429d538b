"""Puts Roadside below a root folder as it is on a gateway: release, units and settings, switched on."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING

from hil import foreign
from hil.debian import DebianError

if TYPE_CHECKING:
    from collections.abc import Sequence

PROJECT = Path(__file__).parents[1]
RELEASE = "opt/roadside/releases/test"
GLIBC = range(17, 37)  # the minor versions that wheels are built for, up to that of Debian 12
NEEDED = ("aiomqtt", "annotated-types", "click", "gpiozero", "pydantic", "pynmeagps", "pyserial", "rich", "tuf")
COMMAND = f"""\
#!/usr/bin/python3
import sys
sys.path.insert(0, "/{RELEASE}/lib")
from agent.cli import main
sys.exit(main())
"""


class InstallError(DebianError):
    """A step of the installation failed; the message is what it said."""


def install(root: Path) -> None:
    """Install this checkout below a Debian's root, with the packages of this environment; raises InstallError.

    Of what is not pure Python the same versions are fetched, if the root is another processor's.
    """
    lib = root / RELEASE / "lib"
    lib.mkdir(parents=True)
    for package in ("agent", "drivers", "hil"):
        shutil.copytree(PROJECT / package, lib / package, ignore=shutil.ignore_patterns("__pycache__"))
    copy_distributions(NEEDED, lib, foreign.machine(root))
    command = root / RELEASE / "bin/roadside"
    command.parent.mkdir()
    command.write_text(COMMAND)
    command.chmod(0o755)
    (root / "opt/roadside/current").symlink_to("releases/test")
    python = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    run_in(root, python, "-m", "compileall", "-q", f"/{RELEASE}/lib")
    _run([*foreign.prefix(root), str(PROJECT / "systemd/install.sh"), "--root", str(root)])


def fingerprint() -> str:
    """Return a text that changes with whatever `install` would install."""
    folders = [PROJECT / name for name in ("agent", "drivers", "hil", "systemd")]
    files = [file for folder in folders for file in sorted(folder.rglob("*")) if file.is_file()]
    digest = sha256()
    for file in files:
        if "__pycache__" not in file.parts:
            digest.update(f"{file.relative_to(PROJECT)}\n".encode() + file.read_bytes())
    return digest.hexdigest() + "".join(sorted(f"{one.name} {one.version}\n" for one in distributions()))


def run_in(root: Path, *command: str) -> None:
    """Run a command with this root; raises InstallError."""
    _run([*foreign.prefix(root), "chroot", str(root), *command])


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InstallError(f"{' '.join(command)}: {done.stdout}{done.stderr}")


def fetch(requirements: Sequence[str], site: Path, machine: str) -> None:
    """Have pip put wheels for a machine, as uname(1) calls it, into a folder of packages; raises InstallError."""
    wheels = ["--quiet", "--no-deps", "--only-binary=:all:"]
    if machine != platform.machine():
        wheels += [f"--platform=manylinux_2_{minor}_{machine}" for minor in GLIBC]
    _run([sys.executable, "-m", "pip", "install", *wheels, f"--target={site}", *requirements])


def copy_distributions(names: Sequence[str], site: Path, machine: str = platform.machine()) -> None:
    """Copy installed distributions, and all that they need, into the folder of packages of a machine."""
    from packaging.requirements import Requirement

    waiting, copied, compiled = list(names), set[str](), list[str]()
    while waiting:
        name = waiting.pop()
        if name in copied:
            continue
        copied.add(name)
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue  # only needed elsewhere
        needed = map(Requirement, found.requires or ())
        there = {"extra": "", "platform_machine": machine}
        waiting += [one.name for one in needed if one.marker is None or one.marker.evaluate(there)]
        if machine != platform.machine() and "Root-Is-Purelib: false" in (found.read_text("WHEEL") or ""):
            compiled.append(f"{found.name}=={found.version}")
            continue
        for file in found.files or ():
            source = Path(str(found.locate_file(file)))
            if ".." not in file.parts and source.is_file():
                target = site / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
    if compiled:
        fetch(compiled, site, machine)
