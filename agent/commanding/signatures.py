"""Ed25519 signatures (RFC 8032) over a command: who may, whatever the broker lets through.

What is signed names the gateway and the command, so that neither can be exchanged; the id and the expiry within the
payload see to it that it is good once, and not for long.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from agent.commanding.answer import CommandError, Reason

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY, SIGNATURE = "key", "signature"  # the user properties that hold a key's name, and a signature in base64


def signed_bytes(gateway: str, command: str, payload: bytes) -> bytes:
    """Return what is signed."""
    return f"roadside do\n{gateway}\n{command}\n".encode() + payload


class Verifier:
    """Checks signatures by the configured public keys."""

    def __init__(self, gateway: str, keys: Mapping[str, str]) -> None:
        """Take the keys by name, each the base64 of its 32 bytes."""
        self._gateway = gateway
        self._keys = keys

    def verify(self, command: str, payload: bytes, properties: Mapping[str, str]) -> None:
        """Return if a command carries a good signature; raises CommandError."""
        if KEY not in properties or SIGNATURE not in properties:
            text = f"this gateway does it only if signed: the user properties '{KEY}' and '{SIGNATURE}' are needed"
            raise CommandError(Reason.NOT_SIGNED, text)
        key = self._keys.get(properties[KEY])
        if key is None:
            raise CommandError(Reason.BAD_SIGNATURE, "the key is not one that this gateway trusts")
        try:
            signature = base64.b64decode(properties[SIGNATURE], validate=True)
        except (binascii.Error, ValueError):
            raise CommandError(Reason.BAD_SIGNATURE, "the signature is not base64") from None
        if not _is_good(base64.b64decode(key), signature, signed_bytes(self._gateway, command, payload)):
            text = "the signature is not of this command, on this gateway, by that key"
            raise CommandError(Reason.BAD_SIGNATURE, text)


def _is_good(key: bytes, signature: bytes, message: bytes) -> bool:
    try:  # imported with the first signature: it takes memory, and not every gateway needs it
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    except ImportError:
        text = "signatures cannot be checked here: install Debian's python3-cryptography"
        raise CommandError(Reason.CANNOT_VERIFY, text) from None
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True
