"""The rules: who is given a certificate, who is refused and why, and what is revoked. Between the ledger and the keys.

One gateway, one key. A claim is good once; shown again with the same key it gives another certificate for that key, so
that a gateway whose answer was lost, or that was switched off in the middle, is not locked out.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from agent.enrolling import claims, ledger
from agent.enrolling.authority import GATEWAY_DAYS, PROVISIONER, Revoked, key_digest, pem
from agent.enrolling.faults import WorkshopError
from agent.i18n import _
from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from agent.enrolling.authority import Authority
    from agent.enrolling.claims import Claim
    from agent.enrolling.ledger import Certificate, Ledger, Standing

DAY = 86_400  # seconds
CLAIM_DAYS = 30.0
LIST = "crl.pem"  # what mosquitto's `crlfile` names
REASONS = {
    "stolen": x509.ReasonFlags.key_compromise,
    "replaced": x509.ReasonFlags.superseded,
    "decommissioned": x509.ReasonFlags.cessation_of_operation,
}
USED = N_("this claim was used already, by another key than yours: a claim is good for one gateway")
EXPIRED = N_("this claim has expired; have the workshop make another: roadside enrol claim {gateway}")
UNKNOWN = N_("this claim is none of this workshop's")
VOID = N_("this claim is void: since it was made, {gateway} was given another one, or was enrolled or revoked")
REVOKED_KEY = N_("the key of this gateway was revoked; have the workshop make a new claim")
TAKEN = N_(
    "{gateway} is enrolled already, with another key. If this gateway takes its place: roadside enrol claim {gateway} "
    "--replaces. If it does not, one of the two has the wrong id"
)


class RefusedError(WorkshopError):
    """The answer is no; `status` is that of HTTP."""

    def __init__(self, status: int, text: str, **about: str) -> None:
        super().__init__(_(text).format(**about))
        self.status = status


@dataclass(frozen=True, slots=True)
class Office:
    """Makes claims, signs and revokes. Its clock is a function that returns seconds since 1970."""

    authority: Authority
    now: Callable[[], float]
    days: float = GATEWAY_DAYS  # that a gateway's certificate is valid

    # --- the workshop's verbs ----------------------------------------------------------------------------------------

    def claim(self, gateway: str, *, replaces: bool, days: float = CLAIM_DAYS) -> str:
        """Return the token of a new claim for a gateway; raises RefusedError if it is enrolled and not replaced."""
        if not claims.SUBJECT.fullmatch(gateway) or len(gateway) > claims.LONGEST_SUBJECT:
            raise RefusedError(400, N_("'{name}' is no id of a gateway"), name=gateway)
        with self._ledger() as book:
            now = self.now()
            if book.standing.of(gateway, now) and not replaces:
                raise RefusedError(409, TAKEN, gateway=gateway)
            claim = claims.Claim(
                id=secrets.token_hex(16), gateway=gateway, url=self.authority.url, root=self.authority.fingerprint,
                issued=int(now), until=int(now + days * DAY), issuer=PROVISIONER,
            )  # fmt: skip
            about = {"gateway": gateway, "claim": claim.id, "until": claim.until, "replaces": replaces}
            book.write(now, "claimed", **about)
        return claims.issue(claim, self.authority.provisioner)

    def revoke(self, gateway: str, reason: str) -> int:
        """Revoke all that a gateway has, also the claims it has not used; return how many certificates that were.

        Raises RefusedError if there is nothing to revoke.
        """
        with self._ledger() as book:
            now = self.now()
            having = book.standing.of(gateway, now)
            waiting = [one for one in book.standing.claims.values() if one.gateway == gateway and not one.void]
            if not having and not waiting:
                raise RefusedError(404, N_("{gateway} has no certificate and no claim"), gateway=gateway)
            _write_revoked(book, now, gateway, having, reason)
            self._publish(book.standing)
        return len(having)

    def standing(self) -> Standing:
        """Return what all lines of the ledger come to."""
        with self._ledger() as book:
            return book.standing

    def publish(self) -> None:
        """Write the list of revoked certificates."""
        with self._ledger() as book:
            self._publish(book.standing)

    # --- what gateways ask for ---------------------------------------------------------------------------------------

    def sign(self, token: str, request: x509.CertificateSigningRequest) -> str:
        """Return the chain of a new certificate, as PEM; raises RefusedError."""
        claim = self._believed(token)
        key = _checked_key(request, claim)
        with self._ledger() as book:
            now = self.now()
            try:
                replaced = _judge(book.standing, claim, key_digest(key), now)
            except RefusedError as error:
                book.write(now, "refused", gateway=claim.gateway, claim=claim.id, key=key_digest(key), why=str(error))
                raise
            if replaced:
                _write_revoked(book, now, claim.gateway, replaced, "replaced")
            chain = self._write_signed(book, "signed", claim.gateway, key, claim.id)
            if replaced:
                self._publish(book.standing)
            return chain

    def renew(self, presented: x509.Certificate) -> str:
        """Return the chain of the next certificate for the same key; raises RefusedError.

        The certificate was shown in a handshake that proved its key and this authority.
        """
        with self._ledger() as book:
            known = book.standing.certificates.get(presented.serial_number)
            if known is None:
                raise RefusedError(401, N_("this certificate is no gateway's of this workshop"))
            if not known.counts(self.now()):
                text = N_("the certificate of {gateway} was revoked or has expired; it needs a new claim")
                raise RefusedError(401, text, gateway=known.gateway)
            return self._write_signed(book, "renewed", known.gateway, presented.public_key(), known.claim)

    # --- how --------------------------------------------------------------------------------------------------------

    def _ledger(self) -> AbstractContextManager[Ledger]:
        return ledger.opened(self.authority.folder)

    def _believed(self, token: str) -> Claim:
        """Return what a token says, if it is ours and its time has not passed; raises RefusedError."""
        try:
            claim = claims.read(token)
        except claims.ClaimError:
            raise RefusedError(401, UNKNOWN) from None
        ours = claims.is_signed_by(token, self.authority.provisioner.public_key())
        if not ours or claim.issuer != PROVISIONER or claim.url != self.authority.url:
            raise RefusedError(401, UNKNOWN)
        if self.now() >= claim.until:
            raise RefusedError(401, EXPIRED, gateway=claim.gateway)
        return claim

    def _write_signed(self, book: Ledger, event: str, gateway: str, key: CertificatePublicKeyTypes, claim: str) -> str:
        made = self.authority.gateway(gateway, key, self.now(), self.days)
        about = {"gateway": gateway, "claim": claim, "key": key_digest(key), "serial": f"{made.serial_number:x}"}
        book.write(self.now(), event, **about, until=int(made.not_valid_after_utc.timestamp()))
        return pem(made, self.authority.intermediate)

    def _publish(self, standing: Standing) -> None:
        revoked = [
            Revoked(one.serial, one.revoked, REASONS[one.reason])
            for one in standing.certificates.values()
            if one.revoked is not None
        ]
        self.authority.publish(LIST, self.authority.revocations(revoked, self.now(), standing.revocations))


def _checked_key(request: x509.CertificateSigningRequest, claim: Claim) -> ec.EllipticCurvePublicKey:
    """Return the key of a request that is sound and for this claim; raises RefusedError."""
    try:
        key, is_signed = request.public_key(), request.is_signature_valid
    except (UnsupportedAlgorithm, ValueError):  # kinds that nobody here has heard of
        key, is_signed = None, True
    if not is_signed:
        raise RefusedError(400, N_("the request is not signed by its own key"))
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RefusedError(403, N_("the key must be one of the elliptic curve P-256"))
    names = [str(name.value) for name in request.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    if names != [claim.gateway]:
        raise RefusedError(403, N_("the claim is for {gateway}, and the request is not"), gateway=claim.gateway)
    return key


def _judge(standing: Standing, claim: Claim, key: str, now: float) -> list[Certificate]:
    """Return the certificates that the new one takes the place of; raises RefusedError."""
    made = standing.claims.get(claim.id)
    if made is None or made.gateway != claim.gateway:
        raise RefusedError(401, UNKNOWN)
    if made.used_by and made.used_by != key:
        raise RefusedError(401, USED)
    if any(one.key == key and one.revoked is not None for one in standing.certificates.values()):
        raise RefusedError(403, REVOKED_KEY)
    if made.void:
        raise RefusedError(401, VOID, gateway=claim.gateway)
    others = [one for one in standing.of(claim.gateway, now) if one.key != key]
    if others and not made.replaces:
        raise RefusedError(403, TAKEN, gateway=claim.gateway)
    return others


def _write_revoked(book: Ledger, now: float, gateway: str, having: list[Certificate], reason: str) -> None:
    book.write(now, "revoked", gateway=gateway, serials=[f"{one.serial:x}" for one in having], reason=reason)
