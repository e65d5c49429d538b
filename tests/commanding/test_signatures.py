"""Signatures: of this command, on this gateway, by a key that is trusted."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.commanding.answer import CommandError, Reason
from agent.commanding.signatures import Verifier, signed_bytes

PAYLOAD = b'{"id":"1","expires":1795346000,"device":"siren-1","on":true}'
# RFC 8032, section 7.1, TEST 1: the secret key, and the public one that belongs to it.
SECRET = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
KEY = Ed25519PrivateKey.from_private_bytes(SECRET)
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(32))


def signed(key=KEY, name="ops", gateway="pkt-0042", command="set", payload=PAYLOAD):
    signature = key.sign(signed_bytes(gateway, command, payload))
    return {"key": name, "signature": base64.b64encode(signature).decode()}


def verify(properties, command="set", payload=PAYLOAD):
    Verifier("pkt-0042", {"ops": base64.b64encode(PUBLIC).decode()}).verify(command, payload, properties)


def test_what_is_signed_begins_with_the_gateway_and_the_command():
    assert signed_bytes("pkt-0042", "set", b"{}") == b"roadside do\npkt-0042\nset\n{}"


def test_a_good_signature_is_good():
    verify(signed())


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({}, Reason.NOT_SIGNED),
        ({"key": "ops"}, Reason.NOT_SIGNED),
        (signed(name="somebody"), Reason.BAD_SIGNATURE),
        (signed(OTHER), Reason.BAD_SIGNATURE),
        (signed(gateway="pkt-0043"), Reason.BAD_SIGNATURE),
        (signed(command="test"), Reason.BAD_SIGNATURE),
        (signed(payload=PAYLOAD + b" "), Reason.BAD_SIGNATURE),
        ({"key": "ops", "signature": "no base64"}, Reason.BAD_SIGNATURE),
        ({"key": "ops", "signature": ""}, Reason.BAD_SIGNATURE),
    ],
)
def test_any_other_is_refused(properties, reason):
    with pytest.raises(CommandError) as refused:
        verify(properties)
    assert refused.value.reason is reason


def test_each_byte_matters():
    properties = signed()
    for place in range(len(PAYLOAD)):
        with pytest.raises(CommandError):
            verify(properties, payload=PAYLOAD[:place] + bytes([PAYLOAD[place] ^ 1]) + PAYLOAD[place + 1 :])
