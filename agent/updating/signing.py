"""The keys behind releases, and the TUF metadata that they sign (theupdateframework.github.io/specification).

Two keys. The *root* key says which keys count; it stays offline and is needed only to change them. The *release* key
signs releases. A gateway starts from one `root.json` and follows a chain of later ones, each signed by the one before
it, so either key can be replaced without a visit.

The numbers by which TUF refuses what is older are the moments of signing: nothing has to be remembered anywhere, and
the same release signed at the same moment is the same bytes.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

from agent.updating.archive import METADATA
from agent.updating.bundle import BundleError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ROOT_KEY, RELEASE_KEY = "root.pem", "release.pem"
RETIRED = "root-{version}.pem"  # a root key that was replaced: its successor's metadata needed its signature once
ROOT_LASTS = timedelta(days=20 * 365)  # a gateway is not visited to renew it
DAYS = 365.0  # for which a release may be installed, unless said otherwise


class KeysError(BundleError):
    """The folder of keys is not as it should be; the message is for people."""


def make_keys(folder: Path, now: datetime, *, rotate: frozenset[str] = frozenset()) -> Path:
    """Make the keys and the first root metadata, or replace the keys in `rotate`; returns the root metadata's path."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    chain = roots(folder)
    if not chain:
        if any((folder / name).exists() for name in (ROOT_KEY, RELEASE_KEY)):
            raise KeysError(f"{folder} has keys, but no root metadata that names them")
        signers = {name: _new_key(folder / name) for name in (ROOT_KEY, RELEASE_KEY)}
        return _write_root(folder, 1, signers, [signers[ROOT_KEY]], now)
    if not rotate:
        raise KeysError(f"{folder} has keys already; say which one is to be replaced")
    _finish(folder, chain)
    before = _key(folder / ROOT_KEY)
    fresh = {name: _new_key(_part(folder / name)) for name in sorted(rotate)}
    signers = {name: fresh.get(name) or _key(folder / name) for name in (ROOT_KEY, RELEASE_KEY)}
    by = [before, fresh[ROOT_KEY]] if ROOT_KEY in fresh else [before]
    path = _write_root(folder, len(chain) + 1, signers, by, now)  # with this the new keys count
    _finish(folder, roots(folder))
    return path


def _finish(folder: Path, chain: list[bytes]) -> None:
    """Put new keys into their places, which may have been cut short, if the last root metadata names them."""
    named = Metadata.from_bytes(chain[-1]).signed.keys
    for name in (ROOT_KEY, RELEASE_KEY):
        part = _part(folder / name)
        try:
            counts = part.exists() and _key(part).public_key.keyid in named
        except KeysError:  # not written to its end
            counts = False
        if not counts:
            part.unlink(missing_ok=True)
            continue
        if name == ROOT_KEY and (folder / name).exists():
            (folder / name).rename(folder / RETIRED.format(version=len(chain) - 1))
        part.rename(folder / name)


def _part(path: Path) -> Path:
    return path.with_name(f"{path.name}.new")


def roots(folder: Path) -> list[bytes]:
    """Return the root metadata from the first on."""
    chain: list[bytes] = []
    while (path := folder / f"{len(chain) + 1}.root.json").is_file():
        chain.append(path.read_bytes())
    return chain


def sign(targets: Mapping[str, bytes], keys: Path, moment: datetime, days: float = DAYS) -> dict[str, bytes]:
    """Return the metadata files, by their names in an archive, that vouch for targets."""
    chain = roots(keys)
    if not chain:
        raise KeysError(f"there is no root metadata in {keys}; make it with `roadside bundle keys {keys}`")
    _finish(keys, chain)
    signer = _key(keys / RELEASE_KEY)
    version, expires = int(moment.timestamp()), moment + timedelta(days=days)
    said = Targets(version=version, expires=expires)
    for name, data in sorted(targets.items()):
        said.targets[name] = TargetFile.from_data(name, data, ["sha256"])
    snapshot = Snapshot(version=version, expires=expires, meta={"targets.json": MetaFile(version)})
    timestamp = Timestamp(version=version, expires=expires, snapshot_meta=MetaFile(version))
    return {
        **{f"{METADATA}{number}.root.json": data for number, data in enumerate(chain, 1)},
        f"{METADATA}{version}.targets.json": _signed(said, [signer]),
        f"{METADATA}{version}.snapshot.json": _signed(snapshot, [signer]),
        f"{METADATA}timestamp.json": _signed(timestamp, [signer]),
    }


def _write_root(
    folder: Path, version: int, keys: Mapping[str, CryptoSigner], by: list[CryptoSigner], now: datetime
) -> Path:
    root = Root(version=version, expires=(now + ROOT_LASTS).replace(microsecond=0), consistent_snapshot=True)
    root.add_key(keys[ROOT_KEY].public_key, Root.type)
    for role in (Targets.type, Snapshot.type, Timestamp.type):
        root.add_key(keys[RELEASE_KEY].public_key, role)
    path = folder / f"{version}.root.json"
    _part(path).write_bytes(_signed(root, by))
    return _part(path).rename(path)


def _signed(said: Any, signers: list[CryptoSigner]) -> bytes:  # noqa: ANN401 - any of TUF's four roles
    metadata: Metadata[Any] = Metadata(said)
    for signer in signers:
        metadata.sign(signer, append=True)
    return metadata.to_bytes(JSONSerializer(compact=False))


def _new_key(path: Path) -> CryptoSigner:
    key = Ed25519PrivateKey.generate()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return CryptoSigner(key)


def _key(path: Path) -> CryptoSigner:
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise KeysError(f"{path}: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeysError(f"{path}: is no Ed25519 key")
    return CryptoSigner(key)


def moment_of(seconds: int) -> datetime:
    """Return a moment given in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC)
