"""The dates of a certificate (X.509: RFC 5280, section 4.1), read without a library for it.

Python's own ssl module tells the dates of the other side's certificate alone, not of ours.
"""

from __future__ import annotations

import re
import ssl
from datetime import datetime
from typing import NamedTuple

VERSION = 0xA0  # DER tags: X.690, section 8
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class Validity(NamedTuple):
    """From when to when a certificate is valid, in seconds since 1970."""

    begins: float
    ends: float

    def ends_soon(self, now: float) -> bool:
        """Return whether a third of its life or less is left: time to renew it."""
        return self.ends - now <= (self.ends - self.begins) / 3


def of_pem(text: str) -> Validity:
    """Return the dates of the first certificate in a file; raises ValueError."""
    found = PEM.search(text)
    if found is None:
        raise ValueError("there is no certificate in it")
    return of_der(ssl.PEM_cert_to_DER_cert(found[0]))


def of_der(der: bytes) -> Validity:
    """Return the dates of one certificate; raises ValueError."""
    try:
        at = _element(der, _element(der, 0).start).start  # the certificate, and in it what is signed
        if der[at] == VERSION:
            at = _element(der, at).end
        for _field in ("serial number", "signature algorithm", "issuer"):
            at = _element(der, at).end
        begins = _element(der, _element(der, at).start)
        return Validity(_time(der, begins), _time(der, _element(der, begins.end)))
    except IndexError:
        raise ValueError("a certificate that ends too early") from None


class _Element(NamedTuple):
    tag: int
    start: int  # of its content
    end: int


def _element(der: bytes, at: int) -> _Element:
    tag, length, start = der[at], der[at + 1], at + 2
    if length >= 0x80:  # the long form: so many bytes of length follow
        start += length & 0x7F
        length = int.from_bytes(der[at + 2 : start], "big")
    if start + length > len(der):
        raise IndexError(start + length)
    return _Element(tag, start, start + length)


def _time(der: bytes, element: _Element) -> float:
    text = der[element.start : element.end].decode("ascii")
    if element.tag == UTC_TIME:  # years of two digits: 50 to 99 are in the last century (section 4.1.2.5.1)
        text = ("19" if text[:2] >= "50" else "20") + text
    elif element.tag != GENERALIZED_TIME:
        raise ValueError("a certificate without dates")
    return datetime.strptime(text + "+0000", "%Y%m%d%H%M%SZ%z").timestamp()
