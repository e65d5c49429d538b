"""Checks who signed a release, in a process of its own that has no rights and ends with its answer.

    python -m agent.updating.verifying --trusted FOLDER --root FILE ... <release

What was trusted last is kept in FOLDER: that is what an older release is refused by. It is only taken over from a
release that is found good in every respect, so one for another kind of gateway leaves no trace.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import urllib.request
from datetime import UTC, datetime
from http.client import HTTPException
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from agent import i18n
from agent.i18n import _
from agent.updating.archive import LARGEST, MANIFEST, METADATA, TARGETS, Archive, ArchiveError, Checked, Place
from agent.updating.confined import FETCHED
from agent.updating.targets import order

if TYPE_CHECKING:
    from collections.abc import Iterator

REFUSED = 1
BASE = "release:///"
ROLES = ("root", "timestamp", "snapshot", "targets")
METADATA_KEPT, ASIDE, NEW = "metadata", ".old", ".new-"  # in the folder of what is trusted
STEP = 1 << 16  # bytes
PATIENCE = 60.0  # seconds without a byte


class RefusedError(Exception):
    """A release is not to be installed; the message is for people."""


class Wanted(NamedTuple):
    """What a release has to be."""

    target: str  # such as "bookworm-aarch64"
    above: str  # the version that runs; empty if none does
    floor: int  # seconds since 1970: it is later than this, whatever the clock says


class _Inside(FetcherInterface):
    """Gets what TUF asks for out of the archive."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            return iter([self._archive.read(url.removeprefix(BASE))])
        except KeyError:
            raise DownloadHTTPError(f"there is no {url}", 404) from None


def verify(file: IO[bytes], trusted: Path, root: bytes, wanted: Wanted) -> Checked:
    """Return what is in a release if it may be installed, and remember what it was trusted by; raises RefusedError."""
    try:
        archive = Archive(file)
    except ArchiveError as error:
        raise RefusedError(str(error)) from error
    _put_right(trusted)
    with tempfile.TemporaryDirectory(dir=trusted, prefix=NEW) as name:
        candidate = Path(name) / "metadata"
        if (trusted / METADATA_KEPT).is_dir():
            shutil.copytree(trusted / METADATA_KEPT, candidate, symlinks=True)
        else:
            candidate.mkdir()
        checked = _check(archive, candidate, Path(name), root, wanted)
        _take_over(candidate, trusted)
    return checked


def _check(archive: Archive, metadata: Path, scratch: Path, root: bytes, wanted: Wanted) -> Checked:
    config = UpdaterConfig(prefix_targets_with_hash=False)
    try:
        updater = Updater(str(metadata), BASE + METADATA, str(scratch), BASE + TARGETS, _Inside(archive), config,
                          bootstrap=root)  # fmt: skip
        updater.refresh()
        for role in ROLES:
            said = Metadata[Any].from_file(str(metadata / f"{role}.json")).signed
            if said.is_expired(datetime.fromtimestamp(wanted.floor, UTC)):
                raise ExpiredMetadataError(role)
        manifest = json.loads(_target(updater, archive, MANIFEST)[1])
        version = _fit(manifest, wanted)
        files = {}
        for name in [MANIFEST, *manifest["files"]]:
            place, data = _target(updater, archive, name)
            files[name] = (place.offset, place.size, updater.get_targetinfo(name).hashes["sha256"])  # type: ignore[union-attr] # `_target` has found it
            del data
    except (RepositoryError, DownloadError) as error:
        raise RefusedError(_reason(error)) from error
    except (LookupError, TypeError, ValueError) as error:
        raise RefusedError(_("its manifest cannot be understood ({error})").format(error=error)) from error
    return Checked(version, files)


def _target(updater: Updater, archive: Archive, name: str) -> tuple[Place, bytes]:
    """Return where a target lies and what it is; raises RepositoryError if nobody vouches for it."""
    known = updater.get_targetinfo(name)
    if known is None or TARGETS + name not in archive.places:
        raise RepositoryError(f"{name} is not signed, or not there")
    data = archive.read(TARGETS + name)
    known.verify_length_and_hashes(data)
    return archive.places[TARGETS + name], data


def _fit(manifest: dict[str, Any], wanted: Wanted) -> str:
    """Return the version of a release that is for this gateway, and newer; raises RefusedError."""
    version, target = str(manifest["version"]), f"{manifest['generation']}-{manifest['architecture']}"
    if target != wanted.target:
        text = _("it is made for {target}; this gateway needs one for {wanted}")
        raise RefusedError(text.format(target=target, wanted=wanted.target))
    if wanted.above and order(version) <= order(wanted.above):
        text = _(
            "it is {version}, and {present} runs already: only a later release is installed. "
            "To go back to the one before, use: roadside rollback"
        )
        raise RefusedError(text.format(version=version, present=wanted.above))
    return version


def _reason(error: Exception) -> str:
    """Return in a person's words why TUF does not trust it."""
    match error:
        case ExpiredMetadataError():
            return _("its signature has expired; ask for one that was signed anew")
        case UnsignedMetadataError():
            return _("it is not signed by a key that this gateway trusts")
        case BadVersionNumberError():
            return _("it was signed before the release that this gateway has accepted last")
        case LengthOrHashMismatchError():
            return _("it is damaged: a file in it is not the one that was signed; copy it again")
        case DownloadHTTPError():
            return _("it is not signed, or a part of its signature is missing")
        case _:
            return _("its signature is not good ({error})").format(error=error)


def _put_right(trusted: Path) -> None:
    """Put right what a cut may have left: what is trusted is never lost, or an older release would be taken again."""
    if not (trusted / METADATA_KEPT).exists() and (trusted / ASIDE).exists():
        (trusted / ASIDE).rename(trusted / METADATA_KEPT)
    for left in [trusted / ASIDE, *trusted.glob(NEW + "*")]:
        shutil.rmtree(left, ignore_errors=True)


def _take_over(candidate: Path, trusted: Path) -> None:
    """Remember what a release was trusted by; what is cut in between is put right by the next one."""
    for path in [candidate, *candidate.rglob("*")]:
        if not path.is_symlink():
            _sync(path)
    if (trusted / METADATA_KEPT).exists():
        (trusted / METADATA_KEPT).rename(trusted / ASIDE)
    candidate.rename(trusted / METADATA_KEPT)
    _sync(trusted)
    shutil.rmtree(trusted / ASIDE, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def fetch(url: str, path: Path) -> None:
    """Get a release from a web server; whether it is one is found out later. Raises RefusedError."""
    if not url.startswith(("https://", "http://")):
        raise RefusedError(_("{url}: only http and https are understood").format(url=url))
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer, path.open("wb") as file:  # noqa: S310 - as above
            size = 0
            while data := answer.read(STEP):
                if (size := size + len(data)) > LARGEST:
                    raise RefusedError(_("{url}: is larger than any release").format(url=url))
                file.write(data)
    except (OSError, HTTPException) as error:
        raise RefusedError(_("{url}: cannot be fetched ({error})").format(url=url, error=error)) from error


def main() -> int:
    """Check a release, and say what came of it: one line of JSON, or why not."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trusted", type=Path, required=True)
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--target", required=True)
    parser.add_argument("--above", default="")
    parser.add_argument("--floor", type=int, default=0)
    parser.add_argument("--url", help="fetch it from there into FOLDER/fetched; standard input is not read")
    parser.add_argument("--language", default="en")
    given = parser.parse_args()
    i18n.install(given.language)
    wanted = Wanted(given.target, given.above, given.floor)
    root = given.root.read_bytes()
    try:
        if given.url is None:
            checked = verify(sys.stdin.buffer, given.trusted, root, wanted)
        else:
            path = given.trusted / FETCHED
            fetch(given.url, path)
            with path.open("rb") as file:
                checked = verify(file, given.trusted, root, wanted)
    except RefusedError as error:
        sys.stderr.write(f"{error}\n")
        return REFUSED
    sys.stdout.write(json.dumps(checked._asdict()) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
