"""A gateway of tests that enrols: an identity below a folder, and the request it would send."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from agent.enrolling import enrolment
from agent.enrolling.identity import Enrolment, Identity

if TYPE_CHECKING:
    from pathlib import Path


def identity_in(folder: Path) -> Identity:
    return Identity(folder / "identity")


def a_request(folder: Path, gateway: str = "pkt-0042") -> x509.CertificateSigningRequest:
    """Return a request by the key in a folder, which is made if there is none."""
    folder.mkdir(exist_ok=True)
    made = Enrolment(folder)
    if not made.key.exists():
        made.keep_key(enrolment._new_key())
    return x509.load_pem_x509_csr(enrolment._request(enrolment._load(made), gateway).encode())


def leaf(chain: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(chain.encode())
