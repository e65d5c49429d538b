import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.host.disk import Folder, whole_file
from agent.seams import Disk


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Folder(tmp_path / "made" / "when-needed")


def test_a_missing_folder_is_made_for_the_service_and_its_group_alone(tmp_path: Path) -> None:
    folder = tmp_path / "journal"
    assert Folder(folder).names() == []
    assert stat.S_IMODE(folder.stat().st_mode) == 0o750


def test_what_is_appended_is_there_in_order(disk: Disk) -> None:
    file = disk.create("one")
    file.append(b"first,")
    file.append(b"")
    file.append(b"second")
    file.sync()
    file.close()
    file.close()
    disk.sync_folder()
    assert disk.read("one") == b"first,second"
    assert disk.size("one") == 12
    assert disk.names() == ["one"]


def test_create_empties_the_file_that_is_there(disk: Disk) -> None:
    for data in (b"the old one, longer", b"the new one"):
        file = disk.create("one")
        file.append(data)
        file.close()
    assert disk.read("one") == b"the new one"


def test_replace_puts_a_whole_file_in_place(disk: Disk) -> None:
    disk.replace("state", b"old")
    disk.replace("state", b"new")
    assert disk.read("state") == b"new"
    assert disk.names() == ["state"]


def test_what_a_power_cut_left_of_a_replace_is_neither_shown_nor_in_the_way(tmp_path: Path) -> None:
    disk = Folder(tmp_path)
    (tmp_path / ".state.new").write_bytes(b"half of it, and longer than the next")
    assert disk.names() == []
    disk.replace("state", b"whole")
    assert disk.read("state") == b"whole"
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_names_are_sorted_and_a_removed_one_is_gone(disk: Disk) -> None:
    for name in ("b", "a", "c"):
        disk.create(name).close()
    disk.remove("b")
    assert disk.names() == ["a", "c"]


def test_what_is_not_there_is_an_error(disk: Disk) -> None:
    for method in (disk.read, disk.size, disk.remove):
        with pytest.raises(FileNotFoundError):
            method("nothing")


def test_a_path_that_cannot_be_a_folder_is_an_error_only_when_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    disk = Folder(tmp_path / "file" / "journal")
    for method in (disk.names, disk.free, lambda: disk.create("x"), lambda: disk.replace("x", b"")):
        with pytest.raises(OSError, match="file"):
            method()


def test_free_room_is_told_in_bytes(disk: Disk) -> None:
    assert disk.free() > 4096


# The kernel's own limit on the size of a file stands in for a full card: the write that crosses it is cut short,
# the next one fails.
FULL = """
import resource, sys
from pathlib import Path
from agent.host.disk import Folder, whole_file
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
disk = Folder(Path(sys.argv[1]))
disk.replace("state", b"old")
file = disk.create("segment")
file.append(b"x" * 90)
for failing in (lambda: file.append(b"y" * 20), lambda: disk.replace("state", b"z" * 200)):
    try:
        failing()
    except OSError as error:
        print(error.strerror)
print(disk.size("segment"))
file.append(b"w" * 10)
file.close()
"""


def test_on_a_full_medium_the_file_is_cut_back_and_the_old_state_stays(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout.splitlines() == ["File too large", "File too large", "90"]
    assert (tmp_path / "segment").read_bytes() == b"x" * 90 + b"w" * 10
    assert (tmp_path / "state").read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["segment", "state"]


@given(st.lists(st.binary(max_size=200), max_size=10))
def test_any_appends_read_back_as_one(tmp_path_factory: pytest.TempPathFactory, records: list[bytes]) -> None:
    disk = Folder(tmp_path_factory.getbasetemp() / "any")
    file = disk.create("one")
    for record in records:
        file.append(record)
    file.close()
    assert disk.read("one") == b"".join(records)


@pytest.mark.parametrize("kind", ["fifo", "device", "socket"])
def test_what_is_no_plain_file_is_an_error_and_nobody_waits_for_it(tmp_path, kind):
    path = tmp_path / "a"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    else:
        with socket.socket(socket.AF_UNIX) as end:
            end.bind(str(path))
    folder = Folder(tmp_path)
    with pytest.raises(OSError, match="a"):
        folder.read("a")
    with pytest.raises(OSError, match="a"):
        folder.create("a")


def test_a_file_that_is_larger_than_any_of_ours_is_not_read(tmp_path):
    with (tmp_path / "a").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(OSError, match="too large"):
        Folder(tmp_path).read("a")


def test_a_whole_file_is_there_only_once_it_is_whole_and_its_owner_alone_may_read_it(tmp_path):
    path = tmp_path / "out.csv"
    with whole_file(path, encoding="utf-8") as file:
        file.write("1\n")
        assert not path.exists()
    assert path.read_text() == "1\n"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["out.csv"]


def test_of_a_whole_file_that_came_to_nothing_nothing_is_left(tmp_path):
    def interrupted():
        with whole_file(tmp_path / "out.csv", encoding="utf-8") as file:
            file.write("1\n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []
