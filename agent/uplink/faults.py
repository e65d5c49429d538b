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

CERT_NOT_YET_VALID = 9  # X509_V_ERR_CERT_NOT_YET_VALID, openssl verify(1)

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


def of_dialling(error: OSError, where: str) -> LinkError:
    """Say why there is no connection to that place."""
    match error:
        case TimeoutError():
            fault, text = LinkFault.TIMED_OUT, _("{where} does not answer; is a firewall in the way?")
        case socket.gaierror():
            fault, text = LinkFault.UNREACHABLE, _("the name of {where} is not found; check the url and the network")
        case ssl.SSLCertVerificationError(verify_code=code) if code == CERT_NOT_YET_VALID:
            fault = LinkFault.CLOCK_WRONG
            text = _("the certificate of {where} is not yet valid: the clock of this gateway is wrong")
        case ssl.SSLCertVerificationError():
            fault, text = LinkFault.TLS, _("the certificate of {where} is not accepted: {why}; check ca_file")
        case ssl.SSLError() | ConnectionResetError():
            fault, text = LinkFault.TLS, _("{where} does not speak TLS as expected: {why}; check the url")
        case ConnectionRefusedError():
            fault, text = LinkFault.UNREACHABLE, _("nobody listens at {where}; does the broker run?")
        case _:
            fault, text = LinkFault.UNREACHABLE, _("{where} cannot be reached: {why}")
    why = getattr(error, "verify_message", None) or error.strerror or str(error)
    return LinkError(fault, text.format(where=where, why=why))


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
