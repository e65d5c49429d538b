"""Releases small enough to be made in a moment, of wheels that hold next to nothing."""

import io
import zipfile
from hashlib import sha256
from pathlib import Path

from agent.updating import bundle, signing
from agent.updating.archive import TARGETS, Archive, Checked, pack
from agent.updating.targets import TARGETS as MACHINES

PROJECT = Path(__file__).parents[2]
MACHINE = MACHINES["bookworm-aarch64"]
SIGNED = 1_790_000_000  # seconds since 1970: after the day this was written nothing of it has expired for years
DAYS = 7_000.0
HELLO = "def main():\n    print({version!r})\n"


def wheel(name, version, files):
    """Return the file name and the bytes of a wheel with these files besides its metadata."""
    about = f"{name}-{version}.dist-info"
    files = {f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", **files}
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for path, text in files.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return f"{name}-{version}-py3-none-any.whl", whole.getvalue()


def targets(version="1.1", machine=MACHINE, more=None, project=PROJECT):
    """Return the targets of a release that says its version."""
    own = wheel("roadside", version, {"agent/__init__.py": "", "agent/cli.py": HELLO.format(version=version)})
    other = wheel("other", "3", more or {"other.py": "x = 1\n"})
    return bundle.targets_of(project, machine, dict([own, other]), SIGNED)


def archive(keys, contents, moment=SIGNED, days=DAYS):
    """Return a release that is signed."""
    files = {TARGETS + name: data for name, data in contents.items()}
    return pack(files | signing.sign(contents, keys, signing.moment_of(moment), days), moment)


def rebuilt(whole, change):
    """Return an archive again with its files changed, as somebody would who has no key."""
    opened = Archive(io.BytesIO(whole))
    files = {name: opened.read(name) for name in opened.places}
    change(files)
    return pack(files, SIGNED)


def checked(contents, version="1.1"):
    """Return a release that was found good, and the file it lies in."""
    whole = pack({TARGETS + name: data for name, data in contents.items()}, SIGNED)
    places = Archive(io.BytesIO(whole)).places
    files = {name: (*places[TARGETS + name], sha256(data).hexdigest()) for name, data in contents.items()}
    return Checked(version, files), io.BytesIO(whole)
