"""Our own writer of FAT file systems, judged by fsck.vfat and read by mtools."""

import subprocess
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.flashing.fat import Fat, FatError
from agent.flashing.medium import Card
from tests.flashing import images

MOMENT = datetime(2026, 11, 22, 12, 30, 10)  # noqa: DTZ001 - FAT knows no time zones
SMALL = 34 * images.MIB
NAMES = st.sampled_from(
    ["config.txt", "CMDLINE.TXT", "Mixed.txt", "user-data", "thirteenchars", "roadside/release.tar", "roadside/claim",
     "roadside/credentials/a.b.c", "exactly-twenty-six-letters", "pkt-0042.toml.new", "ภูเก็ต.txt", "+.txt", "a.b.c"]
)  # fmt: skip


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    if missing := images.why_no_tools():
        pytest.skip(f"not installed: {missing}")
    path = tmp_path_factory.mktemp("fat") / "empty"
    with path.open("wb") as file:
        file.truncate(SMALL)
    images.run("mkfs.vfat", "-F", "32", "-s", "1", str(path))
    return path


def copy(empty, tmp_path):
    path = tmp_path / "fat"
    subprocess.run(["cp", "--sparse=always", str(empty), str(path)], check=True)
    return path


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(NAMES, st.none() | st.integers(min_value=0, max_value=40_000)), min_size=1, max_size=30)
)
def test_whatever_is_written_and_removed_is_what_others_read(empty, tmp_path, steps):
    path, expected = copy(empty, tmp_path), {}
    with Card(path) as card:
        fat = Fat(card, 0)
        for name, size in steps:
            if size is None:
                if "/" not in name or expected.keys() & {one for one in expected if one.startswith("roadside/")}:
                    remove(fat, name, expected)
            else:
                expected[name] = bytes(range(256)) * (size // 256) + name.encode()[: size % 256]
                fat.write(name, expected[name], MOMENT)
        again = Fat(card, 0)
        assert {name: again.read(name) for name in expected} == expected
    assert "errors" not in images.run("fsck.vfat", "-n", str(path))
    for name, data in expected.items():
        if name.isascii():
            said = subprocess.run(["mtype", "-i", str(path), f"::/{name}"], capture_output=True, check=True)
            assert said.stdout == data


def remove(fat, name, expected):
    try:
        fat.remove(name)
    except FatError:
        assert name.rpartition("/")[0]  # a folder that nobody has made yet
    expected.pop(name, None)


def test_a_name_that_fits_is_short_as_the_firmware_of_a_pi_looks_for_it(empty, tmp_path):
    path = copy(empty, tmp_path)
    with Card(path) as card:
        Fat(card, 0).write("config.txt", b"x", MOMENT)
        Fat(card, 0).write("network-config", b"x", MOMENT)
    assert "config   txt" in images.run("mdir", "-i", str(path), "::/")
    assert "network-config" in images.run("mdir", "-i", str(path), "::/")


def test_a_folder_with_more_files_than_a_cluster_holds_grows(empty, tmp_path):
    path = copy(empty, tmp_path)
    with Card(path) as card:
        fat = Fat(card, 0)
        for number in range(100):
            fat.write(f"roadside/credentials/name number {number}", b"", MOMENT)
        assert len(Fat(card, 0).names("roadside/credentials")) == 100
    assert "errors" not in images.run("fsck.vfat", "-n", str(path))


def test_a_computer_whose_clock_is_before_fats_first_day_writes_a_card_too(empty, tmp_path):
    path = copy(empty, tmp_path)
    with Card(path) as card:
        Fat(card, 0).write("config.txt", b"x", datetime(1970, 1, 1))  # noqa: DTZ001 - as above
    assert "errors" not in images.run("fsck.vfat", "-n", str(path))
    assert "1980-01-01" in images.run("mdir", "-i", str(path), "::/config.txt")


def test_what_has_no_room_is_refused_and_says_how_much_is_needed(empty, tmp_path):
    with Card(copy(empty, tmp_path)) as card, pytest.raises(FatError, match=r"33 MiB free, and 40 MiB are needed"):
        Fat(card, 0).write("large", bytes(40 * images.MIB), MOMENT)


@pytest.mark.parametrize("offset", [11, 13, 16, 36, 510])
def test_what_is_no_fat_is_refused(empty, tmp_path, offset):
    path = copy(empty, tmp_path)
    with Card(path) as card:
        card.write(offset, b"\0\0\0\0")
        with pytest.raises(FatError):
            Fat(card, 0)


def test_a_ring_of_clusters_ends(empty, tmp_path):
    path = copy(empty, tmp_path)
    with Card(path) as card:
        fat = Fat(card, 0)
        fat.write("long", bytes(4096), MOMENT)
        first = fat._find(fat._folder(""), "long").cluster
        fat._set(first + 3, first)
        with pytest.raises(FatError, match="damaged"):
            fat.read("long")
