"""Claims: what a gateway shows, once, to be given a certificate.

A claim is a one-time token as step-ca takes it, and `step ca token` prints it: a JWT (RFC 7519) that is signed by a key
of the workshop's with ES256 (RFC 7518, section 3.4). It says of itself where to show it (`aud`), and the fingerprint of
the authority that one may then believe (`sha`), so a gateway needs nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.i18n import _

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

SIGN = "/1.0/sign"
LONGEST = 8192  # characters of a token: ours have some 600
COORDINATE = 32  # bytes of P-256
FINGERPRINT = re.compile(r"[0-9a-f]{64}")
SUBJECT = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")  # an id of a gateway, as in agent/config/load.py
LONGEST_SUBJECT = 63


class ClaimError(ValueError):
    """It is no claim, or not one to be believed; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a token says; times are seconds since 1970."""

    id: str
    gateway: str
    url: str  # of the service: https://host:port
    root: str  # SHA-256 of the authority's certificate, in hexadecimal digits
    issued: int
    until: int
    issuer: str  # step-ca calls it the provisioner


def mark(token: str) -> str:
    """Return a short mark of a token, for the name of a file: nothing of the token can be learnt from it."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def read(token: str) -> Claim:
    """Return what a token says, whoever signed it; raises ClaimError."""
    try:
        if len(token) > LONGEST:
            raise ValueError("too long")
        said = json.loads(_unpacked(token.split(".")[1]))
        audience = said["aud"] if isinstance(said["aud"], str) else said["aud"][0]
        claim = Claim(
            id=str(said["jti"]), gateway=str(said["sub"]), url=str(audience).partition("#")[0].removesuffix(SIGN),
            root=str(said["sha"]).lower(), issued=int(said["iat"]), until=int(said["exp"]), issuer=str(said["iss"]),
        )  # fmt: skip
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ClaimError(_("this is no claim: the workshop makes one with: roadside enrol claim ID")) from None
    if not FINGERPRINT.fullmatch(claim.root) or not claim.url.startswith("https://"):
        raise ClaimError(_("this claim does not say which service to believe; have the workshop make another"))
    if not SUBJECT.fullmatch(claim.gateway) or len(claim.gateway) > LONGEST_SUBJECT:
        raise ClaimError(_("'{name}' is no id of a gateway").format(name=claim.gateway))
    return claim


def issue(claim: Claim, key: EllipticCurvePrivateKey) -> str:
    """Return the token of a claim."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    said = {
        "aud": claim.url + SIGN, "exp": claim.until, "iat": claim.issued, "iss": claim.issuer, "jti": claim.id,
        "nbf": claim.issued, "sans": [claim.gateway], "sha": claim.root, "sub": claim.gateway,
    }  # fmt: skip
    head = {"alg": "ES256", "kid": thumbprint(key.public_key()), "typ": "JWT"}
    signed = f"{_packed(_json(head))}.{_packed(_json(said))}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ECDSA(SHA256())))
    return f"{signed}.{_packed(r.to_bytes(COORDINATE, 'big') + s.to_bytes(COORDINATE, 'big'))}"


def is_signed_by(token: str, key: EllipticCurvePublicKey) -> bool:
    """Return whether this key signed a token that has been read."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
    from cryptography.hazmat.primitives.hashes import SHA256

    signed, _dot, last = token.rpartition(".")
    try:
        head = json.loads(_unpacked(signed.partition(".")[0]))
        signature = _unpacked(last)
        # The algorithm is ours to choose: a token that names another is none, whatever its signature is worth there.
        if head["alg"] != "ES256" or len(signature) != 2 * COORDINATE:
            return False
        r, s = (int.from_bytes(half, "big") for half in (signature[:COORDINATE], signature[COORDINATE:]))
        key.verify(encode_dss_signature(r, s), signed.encode(), ECDSA(SHA256()))
    except (InvalidSignature, ValueError, LookupError, TypeError, RecursionError):
        return False
    return True


def thumbprint(key: EllipticCurvePublicKey) -> str:
    """Return the name that a key has by itself (RFC 7638)."""
    numbers = key.public_numbers()
    x, y = (_packed(number.to_bytes(COORDINATE, "big")) for number in (numbers.x, numbers.y))
    return _packed(hashlib.sha256(_json({"crv": "P-256", "kty": "EC", "x": x, "y": y})).digest())


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unpacked(text: str) -> bytes:
    if not re.fullmatch(r"[A-Za-z0-9_-]*", text, re.ASCII):
        raise ValueError("not base64url")
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
