"""Archives of journals: whatever is wrong with one is an OSError that says so in the technician's language."""

import io
import random
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.host.archive import MOST, Archive

FORMS = ["w", "w:gz", "w:bz2", "w:xz"]


def packed(form):
    """Return an archive of three segments."""
    chance = random.Random(1)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=form) as tar:
        for number in range(3):
            member = tarfile.TarInfo(f"journal/{number:010}.segment")
            member.size = 3000
            tar.addfile(member, io.BytesIO(chance.randbytes(member.size)))
    return buffer.getvalue()


PACKED = {form: packed(form) for form in FORMS}


@given(
    form=st.sampled_from(FORMS),
    flips=st.lists(st.tuples(st.integers(0, 20_000), st.integers(1, 255)), min_size=1, max_size=8),
    end=st.none() | st.integers(0, 9000),
)
def test_a_damaged_archive_is_an_oserror_or_gives_what_can_be_read(tmp_path_factory, form, flips, end):
    data = bytearray(PACKED[form])
    for at, bits in flips:
        data[at % len(data)] ^= bits
    path = tmp_path_factory.mktemp("archive") / "a.tar"
    path.write_bytes(data[:end])
    try:
        archive = Archive(path, "segment")
        for name in archive.names():
            archive.read(name)
    except OSError:
        pass


def test_what_is_no_archive_is_said_in_one_line(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(b"no archive")
    with pytest.raises(OSError, match="is no tar archive, or a damaged one") as caught:
        Archive(path, "segment")
    assert "\n" not in str(caught.value)


def test_what_is_larger_or_more_than_a_journal_can_be_is_not_read(tmp_path):
    path = tmp_path / "a.tar"
    member = tarfile.TarInfo("0000000001.segment")
    member.size = 1 << 40
    path.write_bytes(member.tobuf())
    with path.open("r+b") as file:
        file.truncate(1 << 41)
    archive = Archive(path, "segment")
    with pytest.raises(OSError, match="too large"):
        archive.read("0000000001.segment")
    path.write_bytes(tarfile.TarInfo("x").tobuf() * (MOST + 1))
    with pytest.raises(OSError, match="too many files"):
        Archive(path, "segment")
