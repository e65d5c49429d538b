"""Makes a release of a checkout: wheels, units, an SBOM and a manifest, in one file, signed if there are keys."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from agent.updating import debian, lock, sbom
from agent.updating.archive import MANIFEST, TARGETS, pack
from agent.updating.targets import order

if TYPE_CHECKING:
    from agent.updating.targets import Target

FORMAT = 1  # of the manifest
WHEELS, UNITS, DEBIAN = "wheels/", "systemd/", "debian/"


class BundleError(Exception):
    """No release can be made of this; the message is for people."""


def make(
    project: Path, target: Target, moment: int, *, wheels: Path | None, keys: Path | None, days: float,
    packages: Path | None = None,
) -> bytes:  # fmt: skip
    """Return an archive; raises BundleError, KeysError of `signing` or DebError.

    `wheels` is a folder that has the wheels of others already, else pip gets them. `packages` is one of Debian packages
    for systems that have not all of `target.debian`. `moment`, in seconds since 1970, is when it is signed, and the
    time that everything in it bears.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        own = _own_wheel(project, folder, moment)
        others = _others(project, target, wheels, folder)
    debs = {} if packages is None else debian.read(packages, target)
    targets = targets_of(project, target, {own[0]: own[1], **others}, moment, debs)
    files = {TARGETS + name: data for name, data in targets.items()}
    if keys is not None:
        from agent.updating import signing

        files |= signing.sign(targets, keys, signing.moment_of(moment), days)
    return pack(files, moment)


def commit_moment(project: Path) -> int:
    """Return when the present commit was made, in seconds since 1970."""
    command = ["git", "-C", str(project), "log", "-1", "--format=%ct"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise BundleError(f"{project} is no git checkout: say with --date of which moment the release is to be")
    return int(done.stdout)


def uncommitted(project: Path) -> bool:
    """Return whether the checkout has changes that are in no commit."""
    command = ["git", "-C", str(project), "status", "--porcelain"]
    return bool(subprocess.run(command, capture_output=True, text=True, check=False).stdout)


def targets_of(
    project: Path, target: Target, wheels: dict[str, bytes], moment: int, debs: dict[str, bytes] | None = None
) -> dict[str, bytes]:
    """Return what is to be vouched for: wheels, Debian packages, the units of a checkout, an SBOM, the manifest."""
    own = next(data for name, data in wheels.items() if name.startswith("roadside-"))
    version = sbom.metadata(own)["Version"]
    try:
        order(version)
    except ValueError:
        raise BundleError(f"{version}: the version of a release is made of numbers and dots") from None
    units = {UNITS + path.name: path.read_bytes() for path in (project / "systemd").iterdir() if path.is_file()}
    targets = {WHEELS + name: data for name, data in wheels.items()} | units
    targets |= {DEBIAN + name: data for name, data in (debs or {}).items()}
    targets[sbom.NAME] = sbom.describe(version, target, wheels, debs or {}, moment)
    manifest = {
        "format": FORMAT,
        "version": version,
        "generation": target.generation,
        "architecture": target.architecture,
        "python": ".".join(map(str, target.python)),
        "made": moment,
        "debian": sorted(target.debian.values()),
        "files": {name: hashlib.sha256(data).hexdigest() for name, data in sorted(targets.items())},
    }
    targets[MANIFEST] = json.dumps(manifest, indent=1, sort_keys=True).encode() + b"\n"
    return targets


def _own_wheel(project: Path, folder: Path, moment: int) -> tuple[str, bytes]:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--no-index", "--no-build-isolation", "--no-cache-dir", "--wheel-dir", str(folder),
               str(project)]  # fmt: skip
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(moment)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise BundleError(f"our own wheel cannot be built: {done.stderr.strip()[-2000:]}")
    (path,) = folder.glob("roadside-*.whl")
    return path.name, path.read_bytes()


def _others(project: Path, target: Target, wheels: Path | None, folder: Path) -> dict[str, bytes]:
    """Return the wheels of others, each one of the lock."""
    locked = (project / lock.NAME).read_text()
    if wheels is None:
        wheels = folder / "others"
        requirements = folder / "requirements.txt"
        requirements.write_text(lock.requirements_for(target, locked))
        try:
            lock.fetch(target, requirements, wheels)
        except lock.FetchError as error:
            raise BundleError(str(error)) from error
    names = set(map(lock.canonical, lock.wanted(target)))
    found = {path.name: path.read_bytes() for path in wheels.glob("*.whl")}
    found = {name: data for name, data in found.items() if lock.canonical(name.split("-")[0]) in names}
    missing = names - {lock.canonical(name.split("-")[0]) for name in found}
    if missing:
        raise BundleError(f"{wheels} has no wheel of {', '.join(sorted(missing))}")
    known = lock.digests(locked)
    for name, data in found.items():
        if hashlib.sha256(data).hexdigest() not in known:
            raise BundleError(f"{name} is not a wheel that {lock.NAME} knows")
    if len(found) > len(names):
        raise BundleError(f"{wheels} has several wheels of one distribution; keep one for {target}")
    return found
