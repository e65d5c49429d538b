"""The report of a commissioning: what was done at each device and what came of it, signed with the gateway's key.

What is signed is a text, byte by byte: who checks it takes it as it stands, and parses it afterwards. The key is the
one of the gateway's certificate: Ed25519 (RFC 8032), or P-256 with ECDSA and SHA-256 (FIPS 186-5), as enrolment has it.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CONTEXT = b"roadside commissioning\n"  # so that a signature is good for nothing else
ED25519, ECDSA = "ed25519", "ecdsa-p256-sha256"
LARGEST = 48 * 1024  # bytes of a report: what fits into a request to the agent


class UnsignedError(Exception):
    """A report cannot be signed; the message says why, in English; the report carries it."""


def text(
    *, gateway: str, version: str, by: str, began: Mapping[str, Any], ended: Mapping[str, Any], devices: Sequence[Any]
) -> str:
    """Return the report as it is signed: JSON. `began` and `ended` are `boot`, `boottime` and `utc` (or null)."""
    outcomes = Counter(device["outcome"] for device in devices)
    report = {
        "gateway": gateway,
        "version": version,
        "by": by,
        "began": dict(began),
        "ended": dict(ended),
        "outcomes": dict(outcomes),
        "devices": list(devices),
    }
    return json.dumps(report, ensure_ascii=False, separators=(",", ":"))


def sign(report: str, key: bytes) -> dict[str, str]:
    """Return `algorithm`, `public_key` (DER) and `signature`, both in base64; raises UnsignedError. `key` is a PEM."""
    try:  # imported here alone: it takes memory, and only who commissions needs it
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    except ImportError:
        raise UnsignedError(N_("install Debian's python3-cryptography")) from None
    try:
        private = serialization.load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise UnsignedError(N_("the key is no private key in PEM, or is encrypted")) from None
    message = CONTEXT + report.encode()
    if isinstance(private, Ed25519PrivateKey):
        algorithm, signature = ED25519, private.sign(message)
    elif isinstance(private, ec.EllipticCurvePrivateKey) and isinstance(private.curve, ec.SECP256R1):
        algorithm, signature = ECDSA, private.sign(message, ec.ECDSA(hashes.SHA256()))
    else:
        raise UnsignedError(N_("the key is neither Ed25519 nor P-256"))
    public = private.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {
        "algorithm": algorithm,
        "public_key": base64.b64encode(public).decode(),
        "signature": base64.b64encode(signature).decode(),
    }
