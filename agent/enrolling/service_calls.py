"""What a gateway asks the enrolment service, ours or step-ca: for its root, a certificate, and the next one.

Everything but the first call is made over a connection that is checked against that root, and the root against the
fingerprint in the claim.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.i18n import _
from agent.uplink import tls
from agent.uplink.x509 import PEM

if TYPE_CHECKING:
    from pathlib import Path

WITHIN = 30.0  # seconds for a call; mobile links are slow
LARGEST = 64 << 10  # bytes of an answer
NOT_YET_VALID = 9  # X509_V_ERR_CERT_NOT_YET_VALID: openssl verify(1)
TRY_AGAIN = 500  # a status from here on is the service's trouble, not ours


class UnreachableError(Exception):
    """No answer that means anything: worth another try later."""


class RefusedError(Exception):
    """The service said no, or answered what must not be believed; another try gives the same."""


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls to one service."""

    url: str  # https://host:port

    def root(self, fingerprint: str) -> str:
        """Return the certificate of the authority that has this fingerprint, as PEM."""
        # Whoever answers is believed only if what he sends has the fingerprint: this is how step-ca is met, too.
        unchecked = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        unchecked.check_hostname = False
        unchecked.verify_mode = ssl.CERT_NONE
        text = self._certificates("GET", f"/root/{fingerprint}", None, unchecked, "ca")[0]
        if hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)).hexdigest() != fingerprint:
            raise RefusedError(
                _("{url} is not the service that the claim is for: its authority has another fingerprint").format(
                    url=self.url
                )
            )
        return text

    def sign(self, request: str, token: str, authority: Path) -> list[str]:
        """Return a new certificate and what leads to the authority, each as PEM."""
        body = json.dumps({"csr": request, "ott": token})
        return self._certificates("POST", "/1.0/sign", body, tls.context(authority), "certChain")

    def renew(self, authority: Path, chain: Path, key: Path) -> list[str]:
        """Return the next certificate and what leads to the authority, each as PEM."""
        context = tls.context(authority)
        tls.identify(context, chain, key)
        return self._certificates("POST", "/1.0/renew", "{}", context, "certChain")

    def _certificates(
        self, method: str, path: str, body: str | None, context: ssl.SSLContext, member: str
    ) -> list[str]:
        status, data = self._ask(method, path, body, context)
        if status >= TRY_AGAIN:
            raise UnreachableError(_("{url} has a trouble: {why}").format(url=self.url, why=_why(status, data)))
        if status >= http.client.BAD_REQUEST:
            raise RefusedError(_("{url} refuses: {why}").format(url=self.url, why=_why(status, data)))
        try:
            said = json.loads(data)[member]
            found = PEM.findall("".join([said] if isinstance(said, str) else said))
        except (ValueError, LookupError, TypeError):
            found = []
        if not found:
            raise UnreachableError(_("{url} answers something else than a service does").format(url=self.url))
        return [f"{one}\n" for one in found]

    def _ask(self, method: str, path: str, body: str | None, context: ssl.SSLContext) -> tuple[int, bytes]:
        try:
            parts = urlsplit(self.url)
            connection = http.client.HTTPSConnection(parts.hostname or "", parts.port, timeout=WITHIN, context=context)
            try:
                head = {} if body is None else {"Content-Type": "application/json"}
                connection.request(method, f"{parts.path.rstrip('/')}{path}", body, head)
                answer = connection.getresponse()
                return answer.status, answer.read(LARGEST)
            finally:
                connection.close()
        except ssl.SSLCertVerificationError as error:
            if error.verify_code == NOT_YET_VALID:
                text = _("the certificate of {url} is not yet valid: the clock of this gateway is wrong")
            else:
                text = _("the certificate of {url} is not accepted: {why}")
            raise UnreachableError(text.format(url=self.url, why=error.verify_message)) from None
        except ssl.SSLError as error:
            raise UnreachableError(
                _("{url} ended the encrypted connection: {why}").format(url=self.url, why=error.reason or error)
            ) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise UnreachableError(_("{url} cannot be reached: {why}").format(url=self.url, why=why)) from None


def _why(status: int, data: bytes) -> str:
    try:
        return str(json.loads(data)["message"])[:500]
    except (ValueError, LookupError, TypeError):
        return str(status)
