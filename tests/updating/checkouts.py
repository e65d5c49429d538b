"""Copies of this checkout that say another version, and the wheels they need, packed from what is installed here."""

import hashlib
import shutil
import zipfile
from importlib.metadata import distribution
from pathlib import Path

from agent import VERSION
from agent.updating import lock

PROJECT = Path(__file__).parents[2]
FILES = ("pyproject.toml", "constraints.txt", "LICENSE", "README.md")
FOLDERS = ("agent", "drivers", "hil", "systemd")


def installed_wheels(folder):
    """Pack what is installed here, and runs on a gateway, into wheels: there is no network in a test."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in lock.NEEDED:
        found = distribution(name)
        files = sorted(file for file in found.files if ".." not in file.parts and "__pycache__" not in file.parts)
        path = folder / f"{name.replace('-', '_')}-{found.version}-py3-none-any.whl"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as wheel:
            for file in files:
                wheel.writestr(zipfile.ZipInfo(str(file)), found.locate_file(file).read_bytes())
    return folder


def checkout(folder, version, wheels):
    """Make a copy of this checkout that says another version, with a lock that knows those wheels."""
    folder.mkdir(parents=True)
    for name in FILES:
        shutil.copy(PROJECT / name, folder)
    for name in FOLDERS:
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    init = folder / "agent/__init__.py"
    init.write_text(init.read_text().replace(f'"{VERSION}"', f'"{version}"'))
    lines = []
    for path in sorted(wheels.glob("*.whl")):
        name, number = path.name.split("-")[:2]
        lines.append(f"{name}=={number} --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}")
    (folder / lock.NAME).write_text("\n".join(lines) + "\n")
    return folder
