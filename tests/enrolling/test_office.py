"""Who is given a certificate, and who is not."""

import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.hashes import SHA256

from agent.enrolling import claims
from agent.enrolling.office import RefusedError
from tests.enrolling.gateways import a_request, leaf
from tests.enrolling.workshop import DAY, Workshop

# openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:secp112r1 -subj /CN=pkt-0042
SECP112R1 = b"""\
-----BEGIN CERTIFICATE REQUEST-----
MIGBME4CAQAwEzERMA8GA1UEAwwIcGt0LTAwNDIwMjAQBgcqhkjOPQIBBgUrgQQA
BgMeAARLKqcxtONoSzWnxJ1lUwhcXcowXFh8OUDabndgoAAwCgYIKoZIzj0EAwID
IwAwIAIOMRkJBoJ0noXicFVs9u8CDgLBSNDNr5rd6ZyE8dl6
-----END CERTIFICATE REQUEST-----
"""


@pytest.fixture
def ours(tmp_path):
    return a_request(tmp_path / "ours")


@pytest.fixture
def other(tmp_path):
    return a_request(tmp_path / "other")


def revoked(workshop):
    """Return the serial numbers on the list that brokers have, with the reasons."""
    listed = x509.load_pem_x509_crl((workshop.folder / "crl.pem").read_bytes())
    assert listed.is_signature_valid(workshop.authority.intermediate.public_key())
    reason = {one.serial_number: one.extensions.get_extension_for_class(x509.CRLReason).value.reason for one in listed}
    return {serial: why.value for serial, why in reason.items()}


def test_a_claim_gives_a_certificate_for_that_gateway_alone(workshop, ours):
    made = leaf(workshop.office.sign(workshop.claim(), ours))
    assert made.subject.rfc4514_string() == "CN=pkt-0042"
    usage = made.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.ExtendedKeyUsageOID.CLIENT_AUTH]
    made.verify_directly_issued_by(workshop.authority.intermediate)
    workshop.authority.intermediate.verify_directly_issued_by(workshop.authority.root)


def test_a_certificate_of_a_gateway_begins_before_it_was_made_and_ends_after_a_year(workshop, ours):
    made = leaf(workshop.office.sign(workshop.claim(), ours))
    assert made.not_valid_before_utc.timestamp() == pytest.approx(time.time() - 3600, abs=60)
    assert made.not_valid_after_utc.timestamp() == pytest.approx(time.time() + 365 * DAY, abs=60)


def test_what_a_gateway_checks_is_valid_for_a_clock_that_is_years_back(workshop):
    from agent.enrolling.authority import server_pair

    chain, _key = server_pair(workshop.authority, ["localhost"], time.time())
    for one in (leaf(chain), workshop.authority.intermediate, workshop.authority.root):
        assert one.not_valid_before_utc.year == 2020


def test_a_claim_is_good_for_one_key(workshop, ours, other):
    token = workshop.claim()
    workshop.office.sign(token, ours)
    with pytest.raises(RefusedError, match="used already"):
        workshop.office.sign(token, other)


def test_a_gateway_whose_answer_was_lost_asks_again_with_the_same_key(workshop, ours):
    token = workshop.claim()
    first, second = (leaf(workshop.office.sign(token, ours)) for _ in range(2))
    assert first.public_key() == second.public_key()
    assert first.serial_number != second.serial_number


def test_a_claim_expires(workshop, ours):
    token = workshop.claim(days=2)
    workshop.ahead = 2 * DAY + 1
    with pytest.raises(RefusedError, match="expired"):
        workshop.office.sign(token, ours)


def test_a_claim_is_for_one_id(workshop, tmp_path):
    with pytest.raises(RefusedError, match="the claim is for pkt-0042"):
        workshop.office.sign(workshop.claim(), a_request(tmp_path / "liar", "pkt-0001"))


def test_only_the_last_claim_for_an_id_waits(workshop, ours):
    before, _after = workshop.claim(), workshop.claim()
    with pytest.raises(RefusedError, match="void"):
        workshop.office.sign(before, ours)


def test_a_claim_of_another_workshop_is_none(workshop, ours, tmp_path):
    theirs = Workshop(tmp_path / "elsewhere")
    with pytest.raises(RefusedError, match="none of this workshop's"):
        workshop.office.sign(theirs.claim(), ours)


def test_a_claim_that_the_ledger_does_not_know_is_none_though_its_signature_is_good(workshop, ours):
    known = claims.read(workshop.claim())
    forged = claims.Claim(**{name: getattr(known, name) for name in known.__slots__} | {"id": "0" * 32})
    with pytest.raises(RefusedError, match="none of this workshop's"):
        workshop.office.sign(claims.issue(forged, workshop.authority.provisioner), ours)


def test_a_request_with_another_kind_of_key_is_refused(workshop):
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pkt-0042")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, SHA256())
    with pytest.raises(RefusedError, match="P-256"):
        workshop.office.sign(workshop.claim(), request)


def test_a_request_with_a_key_of_a_kind_that_nobody_knows_is_refused(workshop):
    with pytest.raises(RefusedError, match="P-256"):
        workshop.office.sign(workshop.claim(), x509.load_pem_x509_csr(SECP112R1))


# --- two with one id -------------------------------------------------------------------------------------------------


def test_no_second_gateway_gets_an_id_that_is_taken(workshop, ours):
    workshop.office.sign(workshop.claim(), ours)
    with pytest.raises(RefusedError, match="pkt-0042 is enrolled already, with another key"):
        workshop.claim()


def test_two_cards_from_one_claim_are_told_apart_by_their_keys(workshop, ours, other):
    token = workshop.claim()
    workshop.office.sign(token, ours)
    workshop.office.claim("pkt-0043", replaces=False)
    with pytest.raises(RefusedError, match="used already"):
        workshop.office.sign(token, other)
    assert '"event":"refused"' in (workshop.folder / "ledger.jsonl").read_text()


def test_a_replacement_takes_the_id_and_the_old_certificate_is_revoked(workshop, ours, other):
    old = leaf(workshop.office.sign(workshop.claim(), ours))
    token = workshop.claim(replaces=True)
    assert workshop.office.standing().of("pkt-0042", time.time())  # the old one goes on until then
    new = leaf(workshop.office.sign(token, other))
    assert revoked(workshop) == {old.serial_number: "superseded"}
    with pytest.raises(RefusedError, match="revoked"):
        workshop.office.renew(old)
    assert leaf(workshop.office.renew(new)).public_key() == new.public_key()


def test_the_replaced_one_does_not_come_back_with_its_own_claim(workshop, ours, other):
    before = workshop.claim()
    workshop.office.sign(before, ours)
    workshop.office.sign(workshop.claim(replaces=True), other)
    with pytest.raises(RefusedError, match="key of this gateway was revoked"):
        workshop.office.sign(before, ours)


# --- revoked ---------------------------------------------------------------------------------------------------------


def test_a_stolen_gateway_is_revoked_with_all_it_has_and_the_claim_that_waits(workshop, ours, other):
    first = leaf(workshop.office.sign(workshop.claim(), ours))
    second = leaf(workshop.office.renew(first))
    waiting = workshop.claim(replaces=True)
    assert workshop.office.revoke("pkt-0042", "stolen") == 2
    assert revoked(workshop) == dict.fromkeys((first.serial_number, second.serial_number), "keyCompromise")
    with pytest.raises(RefusedError, match="revoked"):
        workshop.office.renew(second)
    with pytest.raises(RefusedError, match="void"):
        workshop.office.sign(waiting, other)


def test_after_that_its_id_is_free_for_another(workshop, ours, other):
    workshop.office.sign(workshop.claim(), ours)
    workshop.office.revoke("pkt-0042", "stolen")
    assert workshop.office.sign(workshop.claim(), other)


def test_a_claim_that_was_never_used_can_be_revoked(workshop, ours):
    token = workshop.claim()
    assert workshop.office.revoke("pkt-0042", "decommissioned") == 0
    with pytest.raises(RefusedError, match="void"):
        workshop.office.sign(token, ours)


def test_what_was_never_enrolled_cannot_be_revoked(workshop):
    with pytest.raises(RefusedError, match="no certificate and no claim"):
        workshop.office.revoke("pkt-0042", "stolen")


def test_the_list_of_revoked_ones_outlives_every_gateway(workshop):
    workshop.office.publish()
    listed = x509.load_pem_x509_crl((workshop.folder / "crl.pem").read_bytes())
    assert listed.next_update_utc == workshop.authority.intermediate.not_valid_after_utc
    assert (workshop.folder / "crl.pem").stat().st_mode & 0o777 == 0o644


def test_what_the_broker_was_given_cannot_be_renewed(workshop):
    from agent.enrolling.authority import server_pair

    with pytest.raises(RefusedError, match="no gateway's"):
        workshop.office.renew(leaf(server_pair(workshop.authority, ["localhost"], time.time())[0]))
