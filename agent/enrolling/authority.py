"""The workshop's certificate authority: one folder, a root that can be taken away, and what works in its name.

The dates of the authority itself begin in `SINCE`, long before it was made: a gateway without a clock of its own may
believe to be years back, and must be able to enrol all the same. Those of gateways begin `SLACK` before they are made,
which is for brokers whose clocks differ; brokers do have the time.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.enrolling.faults import WorkshopError
from agent.host.disk import Folder, whole_file
from agent.i18n import _

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

SINCE = datetime(2020, 1, 1, tzinfo=UTC)  # before any system that we run on was released
LASTS = timedelta(days=20 * 365)  # the authority itself
SLACK = timedelta(hours=1)
GATEWAY_DAYS = 365.0
SERVER_DAYS = 397.0  # a broker's, and the service's own
PROVISIONER = "roadside"


class AuthorityError(WorkshopError):
    """The folder is not what it should be; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Revoked:
    """A certificate that no longer counts."""

    serial: int
    at: int  # seconds since 1970
    reason: x509.ReasonFlags


@dataclass(frozen=True)
class Authority:
    """Signs certificates and lists of revoked ones, with the keys in a folder."""

    folder: Path
    url: str  # at which gateways find the service

    @staticmethod
    def make(folder: Path, url: str, name: str) -> Authority:
        """Make the keys of a new authority; raises OSError if there is one already, or half of one."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        root_key, key = _new_key(), _new_key()
        until = datetime.now(UTC) + LASTS
        root = _authority(f"{name}", root_key.public_key(), None, root_key, until, length=1)
        intermediate = _authority(f"{name}, in use", key.public_key(), root, root_key, until, length=0)
        _write(folder / "root.key", _key_pem(root_key))
        _write(folder / "intermediate.key", _key_pem(key))
        _write(folder / "provisioner.key", _key_pem(_new_key()))
        _write(folder / "root.pem", pem(root))
        _write(folder / "intermediate.pem", pem(intermediate))
        _write(folder / "authority.json", json.dumps({"url": url}, indent=1) + "\n")  # last: now it is one
        return Authority(folder, url)

    @staticmethod
    def open(folder: Path) -> Authority:
        """Return the authority in a folder; raises AuthorityError."""
        try:
            return Authority(folder, str(json.loads((folder / "authority.json").read_text("utf-8"))["url"]))
        except (OSError, ValueError, LookupError, TypeError):
            text = _("{folder} holds no authority; make one with: roadside enrol authority {folder} --url URL")
            raise AuthorityError(text.format(folder=folder)) from None

    @cached_property
    def root(self) -> x509.Certificate:
        """Return what gateways and brokers trust."""
        return self._certificate("root.pem")

    @cached_property
    def intermediate(self) -> x509.Certificate:
        """Return what signs in its name."""
        return self._certificate("intermediate.pem")

    @cached_property
    def provisioner(self) -> ec.EllipticCurvePrivateKey:
        """Return the key that signs claims."""
        return self._key("provisioner.key")

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of the root, in hexadecimal digits."""
        return hashlib.sha256(self.root.public_bytes(Encoding.DER)).hexdigest()

    # --- what it signs -----------------------------------------------------------------------------------------------

    def gateway(self, gateway: str, key: CertificatePublicKeyTypes, at: float, days: float) -> x509.Certificate:
        """Return a certificate by which a broker knows a gateway, made at that time in seconds since 1970."""
        now = datetime.fromtimestamp(int(at), UTC)
        names = [x509.DNSName(gateway)]
        return self._leaf(gateway, key, names, ExtendedKeyUsageOID.CLIENT_AUTH, now - SLACK, now + timedelta(days=days))

    def server(self, names: Sequence[str], key: CertificatePublicKeyTypes, at: float) -> x509.Certificate:
        """Return a certificate by which gateways know a broker, or the service itself, under any of these names."""
        until = datetime.fromtimestamp(int(at), UTC) + timedelta(days=SERVER_DAYS)
        called = [_name(name) for name in names]
        return self._leaf(names[0], key, called, ExtendedKeyUsageOID.SERVER_AUTH, SINCE, until)

    def revocations(self, revoked: Iterable[Revoked], at: float, number: int) -> str:
        """Return a list of revoked certificates (RFC 5280, section 5) as PEM.

        It ends with the authority: a list that is out of date would have brokers refuse every gateway of the city.
        """
        made = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.intermediate.subject)
            .last_update(datetime.fromtimestamp(int(at), UTC) - SLACK)
            .next_update(self.intermediate.not_valid_after_utc)
            .add_extension(x509.CRLNumber(number), critical=False)
            .add_extension(_issued_by(self.intermediate), critical=False)
        )
        for one in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(one.serial)
            entry = entry.revocation_date(datetime.fromtimestamp(one.at, UTC))
            made = made.add_revoked_certificate(entry.add_extension(x509.CRLReason(one.reason), critical=False).build())
        return made.sign(self._key("intermediate.key"), SHA256()).public_bytes(Encoding.PEM).decode()

    def publish(self, name: str, text: str) -> None:
        """Put a file for others in place at once; nobody finds half of one."""
        Folder(self.folder).replace(name, text.encode())
        (self.folder / name).chmod(0o644)

    def _leaf(
        self, name: str, key: CertificatePublicKeyTypes, names: Sequence[x509.GeneralName],
        usage: x509.ObjectIdentifier, since: datetime, until: datetime,
    ) -> x509.Certificate:  # fmt: skip
        made = (
            _started(name, key, self.intermediate.subject, since, min(until, self.intermediate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signing=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(_issued_by(self.intermediate), critical=False)
        )
        return made.sign(self._key("intermediate.key"), SHA256())

    def _certificate(self, name: str) -> x509.Certificate:
        try:
            return x509.load_pem_x509_certificate((self.folder / name).read_bytes())
        except ValueError:
            raise AuthorityError(_("{path} holds no certificate").format(path=self.folder / name)) from None

    def _key(self, name: str) -> ec.EllipticCurvePrivateKey:
        try:
            key = load_pem_private_key((self.folder / name).read_bytes(), None)
        except ValueError:
            key = None
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise AuthorityError(_("{path} holds no key of this authority").format(path=self.folder / name))
        return key


def pem(*certificates: x509.Certificate) -> str:
    """Return certificates as text, in this order."""
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in certificates)


def key_digest(key: CertificatePublicKeyTypes) -> str:
    """Return the SHA-256 of a public key, in hexadecimal digits."""
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def server_pair(authority: Authority, names: Sequence[str], at: float) -> tuple[str, str]:
    """Return the chain and the key of a new server, as texts."""
    key = _new_key()
    chain = pem(authority.server(names, key.public_key(), at), authority.intermediate)
    return chain, _key_pem(key)


def _authority(
    name: str, key: ec.EllipticCurvePublicKey, above: x509.Certificate | None, signer: ec.EllipticCurvePrivateKey,
    until: datetime, *, length: int,
) -> x509.Certificate:  # fmt: skip
    issuer = _called(name) if above is None else above.subject
    made = (
        _started(name, key, issuer, SINCE, until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=length), critical=True)
        .add_extension(_usage(signing=True), critical=True)
    )
    if above is not None:
        made = made.add_extension(_issued_by(above), critical=False)
    return made.sign(signer, SHA256())


def _started(
    name: str, key: CertificatePublicKeyTypes, issuer: x509.Name, since: datetime, until: datetime
) -> x509.CertificateBuilder:
    made = x509.CertificateBuilder().subject_name(_called(name)).issuer_name(issuer).public_key(key)
    made = made.serial_number(x509.random_serial_number()).not_valid_before(since).not_valid_after(until)
    return made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)


def _issued_by(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    known = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)


def _usage(*, signing: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signing, key_cert_sign=signing, crl_sign=signing, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def _called(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _write(path: Path, text: str) -> None:
    with whole_file(path, encoding="ascii") as file:
        file.write(text)
    os.chmod(path, 0o600 if path.suffix == ".key" else 0o644)
