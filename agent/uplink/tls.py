"""TLS as every uplink has it, alike on each version of Python: 1.2 or later, the system's ciphers, strict checks."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

BLOCKED = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Socket(ssl.SSLSocket):
    """A TLS socket that remembers why the other side ended it.

    With TLS 1.3 our side is through before the broker has seen our certificate: its refusal arrives later, as an alert
    that whoever reads (or in vain writes) takes for any loss of the connection.
    """

    alert: ssl.SSLError | None = None

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """Receive, as any socket does."""
        try:
            return super().recv(buflen, flags)
        except BLOCKED:
            raise
        except ssl.SSLError as error:
            self.alert = error
            raise

    def send(self, data: Any, flags: int = 0) -> int:  # noqa: ANN401 - any buffer, as for every socket
        """Send, as any socket does."""
        try:
            return super().send(data, flags)
        except BLOCKED:
            raise
        except OSError:
            self.look_for_alert()
            raise

    def look_for_alert(self) -> None:
        """Take in an alert that may have come; raises nothing."""
        try:
            super().recv(1)
        except ssl.SSLError as error:
            if not isinstance(error, BLOCKED):
                self.alert = error
        except OSError:
            pass  # there is none to be had from a broken connection


class EncryptedKeyError(ssl.SSLError):
    """The private key is protected by a password that nobody is there to type in."""


def context(authority: Path | None) -> ssl.SSLContext:
    """Return what connections are made with; raises OSError (ssl.SSLError is one)."""
    made = ssl.create_default_context(cafile=authority)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    # What Python 3.13 does by itself: a certificate authority that passes here passes after the next upgrade too.
    made.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    made.sslsocket_class = Socket
    return made


def identify(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    """Show this certificate to whom we connect; raises OSError (ssl.SSLError is one)."""
    context.load_cert_chain(certificate, key, password=_nobody_types)  # without a function OpenSSL asks the terminal


def _nobody_types() -> str:
    raise EncryptedKeyError("the key is encrypted")
