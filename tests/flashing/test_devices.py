"""Which disks are cards, told from folder trees as the kernel shows them."""

from pathlib import Path

import pytest

from agent.flashing.devices import described, disks, find, objection, whole_of

MOUNTINFO = "36 35 {numbers} / {where} rw,noatime shared:1 - ext4 /dev/{name} rw\n"


@pytest.fixture
def machine(tmp_path):
    """A laptop that runs from an NVMe disk, with a card in a USB reader, one in its own slot, and an empty reader."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "dev").mkdir()
    (tmp_path / "proc/swaps").write_text("Filename\tType\tSize\tUsed\tPriority\n")
    disk(tmp_path, "nvme0n1", 500_000_000_000, "259:0", parts={"nvme0n1p2": "259:2"}, model="Fast SSD", serial="S1")
    disk(tmp_path, "sda", 31_914_983_424, "8:0", parts={"sda1": "8:1"}, removable=1, vendor="Generic", model="Reader")
    disk(tmp_path, "sdb", 0, "8:16", removable=1, model="Reader")
    disk(tmp_path, "mmcblk0", 63_864_569_856, "179:0", name="SD64G", type="SD", serial="0x1234abcd")
    disk(tmp_path, "mmcblk1", 31_268_536_320, "179:8", name="DG4032", type="MMC", serial="0x77")
    disk(tmp_path, "loop0", 4096, "7:0")
    mount(tmp_path, "259:2", "/")
    return tmp_path


def disk(root, block, size, numbers, parts=None, removable=0, read_only=0, **device):
    folder = root / "sys/block" / block
    (folder / "device").mkdir(parents=True)
    for file, text in {"size": size // 512, "removable": removable, "ro": read_only, "dev": numbers}.items():
        (folder / file).write_text(f"{text}\n")
    for file, text in device.items():
        (folder / "device" / file).write_text(f"{text}   \n")
    for part, its in (parts or {}).items():
        (folder / part / "holders").mkdir(parents=True)
        (folder / part / "dev").write_text(f"{its}\n")
        (root / "dev" / part).touch()
    (root / "dev" / block).touch()


def mount(root, numbers, where, name="x"):
    with (root / "proc/self/mountinfo").open("a") as file:
        file.write(MOUNTINFO.format(numbers=numbers, where=where, name=name))


def why(machine, name):
    return objection(find(Path("/dev", name), machine))


def test_cards_are_taken_in_a_reader_and_in_a_slot(machine):
    assert [one.name for one in disks(machine) if not objection(one)] == ["mmcblk0", "sda"]


def test_what_is_erased_is_described_by_model_size_and_serial_number(machine):
    assert described(find(Path("/dev/mmcblk0"), machine)) == "SD64G, 63.9 GB, serial number 0x1234abcd"
    assert described(find(Path("/dev/sda"), machine)) == "Generic Reader, 31.9 GB, serial number unknown"


def test_the_running_system_is_refused(machine):
    assert why(machine, "nvme0n1") == "/dev/nvme0n1 is what this computer runs from"


def test_the_running_system_is_refused_also_on_a_removable_disk(machine):
    mount(machine, "8:1", "/")
    assert "runs from" in why(machine, "sda")


def test_what_is_not_removable_is_refused(machine):
    assert "is not removable" in why(machine, "mmcblk1")


def test_an_empty_reader_is_refused(machine):
    assert "without a card" in why(machine, "sdb")


@pytest.mark.parametrize("numbers", ["8:0", "8:1"])
def test_what_is_mounted_is_refused_whole_or_in_part(machine, numbers):
    mount(machine, numbers, "/media/a\\040card")
    assert why(machine, "sda") == (
        "/dev/sda is in use (/media/a card); look whether it is the right one, then: sudo umount /dev/sda?*"
    )


def test_what_swaps_is_refused(machine):
    with (machine / "proc/swaps").open("a") as file:
        file.write("/dev/sda1 partition 1000 0 -2\n")
    assert "in use (swap)" in why(machine, "sda")


def test_what_something_is_built_on_is_refused(machine):
    (machine / "sys/block/sda/sda1/holders/dm-0").mkdir()
    assert "in use (dm-0)" in why(machine, "sda")


def test_a_write_protected_card_is_refused(machine):
    (machine / "sys/block/sda/ro").write_text("1\n")
    assert "write-protected" in why(machine, "sda")


def test_a_partition_is_no_card_but_part_of_one(machine):
    assert find(Path("/dev/sda1"), machine) is None
    assert whole_of(Path("/dev/sda1"), machine).name == "sda"
    assert whole_of(Path("/dev/sdz1"), machine) is None


def test_a_link_by_id_is_followed(machine):
    (machine / "dev/disk/by-id").mkdir(parents=True)
    (machine / "dev/disk/by-id/usb-Reader").symlink_to("../../sda")
    assert find(Path("/dev/disk/by-id/usb-Reader"), machine).name == "sda"
