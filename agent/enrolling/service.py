"""The enrolment service: the few calls of step-ca that a gateway needs, over TLS (smallstep/certificates, api/*.go).

    GET  /health               {"status": "ok"}
    GET  /root/{fingerprint}   {"ca": PEM}                          the authority, for whoever knows its fingerprint
    POST /1.0/sign             {"csr": PEM, "ott": claim}           -> 201 {"crt", "ca", "certChain"}
    POST /1.0/renew            shown: the certificate in use        -> 201 the same
    GET  /1.0/crl              the revoked certificates             DER, or PEM with ?pem

Each is also there with and without `/1.0`, as in step-ca. What is refused is answered {"status", "message"}.
"""

from __future__ import annotations

import json
import ssl
import sys
import traceback
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.enrolling.authority import pem, server_pair
from agent.enrolling.faults import WorkshopError
from agent.enrolling.office import LIST, RefusedError
from agent.i18n import _
from agent.uplink.x509 import PEM
from drivers.contract import N_

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.enrolling.office import Office

LARGEST = 64 << 10  # bytes of a request
PATIENCE = 20.0  # seconds for a request; gateways come over mobile links
RENEW_EVERY = 30 * 86_400.0  # seconds, of the service's own certificate
NOT_JSON = N_("the request is not the JSON of step-ca's /sign")
NO_CERTIFICATE = N_("a certificate is renewed over a connection that shows it")
NOT_HERE = N_("there is nothing here under that name")


class Service(ThreadingHTTPServer):
    """Listens, and answers each connection in a thread of its own."""

    daemon_threads = True

    def __init__(
        self, office: Office, address: tuple[str, int], names: Sequence[str], log: Callable[[str], None]
    ) -> None:
        """Bind to an address; raises OSError. The names are those that gateways call it by."""
        self.office = office
        self.log = log
        self._names = names
        self._identified = float("-inf")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.verify_mode = ssl.CERT_OPTIONAL  # to renew, a gateway shows what it has; to enrol, it has nothing
        self.context.load_verify_locations(cadata=pem(office.authority.root))
        self.service_actions()
        office.publish()
        super().__init__(address, Handler)

    def service_actions(self) -> None:
        """Get a certificate of its own again before the one in use ends: called every half second."""
        if self.office.now() - self._identified < RENEW_EVERY:
            return
        self._identified = self.office.now()
        chain, key = server_pair(self.office.authority, self._names, self.office.now())
        with TemporaryDirectory() as folder:  # Python's ssl takes them from a file alone
            path = Path(folder, "service.pem")
            path.touch(mode=0o600)
            path.write_text(chain + key)
            self.context.load_cert_chain(path)

    def get_request(self) -> tuple[ssl.SSLSocket, Any]:
        """Accept a connection; hands are shaken in its own thread, so that whoever dallies keeps nobody waiting."""
        plain, address = super().get_request()
        plain.settimeout(PATIENCE)
        try:
            return self.context.wrap_socket(plain, server_side=True, do_handshake_on_connect=False), address
        except OSError:
            plain.close()
            raise

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - the base's own types
        """Say nothing of broken connections, of which a port that is reached by all has many; only of our defects."""
        del request, client_address
        if not isinstance(sys.exc_info()[1], OSError):
            self.log(traceback.format_exc())


class Handler(BaseHTTPRequestHandler):
    """One connection, one request."""

    server: Service
    connection: ssl.SSLSocket
    timeout = PATIENCE
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "roadside", ""

    def setup(self) -> None:
        """Shake hands."""
        self.request.do_handshake()
        super().setup()

    def do_GET(self) -> None:
        """Answer what may be asked by anybody."""
        path, _mark, query = self.path.removeprefix("/1.0").partition("?")
        authority = self.server.office.authority
        if path == "/health":
            self._json(HTTPStatus.OK, {"status": "ok"})
        elif path.lower().replace("-", "") == f"/root/{authority.fingerprint}":
            self._json(HTTPStatus.OK, {"ca": pem(authority.root)})
        elif path == "/crl":
            listed = (authority.folder / LIST).read_bytes()
            if query == "pem":
                self._send(HTTPStatus.OK, "application/x-pem-file", listed)
            else:
                der = x509.load_pem_x509_crl(listed).public_bytes(Encoding.DER)
                self._send(HTTPStatus.OK, "application/pkix-crl", der)
        else:
            self._refuse(RefusedError(HTTPStatus.NOT_FOUND, NOT_HERE))

    def do_POST(self) -> None:
        """Sign and renew."""
        work = {"/sign": self._sign, "/renew": self._renew}.get(self.path.removeprefix("/1.0"))
        try:
            if work is None:
                raise RefusedError(HTTPStatus.NOT_FOUND, NOT_HERE)
            chain = work(self._body())
        except RefusedError as error:
            self._refuse(error)
            return
        except (OSError, WorkshopError) as error:  # nothing was signed that is not in the ledger
            self.server.log(str(error))
            self._refuse(
                RefusedError(
                    HTTPStatus.INTERNAL_SERVER_ERROR, N_("the workshop has a trouble of its own: its log says which")
                )
            )
            return
        certificates = [f"{one}\n" for one in PEM.findall(chain)]
        self._json(HTTPStatus.CREATED, {"crt": certificates[0], "ca": certificates[1], "certChain": certificates})

    def _sign(self, body: bytes) -> str:
        try:
            said = json.loads(body)
            request = x509.load_pem_x509_csr(said["csr"].encode())
            token = str(said["ott"])
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):  # the last: [[[[[[...
            raise RefusedError(HTTPStatus.BAD_REQUEST, NOT_JSON) from None
        chain = self.server.office.sign(token, request)
        self._tell(N_("enrolled {gateway}"), chain)
        return chain

    def _renew(self, _body: bytes) -> str:
        shown = self.connection.getpeercert(binary_form=True)
        if shown is None:
            raise RefusedError(HTTPStatus.BAD_REQUEST, NO_CERTIFICATE)
        chain = self.server.office.renew(x509.load_der_x509_certificate(shown))
        self._tell(N_("renewed the certificate of {gateway}"), chain)
        return chain

    def _tell(self, text: str, chain: str) -> None:
        name = x509.load_pem_x509_certificate(chain.encode()).subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        self.server.log(_(text).format(gateway=name[0].value))

    def _body(self) -> bytes:
        try:
            length = int(self.headers.get("Content-Length", "0"))
        except ValueError:
            length = -1
        if not 0 <= length <= LARGEST:
            raise RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, N_("the request is too large"))
        return self.rfile.read(length)

    def _refuse(self, error: RefusedError) -> None:
        self.server.log(_("refused: {reason}").format(reason=error))
        self._json(error.status, {"status": error.status, "message": str(error)})

    def _json(self, status: int, value: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(value).encode())

    def _send(self, status: int, kind: str, data: bytes) -> None:
        self.close_connection = True
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Connection", "close")
        self.end_headers()
        with suppress(OSError):  # whoever asked has gone; if that was a gateway, it will ask again
            self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002, ANN401 - the base's own names
        """Say nothing of requests as such: what was done is told."""
