"""A gateway enrols and renews: against the real service, in a thread or as a process."""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections import defaultdict
from dataclasses import replace

import pytest

from agent.enrolling import claims
from agent.enrolling.authority import Authority, server_pair
from agent.enrolling.claims import ClaimError
from agent.enrolling.enrolment import enrol, is_due, renew
from agent.enrolling.service_calls import Calls, RefusedError, UnreachableError
from agent.uplink import credentials
from tests.cli.roadside import roadside
from tests.enrolling.gateways import identity_in, leaf
from tests.enrolling.workshop import DAY, Workshop, files_of

ENOUGH = 60  # claims: more than there are steps to be cut at
MANY = 12  # steps that an enrolment takes at the least


def agent_can_use(identity):
    """Return whether an uplink finds its files good, and what it knows the gateway's certificate by."""
    current = identity.folder / "current"
    files = credentials.Files(
        authority=current / "ca.pem", certificate=current / "gateway.pem", key=current / "gateway.key"
    )
    return credentials.read(files, encrypted=True).certificate is not None


def test_a_gateway_makes_its_key_and_stores_what_it_is_given(workshop, tmp_path):
    identity = identity_in(tmp_path)
    with workshop.serving():
        assert enrol(identity, workshop.claim())
    assert agent_can_use(identity)
    current = identity.current()
    assert current.key.stat().st_mode & 0o777 == 0o600
    assert current.key.stat().st_uid == os.geteuid()
    assert "PRIVATE" not in (workshop.folder / "ledger.jsonl").read_text()
    assert workshop.said == ["enrolled pkt-0042"]


def test_enrolling_again_with_the_same_claim_changes_nothing_and_asks_nobody(workshop, tmp_path):
    identity, token = identity_in(tmp_path), workshop.claim()
    with workshop.serving():
        enrol(identity, token)
    before = files_of(identity)
    assert not enrol(identity, token)
    assert files_of(identity) == before


def test_a_new_claim_gives_a_new_key_and_nothing_of_the_old_one_is_left(workshop, tmp_path):
    identity = identity_in(tmp_path)
    with workshop.serving():
        enrol(identity, workshop.claim())
        before = files_of(identity)
        enrol(identity, workshop.claim(replaces=True))
    assert agent_can_use(identity)
    assert files_of(identity)["gateway.key"] != before["gateway.key"]
    assert len([path for path in identity.folder.iterdir() if not path.is_symlink()]) == 1


def test_whatever_step_it_is_cut_at_it_goes_on_with_the_same_key(workshop, tmp_path):
    tokens = [workshop.claim(f"pkt-{number:04}") for number in range(ENOUGH)]
    with workshop.process():
        done = subprocess.run(
            [sys.executable, "-m", "tests.enrolling.cuts", tmp_path / "gateways"],
            input="\n".join(tokens), capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= MANY
    keys = defaultdict(set)
    for line in map(json.loads, (workshop.folder / "ledger.jsonl").read_text().splitlines()):
        if line["event"] == "signed":
            keys[line["gateway"]].add(line["key"])
    assert len(keys) >= MANY
    assert all(len(those) == 1 for those in keys.values())


# --- whom it believes ------------------------------------------------------------------------------------------------


def test_a_service_with_another_authority_is_not_believed(workshop, tmp_path):
    token = workshop.claim()
    impostor = Workshop(tmp_path / "impostor")
    impostor.port = workshop.port
    known = claims.read(token)
    with impostor.serving(), pytest.raises(RefusedError, match="nothing here"):
        enrol(identity_in(tmp_path), token)
    with (
        answering(impostor, {"ca": (impostor.folder / "root.pem").read_text()}),
        pytest.raises(RefusedError, match="another fingerprint"),
    ):
        Calls(known.url).root(known.root)


def test_a_service_that_only_claims_to_have_the_authority_gets_no_claim(workshop, tmp_path):
    # Whoever is in the middle passes the true root on; for its own name it has no certificate of it.
    impostor = Workshop(tmp_path / "impostor")
    impostor.port = workshop.port
    root = (workshop.folder / "root.pem").read_text()
    with answering(impostor, {"ca": root}) as heard, pytest.raises(UnreachableError, match="not accepted"):
        enrol(identity_in(tmp_path), workshop.claim())
    assert b"POST" not in b"".join(heard)


def test_somebody_elses_certificate_is_not_stored(workshop, tmp_path):
    chain, _key = server_pair(workshop.authority, ["localhost"], time.time())
    identity = identity_in(tmp_path)
    answer = {"ca": (workshop.folder / "root.pem").read_text(), "certChain": [chain]}
    with answering(workshop, answer), pytest.raises(RefusedError, match="somebody else's"):
        enrol(identity, workshop.claim())
    assert identity.current() is None


@pytest.mark.parametrize("answer", [{}, [], {"ca": 5}, {"ca": "no certificate"}, {"ca": [None]}])
def test_an_answer_that_is_none_is_tried_again_later(workshop, tmp_path, answer):
    with answering(workshop, answer), pytest.raises(UnreachableError, match="something else"):
        enrol(identity_in(tmp_path), workshop.claim())


def test_nobody_there_is_tried_again_later(workshop, tmp_path):
    with pytest.raises(UnreachableError, match="cannot be reached"):
        enrol(identity_in(tmp_path), workshop.claim())


def test_what_is_no_claim_makes_no_folder(tmp_path):
    with pytest.raises(ClaimError):
        enrol(identity_in(tmp_path), "WIFI:S:phuket;;")
    assert not (tmp_path / "identity").exists()


# --- renewal ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def enrolled(workshop, tmp_path):
    """A gateway with its certificate, and the service running."""
    identity = identity_in(tmp_path)
    with workshop.serving():
        enrol(identity, workshop.claim())
        yield identity


def test_a_certificate_is_due_when_two_thirds_of_its_life_are_over(enrolled):
    begins, ends = enrolled.current().validity()
    assert not is_due(enrolled.current(), begins + (ends - begins) * 0.66)
    assert is_due(enrolled.current(), begins + (ends - begins) * 0.67)


def test_a_clock_that_is_years_back_renews_nothing(enrolled):
    assert not is_due(enrolled.current(), 1_600_000_000)


def test_a_renewed_certificate_is_for_the_same_key_and_lasts_longer(enrolled, workshop):
    before = files_of(enrolled)
    workshop.ahead = 250 * DAY
    renew(enrolled.current(), time.time())
    after = files_of(enrolled)
    assert {name for name in after if after[name] != before[name]} == {"gateway.pem"}
    assert agent_can_use(enrolled)
    old, new = (leaf(files["gateway.pem"].decode()) for files in (before, after))
    assert new.not_valid_after_utc.timestamp() - old.not_valid_after_utc.timestamp() == pytest.approx(250 * DAY, abs=60)


def test_a_revoked_gateway_does_not_renew(enrolled, workshop):
    workshop.office.revoke("pkt-0042", "stolen")
    with pytest.raises(RefusedError, match="revoked"):
        renew(enrolled.current(), time.time())


def test_what_has_expired_needs_a_new_claim(workshop, tmp_path):
    identity = identity_in(tmp_path)
    workshop.office = replace(workshop.office, days=-0.01)
    with workshop.serving():
        enrol(identity, workshop.claim())
        assert is_due(identity.current(), time.time())
        with pytest.raises(RefusedError, match="new claim"):
            renew(identity.current(), time.time())
        enrol(identity, workshop.claim())  # and gets it without --replaces: nobody else has the id


def test_without_a_certificate_there_is_nothing_to_renew(workshop):
    context = ssl.create_default_context(cafile=workshop.folder / "root.pem")
    with workshop.serving(), pytest.raises(RefusedError, match="shows it"):
        Calls(workshop.url)._certificates("POST", "/1.0/renew", "{}", context, "certChain")


# --- the command -----------------------------------------------------------------------------------------------------


def test_the_command_says_what_to_do_without_claim_and_certificate(tmp_path):
    said = roadside("enrol", "--root", tmp_path)
    assert said.returncode == 1
    assert "neither a certificate nor a claim" in said.stderr


def test_the_command_keeps_the_claim_until_it_has_been_used(workshop, tmp_path):
    claim = tmp_path / "claim"
    claim.write_text(workshop.claim())
    said = roadside("enrol", "--root", tmp_path, "--claim", claim)
    assert said.returncode == 75
    assert claim.exists()
    with workshop.serving():
        assert roadside("enrol", "--root", tmp_path, "--claim", claim).returncode == 0
        assert not claim.exists()
        assert roadside("enrol", "--root", tmp_path).returncode == 0  # and now it is for renewals


def test_no_secret_of_the_claim_stays_in_its_place_on_the_disk(workshop, tmp_path):
    claim, again = tmp_path / "claim", tmp_path / "again"
    claim.write_text(token := workshop.claim())
    again.hardlink_to(claim)  # sees what is in the same blocks
    with workshop.serving():
        assert roadside("enrol", "--root", tmp_path, "--claim", claim).returncode == 0
    assert token.encode() not in again.read_bytes()


class answering:  # noqa: N801 - reads like a function
    """A TLS server that answers whatever it is asked with one JSON value; yields what it hears."""

    def __init__(self, workshop, value):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pair = workshop.folder / "server.pem"
        pair.write_text("".join(server_pair(Authority.open(workshop.folder), ["localhost"], time.time())))
        self._context.load_cert_chain(pair)
        body = json.dumps(value).encode()
        self._answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)
        self._listener = socket.create_server(("127.0.0.1", workshop.port))
        self._heard = []
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self):
        self._thread.start()
        return self._heard

    def __exit__(self, *_):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self):
        while True:
            try:
                plain, _where = self._listener.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(plain, server_side=True) as connection:
                    connection.settimeout(30)
                    with connection.makefile("rb") as file:
                        self._heard += (head := list(iter(file.readline, b"\r\n")))
                        length = [int(line.split()[1]) for line in head if line.startswith(b"Content-Length:")]
                        file.read(*length or [0])
                    connection.sendall(self._answer)
            except OSError:
                plain.close()
