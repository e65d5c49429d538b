"""The one list of the wheels that releases are made of: name, version, and the digests of those that may be taken.

It is a requirements file with hashes, so that pip itself refuses every other wheel, whatever index it was got from.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

from agent.updating.targets import TARGETS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agent.updating.targets import Target

NAME = "releases.lock"
HEAD = "# The wheels that releases are made of, for every target. Made by: roadside bundle lock\n"
# What runs on a gateway: roadside[signatures,update] and all that they need. A test holds it to pyproject.toml.
NEEDED = (
    "aiomqtt", "annotated-types", "cffi", "click", "colorzero", "cryptography", "gpiozero", "markdown-it-py", "mdurl",
    "paho-mqtt", "pycparser", "pydantic", "pydantic_core", "Pygments", "pynmeagps", "pyserial", "rich",
    "securesystemslib", "tuf", "typing-inspection", "typing_extensions", "urllib3",
)  # fmt: skip


class FetchError(Exception):
    """pip could not get the wheels; the message is its own."""


def canonical(name: str) -> str:
    """Return a distribution's one true name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def fetch(target: Target, requirements: Path, folder: Path) -> None:
    """Have pip get the wheels for a target that a requirements file names, and nothing else; raises FetchError."""
    platforms = [word for platform in target.platforms for word in ("--platform", platform)]
    python = "".join(map(str, target.python))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--only-binary", ":all:", "--implementation", "cp", "--python-version", python,
               "--abi", f"cp{python}", "--abi", "abi3", "--abi", "none", *platforms,
               "--dest", str(folder), "--requirement", str(requirements)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise FetchError(done.stderr.strip()[-2000:])


def wanted(target: Target) -> list[str]:
    """Return the distributions that a release for a target has a wheel of."""
    left_out = {canonical(name) for name in target.left_out}
    return [name for name in NEEDED if canonical(name) not in left_out]


def requirements_for(target: Target, lock: str) -> str:
    """Return the part of the lock that a target needs."""
    names = set(map(canonical, wanted(target)))
    return "".join(line + "\n" for line in lock.splitlines() if canonical(line.partition("==")[0]) in names)


def digests(lock: str) -> set[str]:
    """Return the digests of all wheels that may be taken."""
    return set(re.findall(r"--hash=sha256:([0-9a-f]{64})", lock))


def make(constraints: str) -> str:
    """Get every wheel for every target, by the pinned versions, and return the lock; raises FetchError."""
    pins = {canonical(line.partition("==")[0]): line for line in constraints.splitlines() if "==" in line}
    found: dict[str, set[str]] = defaultdict(set)
    for target in TARGETS.values():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            requirements = folder / "requirements.txt"
            requirements.write_text("\n".join(pins[canonical(one)] for one in wanted(target)))
            fetch(target, requirements, folder)
            for wheel in folder.glob("*.whl"):
                found[canonical(wheel.name.split("-")[0])].add(hashlib.sha256(wheel.read_bytes()).hexdigest())
    return HEAD + "".join(_line(pins[name], hashes) for name, hashes in sorted(found.items()))


def _line(pin: str, hashes: Iterable[str]) -> str:
    return " ".join([pin, *(f"--hash=sha256:{digest}" for digest in sorted(hashes))]) + "\n"
