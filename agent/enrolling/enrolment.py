"""The steps of a gateway that gets its certificate, and that gets the next one."""

from __future__ import annotations

import hashlib
import ssl
from typing import TYPE_CHECKING

from agent.enrolling import claims
from agent.enrolling.service_calls import Calls, RefusedError
from agent.i18n import _
from agent.uplink.x509 import of_pem

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from agent.enrolling.identity import Enrolment, Identity


def enrol(identity: Identity, token: str) -> bool:
    """Get the certificate that a claim is for; return False if this gateway has it already.

    Raises ClaimError, RefusedError, UnreachableError and OSError. Whatever ends it, called again it goes on.
    """
    claim = claims.read(token)
    enrolment = identity.enrolment(claims.mark(token))
    if identity.current() == enrolment:
        identity.settle(enrolment)  # a cut may have left an older one beside it
        return False
    calls = Calls(claim.url)
    if not _is_root(enrolment, claim.root):
        enrolment.keep(enrolment.authority.name, calls.root(claim.root))
    if not enrolment.key.exists():
        enrolment.keep_key(_new_key())
    key = _load(enrolment)
    if not enrolment.chain.exists():
        _keep_chain(enrolment, calls.sign(_request(key, claim.gateway), token, enrolment.authority), claim.gateway)
    enrolment.keep("service", claim.url + "\n")
    identity.settle(enrolment)
    return True


def is_due(enrolment: Enrolment, now: float) -> bool:
    """Return whether two thirds of the certificate's life are over; raises OSError and ValueError."""
    return enrolment.validity().ends_soon(now)


def renew(enrolment: Enrolment, now: float) -> None:
    """Get the next certificate for the same key; raises RefusedError, UnreachableError, OSError and ValueError.

    What has expired is not tried: no service takes it, and a gateway's clock may be behind but is never ahead.
    """
    if now >= enrolment.validity().ends:
        raise RefusedError(_("the certificate of this gateway has expired; have the workshop make a new claim"))
    _keep_chain(enrolment, Calls(enrolment.url).renew(enrolment.authority, enrolment.chain, enrolment.key), None)


def _is_root(enrolment: Enrolment, fingerprint: str) -> bool:
    try:
        der = ssl.PEM_cert_to_DER_cert(enrolment.authority.read_text("ascii").strip())
    except (OSError, ValueError):
        return False
    return hashlib.sha256(der).hexdigest() == fingerprint


def _keep_chain(enrolment: Enrolment, chain: list[str], gateway: str | None) -> None:
    """Store what came back, if it is ours."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    ours = x509.load_pem_x509_certificate(chain[0].encode())
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    names = {name.value for name in ours.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)}
    theirs = ours.public_key().public_bytes(*form)
    if theirs != _load(enrolment).public_key().public_bytes(*form) or gateway not in {None, *names}:
        raise RefusedError(_("the service answered with somebody else's certificate"))
    of_pem(chain[0])  # the agent will read its dates
    enrolment.keep(enrolment.chain.name, "".join(chain))


def _new_key() -> str:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _load(enrolment: Enrolment) -> EllipticCurvePrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(enrolment.key.read_bytes(), None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise OSError(None, _("there is another kind of key than ours"), str(enrolment.key))
    return key


def _request(key: EllipticCurvePrivateKey, gateway: str) -> str:
    """Return a request (PKCS #10, RFC 2986); step-ca wants the names in it to be those of the claim."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding

    made = x509.CertificateSigningRequestBuilder()
    made = made.subject_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, gateway)]))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(gateway)]), critical=False)
    return made.sign(key, SHA256()).public_bytes(Encoding.PEM).decode()
