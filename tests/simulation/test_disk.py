"""The simulated disk does what the real one does, and then worse."""

import errno
import random
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from agent.host.disk import Folder
from tests.simulation.disk import FOREVER, PAGE, SECTOR, Death, Killed, SimulatedDisk, every_outcome


def newest(count):
    return count - 1


def written(disk, *pieces, name="one"):
    """Append pieces to a new file whose name is on the medium."""
    file = disk.create(name)
    disk.sync_folder()
    for piece in pieces:
        file.append(piece)
    return file


def outcomes(disk, name="one"):
    """Return every content that a file may have after a power cut; None where it is not there."""

    def play(choose):
        other = disk.copy()
        other.power_cut(choose)
        return other.read(name) if name in other.names() else None

    return set(every_outcome(play))


# --- a power cut ---------------------------------------------------------------------------------------------------


def test_what_was_synced_survives_and_what_was_not_may():
    disk = SimulatedDisk()
    file = written(disk, b"synced")
    file.sync()
    file.append(b", not")

    assert outcomes(disk) == {b"synced", b"synced\0\0\0\0\0", b"synced, not"}


def test_pieces_reach_the_medium_in_any_order_and_leave_holes():
    disk = SimulatedDisk(piece=SECTOR)
    written(disk, b"a" * SECTOR, b"b" * SECTOR)

    found = outcomes(disk)

    assert b"\0" * SECTOR + b"b" * SECTOR in found
    assert b"a" * SECTOR + b"\0" * SECTOR in found
    assert b"" in found


def test_one_piece_is_as_it_was_at_some_moment():
    disk = SimulatedDisk()
    written(disk, b"a", b"b")

    assert outcomes(disk) == {b"", b"\0", b"\0\0", b"a", b"a\0", b"ab"}


def test_a_new_name_that_was_not_synced_may_be_gone():
    disk = SimulatedDisk()
    disk.create("one").sync()

    assert outcomes(disk) == {None, b""}


def test_a_file_whose_removal_was_not_synced_may_come_back():
    disk = SimulatedDisk()
    written(disk, b"stale").sync()
    disk.remove("one")
    assert disk.names() == []
    assert outcomes(disk) == {None, b"stale"}

    disk.sync_folder()
    assert outcomes(disk) == {None}


def test_a_replaced_file_is_the_old_one_or_the_new_one_at_every_operation():
    for last in range(1, 20):
        disk = SimulatedDisk(piece=SECTOR)
        disk.replace("one", b"old" * SECTOR)
        disk.before = Death(last)
        try:
            disk.replace("one", b"new" * SECTOR)
        except Killed:
            chance = random.Random(last)
            for _ in range(50):
                other = disk.copy()
                other.power_cut(chance.randrange)
                assert other.read("one") in {b"old" * SECTOR, b"new" * SECTOR}
        else:
            assert outcomes(disk) == {b"new" * SECTOR}
            return
    pytest.fail("it takes no end")


def test_of_a_tmpfs_a_power_cut_leaves_nothing_and_a_kill_leaves_all():
    disk = SimulatedDisk(volatile=True)
    file = written(disk, b"here")
    disk.kill()

    assert disk.read("one") == b"here"
    with pytest.raises(Killed):
        file.append(b"from the grave")
    disk.power_cut(newest)
    assert disk.names() == []


# --- faults --------------------------------------------------------------------------------------------------------


def test_after_a_sync_that_failed_the_next_one_succeeds_and_writes_nothing():
    disk = SimulatedDisk()
    file = written(disk, b"doubtful")
    disk.refuse("sync", errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        file.sync()
    file.sync()

    assert disk.read("one") == b"doubtful"
    assert outcomes(disk) >= {b"", b"doubtful"}


def test_without_room_an_append_is_cut_back():
    disk = SimulatedDisk()
    file = written(disk, b"12345")
    disk.capacity = 8
    with pytest.raises(OSError, match="No space"):
        file.append(b"67890")

    assert disk.read("one") == b"12345"
    assert disk.free() == 3
    file.append(b"678")
    assert disk.read("one") == b"12345678"


def test_where_the_cut_back_fails_too_the_next_append_goes_over_the_torn_one():
    disk = SimulatedDisk()
    file = written(disk, b"12345")
    disk.capacity = 8
    disk.refuse("cut", errno.EIO)
    with pytest.raises(OSError, match="No space"):
        file.append(b"67890")
    assert disk.read("one") == b"12345678"

    file.append(b"abc")
    assert disk.read("one") == b"12345abc"


def test_a_kill_between_the_pages_of_an_append_leaves_a_torn_one():
    disk = SimulatedDisk()
    file = written(disk)
    disk.before = Death(2)
    with pytest.raises(Killed):
        file.append(b"x" * PAGE * 3)

    assert len(disk.copy().read("one")) == PAGE


def test_faults_are_switched_on_and_off():
    disk = SimulatedDisk()
    written(disk, b"a", name="one").sync()
    written(disk, b"b", name="two").sync()
    disk.refuse("read", errno.EIO, name="one", times=FOREVER)
    for _ in range(3):
        with pytest.raises(OSError, match="Input/output"):
            disk.read("one")
    assert disk.read("two") == b"b"
    disk.read_only = True
    with pytest.raises(OSError, match="Read-only"):
        disk.create("three")
    disk.blocked = True
    with pytest.raises(NotADirectoryError):
        disk.names()

    disk.heal()
    assert disk.read("one") == b"a"
    disk.flip("one", 1)
    assert disk.read("one") == b"c"
    disk.vanish()
    assert disk.names() == []
    disk.bring_back("one", b"stale")
    assert disk.read("one") == b"stale"


# --- against the real one ------------------------------------------------------------------------------------------

names = st.sampled_from(["one", "two", "three"])
pieces = st.integers(0, 3 * PAGE).map(lambda size: bytes(size % 251 for _ in range(size)))


class SameAsReal(RuleBasedStateMachine):
    """Without faults, whatever is done to a real folder and to a simulated one has the same effect."""

    def __init__(self):
        super().__init__()
        self.path = Path(tempfile.mkdtemp())
        self.disks = [Folder(self.path / "folder"), SimulatedDisk()]
        self.files = []

    def both(self, call):
        """Do it to both; whatever comes of it has to be the same."""
        found = []
        for disk in self.disks:
            try:
                found.append(call(disk))
            except OSError as error:
                found.append(error.errno)
        assert found[0] == found[1]

    @rule(name=names)
    def create(self, name):
        self.files.append([disk.create(name) for disk in self.disks])

    @precondition(lambda self: self.files)
    @rule(data=st.data(), piece=pieces)
    def append(self, data, piece):
        for file in data.draw(st.sampled_from(self.files)):
            file.append(piece)

    @precondition(lambda self: self.files)
    @rule(data=st.data())
    def sync_and_close(self, data):
        files = data.draw(st.sampled_from(self.files))
        self.files.remove(files)
        for file in files:
            file.sync()
            file.close()
            with pytest.raises(OSError, match="Bad file descriptor"):
                file.append(b"too late")

    @rule(name=names)
    def remove(self, name):
        self.both(lambda disk: disk.remove(name))

    @rule(name=names, piece=pieces)
    def replace(self, name, piece):
        self.both(lambda disk: disk.replace(name, piece))

    @rule()
    def vanish(self):
        shutil.rmtree(self.path / "folder", ignore_errors=True)
        self.disks[1].vanish()

    @rule()
    def lose_nothing_by_a_power_cut_after_a_sync(self):
        self.both(lambda disk: disk.sync_folder() if disk.names() else None)
        other = self.disks[1].copy()
        other.kill()
        assert other.names() == self.disks[0].names()

    @invariant()
    def they_hold_the_same(self):
        self.both(lambda disk: disk.names())
        for name in ["one", "two", "three"]:
            self.both(lambda disk, name=name: disk.read(name))
            self.both(lambda disk, name=name: disk.size(name))

    def teardown(self):
        for files in self.files:
            for file in files:
                file.close()
        shutil.rmtree(self.path)


TestSameAsReal = SameAsReal.TestCase
TestSameAsReal.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
