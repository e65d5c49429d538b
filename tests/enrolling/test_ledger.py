import json
import shutil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.enrolling import ledger
from tests.enrolling.gateways import a_request


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A ledger with one line of each kind but a refusal."""
    from tests.enrolling.workshop import Workshop

    folder = tmp_path_factory.mktemp("ledger")
    workshop = Workshop(folder)
    workshop.office.sign(workshop.claim(), a_request(folder / "ours"))
    workshop.office.sign(workshop.claim(replaces=True), a_request(folder / "other"))
    workshop.office.revoke("pkt-0042", "stolen")
    return (workshop.folder / ledger.NAME).read_bytes()


def opened(folder, data):
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / ledger.NAME).write_bytes(data)
    with ledger.opened(folder) as book:
        return book.standing


@given(st.data())
def test_a_ledger_that_was_cut_is_as_it_was_before_the_line_that_was_cut(written, tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "cut"
    at = data.draw(st.integers(0, len(written)))
    whole = written[: written.rfind(b"\n", 0, at) + 1]
    assert opened(folder, written[:at]) == opened(folder, whole)
    with ledger.opened(folder) as book:
        book.write(1, "claimed", gateway="pkt-0001", claim="x", until=2, replaces=False)
    assert (folder / ledger.NAME).read_bytes().startswith(whole)
    assert all(json.loads(line) for line in (folder / ledger.NAME).read_bytes().splitlines())


@given(st.one_of(st.binary(min_size=1, max_size=50), st.sampled_from([b"{}", b"[]", b'{"event":"signed"}', b"1"])))
def test_a_line_that_is_damaged_is_named(tmp_path_factory, line):
    folder = tmp_path_factory.getbasetemp() / "damaged"
    with pytest.raises(ledger.LedgerError, match=f"{ledger.NAME}:2: this line is damaged"):
        opened(folder, b'{"at":1,"event":"refused"}\n' + line.replace(b"\n", b"").replace(b"\r", b"") + b"x\n")


def test_only_its_owner_reads_it(workshop):
    workshop.claim()
    assert (workshop.folder / ledger.NAME).stat().st_mode & 0o777 == 0o600
