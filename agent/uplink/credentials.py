"""What an uplink identifies itself with, read from files anew for each connection."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from agent.i18n import _
from agent.uplink import faults, tls, x509

if TYPE_CHECKING:
    import ssl
    from pathlib import Path

LONGEST_PASSWORD = 65_535  # bytes: MQTT 5, section 1.5.6


@dataclass(frozen=True, slots=True)
class Files:
    """Where the secrets of an uplink are: plain files, or systemd credentials."""

    password: Path | None = None
    authority: Path | None = None  # what the broker's certificate must lead to; None: what the system trusts
    certificate: Path | None = None  # ours, and after it those that lead to its authority
    key: Path | None = None


class Secrets(NamedTuple):
    """What was read."""

    password: str | None
    tls: ssl.SSLContext | None
    certificate: x509.Validity | None  # of our own


def read(files: Files, *, encrypted: bool) -> Secrets:
    """Read the files, with certificates only for an encrypted connection; raises LinkError."""
    password = None if files.password is None else _password(files.password)
    if not encrypted:
        return Secrets(password, None, None)
    try:
        context = tls.context(files.authority)
    except OSError as error:
        raise faults.of_certificates(error, files.authority) from None
    if files.certificate is None or files.key is None:
        return Secrets(password, context, None)
    ours = _certificate(files.certificate)
    try:
        tls.identify(context, files.certificate, files.key)
    except OSError as error:
        raise faults.of_key(error, files.key, files.certificate) from None
    return Secrets(password, context, ours)


def mark(files: Files) -> bytes:
    """Return a mark of what is in the files: another content has another mark, whatever became of the files."""
    digest = hashlib.sha256()
    for path in (files.password, files.authority, files.certificate, files.key):
        try:
            content = b"" if path is None else path.read_bytes()
        except OSError as error:
            content = f"{error.errno}".encode()
        digest.update(hashlib.sha256(content).digest())
    return digest.digest()


def _password(path: Path) -> str:
    try:
        password = path.read_text(encoding="utf-8").rstrip("\r\n")
        if not password:
            raise ValueError(_("it is empty"))
        if "\0" in password:
            raise ValueError(_("it is not text"))
        if len(password.encode()) > LONGEST_PASSWORD:
            raise ValueError(_("it is too long for a password; is it the right file?"))
    except (OSError, ValueError) as error:
        raise faults.of_secret(error, path) from None  # a UnicodeDecodeError holds the text
    return password


def _certificate(path: Path) -> x509.Validity:
    try:
        return x509.of_pem(path.read_text(encoding="ascii", errors="replace"))
    except (OSError, ValueError) as error:
        raise faults.of_own_certificate(error, path) from None
