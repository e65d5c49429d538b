"""Dates of certificates, compared with what Python's own (private) reader says of them."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.uplink import x509
from tests.uplink import certificates
from tests.uplink.authority import Authority

if TYPE_CHECKING:
    from pathlib import Path

DAY = 86_400


@pytest.mark.parametrize("pem", [certificates.AUTHORITY, certificates.VALID, certificates.NOT_YET_VALID])
def test_dates_are_read_as_python_reads_them(tmp_path: Path, pem: str):
    path = tmp_path / "pem"
    path.write_text(pem)
    known = ssl._ssl._test_decode_cert(str(path))
    assert x509.of_pem("some words before\n" + pem) == tuple(
        ssl.cert_time_to_seconds(known[key]) for key in ("notBefore", "notAfter")
    )


def test_a_certificate_of_today_has_dates_of_two_digits(tmp_path: Path):
    pair = Authority(tmp_path / "authority").gateway(start=-1, end=10)
    dates = x509.of_pem(pair.certificate.read_text())
    assert dates.ends - dates.begins == 11 * DAY


@given(st.integers(0, 450), st.integers(0, 255))
def test_a_damaged_one_is_told_and_breaks_nothing(at: int, byte: int):
    der = bytearray(ssl.PEM_cert_to_DER_cert(certificates.VALID))
    der[at % len(der)] = byte
    for damaged in (bytes(der), bytes(der[:at])):
        with suppress(ValueError):
            x509.of_der(damaged)


@pytest.mark.parametrize(("day", "soon"), [(0, False), (19.9, False), (20, True), (29, True), (31, True)])
def test_it_nears_its_end_when_a_third_of_its_life_is_left(day: float, soon: bool):
    assert x509.Validity(0, 30 * DAY).ends_soon(day * DAY) is soon
