"""The service as whoever asks it sees it: the calls of step-ca, and what is none of them."""

import base64
import http.client
import json
import socket
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.enrolling.enrolment import enrol
from tests.enrolling.gateways import a_request, identity_in
from tests.enrolling.workshop import Workshop


@pytest.fixture
def serving(workshop):
    with workshop.serving():
        yield workshop


def ask(workshop, method, path, body=None, headers=None, shown=None):
    """Return status and body of an answer over a connection that is checked, and for which a certificate is shown."""
    context = ssl.create_default_context(cafile=workshop.folder / "root.pem")
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # as every Python from 3.13 on
    if shown is not None:
        context.load_cert_chain(shown.chain, shown.key)
    connection = http.client.HTTPSConnection("localhost", workshop.port, context=context, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("before", ["", "/1.0"])
def test_its_health_and_its_root_are_for_everybody(serving, before):
    assert ask(serving, "GET", f"{before}/health") == (200, b'{"status": "ok"}')
    status, said = ask(serving, "GET", f"{before}/root/{serving.authority.fingerprint.upper()}")
    assert status == 200
    assert json.loads(said) == {"ca": (serving.folder / "root.pem").read_text()}


def test_another_fingerprint_is_not_found(serving):
    status, said = ask(serving, "GET", "/root/" + "0" * 64)
    assert (status, json.loads(said)["status"]) == (404, 404)


def test_a_certificate_comes_with_what_leads_to_the_root(serving, tmp_path):
    from cryptography.hazmat.primitives.serialization import Encoding

    request = a_request(tmp_path / "ours").public_bytes(Encoding.PEM).decode()
    status, said = ask(serving, "POST", "/1.0/sign", json.dumps({"csr": request, "ott": serving.claim()}))
    answer = json.loads(said)
    assert status == 201
    assert answer["certChain"] == [answer["crt"], answer["ca"]]
    assert answer["ca"] == (serving.folder / "intermediate.pem").read_text()


def test_the_list_of_revoked_ones_is_there_in_both_forms(serving, tmp_path):
    assert len(x509.load_der_x509_crl(ask(serving, "GET", "/1.0/crl")[1])) == 0
    enrol(identity_in(tmp_path), serving.claim())
    serving.office.revoke("pkt-0042", "stolen")
    der, pem = ask(serving, "GET", "/1.0/crl")[1], ask(serving, "GET", "/1.0/crl?pem")[1]
    assert pem == (serving.folder / "crl.pem").read_bytes()
    assert [one.serial_number for one in x509.load_der_x509_crl(der)] == [
        one.serial_number for one in x509.load_pem_x509_crl(pem)
    ]


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"csr": 1, "ott": 2}', '{"csr": "x", "ott": "y"}', "\x00"])
def test_what_is_no_request_is_refused(serving, body):
    status, said = ask(serving, "POST", "/1.0/sign", body)
    assert status == 400
    assert "step-ca" in json.loads(said)["message"]


def test_what_is_nested_without_end_is_refused_like_other_nonsense(serving, tmp_path):
    assert ask(serving, "POST", "/1.0/sign", "[" * 60_000)[0] == 400
    token = f"x.{base64.urlsafe_b64encode(b'[' * 5_000).decode()}.x"
    request = a_request(tmp_path, "pkt-0042").public_bytes(Encoding.PEM).decode()
    assert ask(serving, "POST", "/1.0/sign", json.dumps({"csr": request, "ott": token}))[0] == 401
    assert not [line for line in serving.said if "Traceback" in line]


@pytest.mark.parametrize("length", ["-1", "65537", "1e3", "99999999999999999999"])
def test_what_is_too_long_is_not_read(serving, length):
    assert ask(serving, "POST", "/1.0/sign", headers={"Content-Length": length})[0] == 413


def test_there_is_nothing_else(serving):
    assert ask(serving, "GET", "/")[0] == 404
    assert ask(serving, "GET", "/1.0/../ledger.jsonl")[0] == 404
    assert ask(serving, "POST", "/1.0/revoke", "{}")[0] == 404


def test_whoever_says_nothing_keeps_nobody_waiting(serving):
    with socket.create_connection(("127.0.0.1", serving.port)):
        assert ask(serving, "GET", "/health")[0] == 200


def test_whoever_speaks_no_tls_is_no_news(serving):
    with socket.create_connection(("127.0.0.1", serving.port)) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        connection.recv(100)
    assert ask(serving, "GET", "/health")[0] == 200
    assert serving.said == []


def test_a_certificate_of_another_authority_gets_no_answer(serving, tmp_path):
    theirs = Workshop(tmp_path / "elsewhere")
    identity = identity_in(tmp_path)
    with theirs.serving():
        enrol(identity, theirs.claim())
    with pytest.raises(OSError):  # noqa: PT011 - an alert, or the end of the connection that came before it
        ask(serving, "POST", "/1.0/renew", "{}", shown=identity.current())


def test_an_authority_is_made_once(workshop):
    from agent.enrolling.authority import Authority

    with pytest.raises(FileExistsError):
        Authority.make(workshop.folder, "https://localhost:1", "again")


def test_its_keys_are_for_its_owner_alone(workshop):
    modes = {path.name: path.stat().st_mode & 0o777 for path in workshop.folder.glob("*.key")}
    assert modes == dict.fromkeys(("root.key", "intermediate.key", "provisioner.key"), 0o600)


def test_it_works_without_the_key_of_its_root(serving, tmp_path):
    (serving.folder / "root.key").unlink()
    assert enrol(identity_in(tmp_path), serving.claim())
