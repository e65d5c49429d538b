"""A certificate authority for tests, with a good certificate of a broker at localhost and one from the year 2090.

Made with openssl for these tests alone; they protect nothing.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

AUTHORITY = """\
-----BEGIN CERTIFICATE-----
MIIBZjCCAQugAwIBAgIBATAKBggqhkjOPQQDAjAZMRcwFQYDVQQDDA5UZXN0IGF1
dGhvcml0eTAgFw0wMDAxMDEwMDAwMDBaGA8yMTAwMDEwMTAwMDAwMFowGTEXMBUG
A1UEAwwOVGVzdCBhdXRob3JpdHkwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASU
H9Dc1MBTzpeH3uINYkp1/RrScccQNdppRFMxvpkw5W1qGIIR2+0x+1wSnWJJRzlo
7LCVfTWjkGYnybwymbKNo0IwQDAPBgNVHRMBAf8EBTADAQH/MA4GA1UdDwEB/wQE
AwIBBjAdBgNVHQ4EFgQUgwW0a4/GLyCIXPHV4GmdasdeDIIwCgYIKoZIzj0EAwID
SQAwRgIhAN0Qh6Qu+1STn3SWSuJwqwI01mos9CzWYFCQDVLp5oTOAiEAsYIS50EM
4yoQnOISEBnK++pxhbeXkbpYxKvf7W3ojfo=
-----END CERTIFICATE-----
"""

VALID = """\
-----BEGIN CERTIFICATE-----
MIIBrjCCAVSgAwIBAgIBAjAKBggqhkjOPQQDAjAZMRcwFQYDVQQDDA5UZXN0IGF1
dGhvcml0eTAgFw0wMDAxMDEwMDAwMDBaGA8yMTAwMDEwMTAwMDAwMFowFDESMBAG
A1UEAwwJbG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE+vGvae/b
e86AsmL6cpgT4+BhYO2+LktQx+A3/9N7jEOGWhfvKnxVuf8cEJHa3EXikVa4s/Z3
ECBjUYWa1FqoNKOBjzCBjDAaBgNVHREEEzARgglsb2NhbGhvc3SHBH8AAAEwHQYD
VR0OBBYEFLK6+Y1YYNxQ1ifjVn+4SDZ1YEhMMB8GA1UdIwQYMBaAFIMFtGuPxi8g
iFzx1eBpnWrHXgyCMAkGA1UdEwQCMAAwDgYDVR0PAQH/BAQDAgeAMBMGA1UdJQQM
MAoGCCsGAQUFBwMBMAoGCCqGSM49BAMCA0gAMEUCIDn5qJqR52F3BEYrJ37rZulB
FVs1WgBrw8ofxiopcrVSAiEAucDsRTy1YhgLL6oL1xGGOnlOjRWEigDovxahGvyd
cNY=
-----END CERTIFICATE-----
"""

NOT_YET_VALID = """\
-----BEGIN CERTIFICATE-----
MIIBsDCCAVagAwIBAgIBAzAKBggqhkjOPQQDAjAZMRcwFQYDVQQDDA5UZXN0IGF1
dGhvcml0eTAiGA8yMDkwMDEwMTAwMDAwMFoYDzIwOTkxMjMxMDAwMDAwWjAUMRIw
EAYDVQQDDAlsb2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAT68a9p
79t7zoCyYvpymBPj4GFg7b4uS1DH4Df/03uMQ4ZaF+8qfFW5/xwQkdrcReKRVriz
9ncQIGNRhZrUWqg0o4GPMIGMMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAd
BgNVHQ4EFgQUsrr5jVhg3FDWJ+NWf7hINnVgSEwwHwYDVR0jBBgwFoAUgwW0a4/G
LyCIXPHV4GmdasdeDIIwCQYDVR0TBAIwADAOBgNVHQ8BAf8EBAMCB4AwEwYDVR0l
BAwwCgYIKwYBBQUHAwEwCgYIKoZIzj0EAwIDSAAwRQIgdBCT1k4zoJ3Fme5M2m+J
A11yh0KsutVq5meC+rG+xHsCIQCxjLv6ENPblvXToB//iKUArGGzQ0QzdJ4E3tlr
16QKjA==
-----END CERTIFICATE-----
"""

KEY = """\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgJ5HpwVdXU/8uIhW5
pfubcBrsc0QuPgaGxwMdDDL062qhRANCAAT68a9p79t7zoCyYvpymBPj4GFg7b4u
S1DH4Df/03uMQ4ZaF+8qfFW5/xwQkdrcReKRVriz9ncQIGNRhZrUWqg0
-----END PRIVATE KEY-----
"""


def server_context(folder: Path, certificate: str) -> ssl.SSLContext:
    """Return what a broker with this certificate serves TLS with."""
    chain = folder / "broker.pem"
    chain.write_text(KEY + certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return context


def authority_file(folder: Path) -> str:
    """Return the path of the authority's certificate."""
    path = folder / "authority.pem"
    path.write_text(AUTHORITY)
    return str(path)
