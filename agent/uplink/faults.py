"""What the network, TLS and the MQTT library report, as named faults with a sentence for the technician.

This is the one place that knows their exceptions; everything above it knows `LinkError` alone.
"""

from __future__ import annotations

import socket
import ssl

import aiomqtt
from paho.mqtt.reasoncodes import ReasonCode

from agent.i18n import _
from agent.uplink.broker import LinkError, LinkFault
from agent.uplink.tls import EncryptedKeyError
from agent.uplink.websocket import WebSocketError
from drivers.contract import N_

# X509_V_ERR_..., openssl verify(1)
NOT_YET_VALID = 9
HAS_EXPIRED = 10
NO_WAY_TO_AUTHORITY = frozenset({2, 18, 19, 20, 21})  # self-signed, or its issuer is not in ca_file
WRONG_NAME = frozenset({62, 64})  # host name, IP address
ILL_MADE = range(79, 95)  # what VERIFY_X509_STRICT, Python 3.13's default, asks of extensions

# The alerts of TLS with which a broker refuses our certificate (RFC 8446, section 6.2), as OpenSSL calls them.
REFUSALS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": N_("it wants a client certificate; set certificate_file and key_file"),
    "SSLV3_ALERT_HANDSHAKE_FAILURE": N_("it wants a client certificate, or has no cipher in common with us"),
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": N_("it has expired; renew it"),
    "SSLV3_ALERT_CERTIFICATE_REVOKED": N_("it has been revoked; renew it"),
    "TLSV1_ALERT_UNKNOWN_CA": N_("it comes from an authority that the broker does not know"),
    "SSLV3_ALERT_BAD_CERTIFICATE": N_("the broker finds it bad"),
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": N_("it is of a kind or for a purpose that the broker does not accept"),
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": N_("the broker does not accept it"),
    "TLSV1_ALERT_ACCESS_DENIED": N_("it gives no access to this broker"),
    "TLSV1_ALERT_DECRYPT_ERROR": N_("the broker cannot check its signature"),
}
TOO_OLD = frozenset({"TLSV1_ALERT_PROTOCOL_VERSION", "UNSUPPORTED_PROTOCOL"})

# Reason codes of MQTT 5, section 2.4; paho translates those of 3.1.1 into them.
UNSUPPORTED_VERSION = 0x84
NO_LOGIN = frozenset({0x86, 0x87, 0x8A, 0x8C})  # bad user name or password, not authorised, banned, bad method
KEEP_ALIVE_TIMEOUT = 0x8D
SESSION_TAKEN_OVER = 0x8E
UNSPECIFIED = 0x80  # what paho says when the connection simply broke


def of_secret(error: OSError | ValueError, path: object) -> LinkError:
    """Say why the password could not be read, and nothing of what was read."""
    match error:
        case OSError():
            why = error.strerror
        case UnicodeDecodeError():  # whose own words hold the text
            why = _("it is not UTF-8 text")
        case _:
            why = str(error)
    return LinkError(LinkFault.SECRET, _("cannot read the password from {path}: {why}").format(path=path, why=why))


def of_certificates(error: OSError, path: object) -> LinkError:
    """Say why the certificates to check the broker against could not be read."""
    why = error.strerror or str(error)
    return LinkError(LinkFault.TLS, _("cannot read the certificates in {path}: {why}").format(path=path, why=why))


def of_own_certificate(error: OSError | ValueError, path: object) -> LinkError:
    """Say why our own certificate could not be read."""
    if isinstance(error, OSError):
        text, why = _("cannot read the client certificate from {path}: {why}"), error.strerror
    else:
        text, why = _("there is no certificate (PEM) in {path}; is it the right file?"), None
    return LinkError(LinkFault.CERTIFICATE, text.format(path=path, why=why))


def of_key(error: OSError, path: object, certificate: object) -> LinkError:
    """Say why our private key is of no use; what the certificate is like has been seen before."""
    match error:
        case EncryptedKeyError():
            text = _("the key in {path} is encrypted, and nobody is here to type its password; store it without one")
        case ssl.SSLError(reason="KEY_VALUES_MISMATCH" | "KEY_TYPE_MISMATCH"):
            text = _("the key in {path} does not belong to the certificate in {certificate}; is only one renewed?")
        case ssl.SSLError():
            text = _("there is no private key (PEM) in {path}, or a damaged one; is it the right file?")
        case _:
            text = _("cannot read the private key from {path}: {why}")
    return LinkError(LinkFault.CERTIFICATE, text.format(path=path, certificate=certificate, why=error.strerror))


def of_dialling(error: OSError, where: str, *, encrypted: bool) -> LinkError:
    """Say why there is no connection to that place."""
    match error:
        case TimeoutError():
            fault, text = LinkFault.TIMED_OUT, _("{where} does not answer; is a firewall in the way?")
        case socket.gaierror():
            fault, text = LinkFault.UNREACHABLE, _("the name of {where} is not found; check the url and the network")
        case ssl.SSLCertVerificationError():
            return of_their_certificate(error, where)
        case ssl.SSLError(reason=reason) if reason in REFUSALS:
            return of_alert(error, where)
        case ssl.SSLError(reason=reason) if reason in TOO_OLD:
            fault, text = LinkFault.TLS, _("{where} speaks no TLS of today, which is 1.2 or later; update the broker")
        case WebSocketError():
            fault, text = LinkFault.WEBSOCKET, _("{where} takes no MQTT over WebSocket: {why}; check the path in url")
        case ssl.SSLError() | ConnectionResetError() if encrypted:
            fault, text = LinkFault.TLS, _("{where} does not speak TLS as expected: {why}; check the url")
        case ConnectionRefusedError():
            fault, text = LinkFault.UNREACHABLE, _("nobody listens at {where}; does the broker run?")
        case _:
            fault, text = LinkFault.UNREACHABLE, _("{where} cannot be reached: {why}")
    return LinkError(fault, text.format(where=where, why=error.strerror or str(error)))


def of_their_certificate(error: ssl.SSLCertVerificationError, where: str) -> LinkError:
    """Say what is wrong with the broker's certificate, or with the authority behind it."""
    code, fault = error.verify_code, LinkFault.TLS
    if code == NOT_YET_VALID:
        fault = LinkFault.CLOCK_WRONG
        text = _("the certificate of {where} is not yet valid: the clock of this gateway is wrong")
    elif code == HAS_EXPIRED:
        text = _("the certificate of {where}, or of its authority, has expired: whoever runs the broker must renew it")
    elif code in WRONG_NAME:
        text = _("the certificate of {where} is for another name ({why}); check the host in url")
    elif code in NO_WAY_TO_AUTHORITY:
        text = _("the certificate of {where} comes from an unknown authority ({why}); check ca_file")
    elif code in ILL_MADE:
        text = _(
            "the certificate of {where}, or of its authority, is made too loosely: {why}; docs/tls.md has a recipe"
        )
    else:
        text = _("the certificate of {where} is not accepted: {why}; check ca_file")
    return LinkError(fault, text.format(where=where, why=error.verify_message))


def of_alert(error: ssl.SSLError, where: str) -> LinkError:
    """Say why the broker ended the encrypted connection, as it told in its alert."""
    if error.reason not in REFUSALS:
        text = _("{where} ended the encrypted connection: {why}").format(where=where, why=error.reason or error)
        return LinkError(LinkFault.TLS, text)
    text = _("{where} refuses our certificate: {why}").format(where=where, why=_(REFUSALS[error.reason]))
    return LinkError(LinkFault.CERTIFICATE, text)


def of_login(error: aiomqtt.MqttError | TimeoutError, where: str) -> LinkError:
    """Say why the broker did not let us in."""
    if isinstance(error, TimeoutError):
        text = _("{where} takes the connection and then says nothing; is the broker hung, or no MQTT broker?")
        return LinkError(LinkFault.TIMED_OUT, text.format(where=where))
    reason = error.rc if isinstance(error, aiomqtt.MqttCodeError) else None
    if not isinstance(reason, ReasonCode):
        return LinkError(LinkFault.CLOSED, _("{where} closed the connection during the login").format(where=where))
    if reason.value in NO_LOGIN:
        text = _("{where} refuses the login: {why}; check username and password")
        return LinkError(LinkFault.REFUSED_LOGIN, text.format(where=where, why=reason))
    if reason.value == UNSUPPORTED_VERSION:
        text = _("{where} refuses this version of MQTT; try another protocol in the configuration")
    else:
        text = _("{where} refuses the connection: {why}")
    return LinkError(LinkFault.REFUSED_CONNECT, text.format(where=where, why=reason))


def of_loss(error: BaseException | None, where: str, client_id: str) -> LinkError:
    """Say why a connection that stood is gone; None if it ended in good order."""
    reason = error.rc if isinstance(error, aiomqtt.MqttCodeError) else None
    code = reason.value if isinstance(reason, ReasonCode) else None
    if code == SESSION_TAKEN_OVER:
        text = _("another client connected to {where} as {client_id}; each gateway needs its own client_id")
        return LinkError(LinkFault.TAKEN_OVER, text.format(where=where, client_id=client_id))
    if code == KEEP_ALIVE_TIMEOUT:
        return LinkError(LinkFault.TIMED_OUT, _("{where} has fallen silent").format(where=where))
    if error is None or code == UNSPECIFIED:
        return LinkError(LinkFault.CLOSED, _("{where} closed the connection").format(where=where))
    text = _("{where} ended the connection: {why}")
    return LinkError(LinkFault.CLOSED, text.format(where=where, why=reason if code is not None else error))
