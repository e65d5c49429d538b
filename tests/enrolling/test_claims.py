import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import load
from agent.enrolling import claims

ROOT = "ab" * 32
SAID = ("aud", "sub", "sha", "jti", "iat", "exp", "iss")
PARTS = st.text(st.characters(codec="utf-8"), max_size=80)


def a_claim(**other):
    about = {"id": "f00d", "gateway": "pkt-0042", "url": "https://enrol.example:8443", "root": ROOT}
    return claims.Claim(**{**about, "issued": 1_790_000_000, "until": 1_790_086_400, "issuer": "roadside", **other})


def unsigned(**said):
    """Return a token that nobody signed."""
    about = {
        "aud": "https://ca.example/1.0/sign", "sub": "pkt-0042", "sha": ROOT, "jti": "1", "iss": "x", "iat": 1,
        "exp": 2,
    }  # fmt: skip
    packed = base64.urlsafe_b64encode(json.dumps({**about, **said}).encode()).decode().rstrip("=")
    return f"e30.{packed}.AAAA"


def test_what_is_issued_is_read_again_and_its_signature_holds(workshop):
    key = workshop.authority.provisioner
    token = claims.issue(a_claim(), key)
    assert claims.read(token) == a_claim()
    assert claims.is_signed_by(token, key.public_key())


def test_a_token_is_what_step_ca_expects(workshop):
    token = claims.issue(a_claim(), workshop.authority.provisioner)
    head, said = (json.loads(claims._unpacked(part)) for part in token.split(".")[:2])
    assert head == {"alg": "ES256", "kid": claims.thumbprint(workshop.authority.provisioner.public_key()), "typ": "JWT"}
    assert said["aud"] == "https://enrol.example:8443/1.0/sign"
    assert said["sans"] == [said["sub"]] == ["pkt-0042"]
    assert said["nbf"] == said["iat"] < said["exp"]


def test_a_token_that_somebody_changed_is_not_signed(workshop):
    key = workshop.authority.provisioner
    head, said, signature = claims.issue(a_claim(), key).split(".")
    other = claims.issue(a_claim(gateway="pkt-0043"), key).split(".")[1]
    assert not claims.is_signed_by(f"{head}.{other}.{signature}", key.public_key())
    assert not claims.is_signed_by(f"{head}.{said}.{signature[:-4]}AAAA", key.public_key())


@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES384"])
def test_a_token_cannot_choose_how_it_is_checked(workshop, algorithm):
    key = workshop.authority.provisioner
    _head, said, signature = claims.issue(a_claim(), key).split(".")
    head = base64.urlsafe_b64encode(json.dumps({"alg": algorithm}).encode()).decode().rstrip("=")
    assert not claims.is_signed_by(f"{head}.{said}.{signature}", key.public_key())
    assert not claims.is_signed_by(f"{head}.{said}.", key.public_key())


def test_a_token_of_step_ca_names_its_service_and_its_authority():
    claim = claims.read(unsigned(aud=["https://ca.example:9000/1.0/sign#admin/x"], sha=ROOT.upper()))
    assert (claim.url, claim.root) == ("https://ca.example:9000", ROOT)


@pytest.mark.parametrize(
    "said",
    [{"sub": "../../etc"}, {"sub": "Pkt 1"}, {"sub": "a" * 64}, {"sha": "12"}, {"aud": "http://ca.example/1.0/sign"}],
)
def test_what_would_lead_a_gateway_astray_is_no_claim(said):
    with pytest.raises(claims.ClaimError):
        claims.read(unsigned(**said))


@given(st.one_of(PARTS, st.lists(PARTS, min_size=2, max_size=4).map(".".join)))
def test_any_text_is_a_claim_or_none(text):
    with pytest.raises(claims.ClaimError):
        claims.read(text)


@given(
    st.dictionaries(st.sampled_from(["aud", "sub", "sha", "jti", "iat", "exp", "iss"]), st.none() | st.floats() | PARTS)
)
def test_whatever_a_token_says_it_is_a_claim_or_none(said):
    try:
        claim = claims.read(unsigned(**said))
    except claims.ClaimError:
        return
    assert claim.url.startswith("https://")
    assert claims.SUBJECT.fullmatch(claim.gateway)


def test_an_id_is_what_the_configuration_takes_for_one():
    assert claims.SUBJECT.pattern == load.IDENTIFIER
    assert claims.LONGEST_SUBJECT == load.LONGEST_IDENTIFIER
