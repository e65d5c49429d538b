"""The supply and the card, each broken in one way."""

import os
import subprocess

import pytest

from agent.doctor import card, power
from agent.doctor.examine import examine
from agent.doctor.finding import Severity
from tests.doctor.tree import named

DISK = "sys/block/mmcblk0"


def check(name):
    return named((*power.CHECKS, *card.CHECKS), name)


def counted(count):
    values = {"undervoltages": {"ago": 1.0, "value": count}}
    return {"devices": {"pi": {"driver": "host", "state": "ok", "values": values}}, "clock": {}}


def test_a_supply_that_is_low_now(tree):
    tree.write("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n")
    assert tree.finding(check("power.now")).severity is Severity.ERROR


@pytest.mark.parametrize(("count", "severity"), [(0, Severity.FINE), (3, Severity.WARNING)])
def test_what_the_agent_has_counted_since_the_boot(tree, count, severity):
    tree.status = counted(count)
    assert tree.finding(check("power.since_boot")).severity is severity


def test_where_nobody_counts_it_is_said_how_to(tree):
    tree.status = {"devices": {}, "clock": {}}
    found = tree.finding(check("power.since_boot"))
    assert (found.severity, 'driver = "host"' in found.advice) == (Severity.UNKNOWN, True)


@pytest.mark.parametrize(
    ("life", "severity"),
    [("0x01 0x02", Severity.FINE), ("0x01 0x09", Severity.WARNING), ("0x0b 0x01", Severity.ERROR)],
)
def test_how_worn_an_emmc_is(tree, life, severity):
    tree.write(f"{DISK}/device/life_time", life + "\n")
    assert tree.finding(check("card.wear")).severity is severity


def test_a_file_system_that_has_met_errors(tree):
    tree.write("sys/fs/ext4/mmcblk0p2/errors_count", "2\n")
    found = tree.finding(check("card.errors"))
    assert (found.severity, "mmcblk0p2 has met 2 errors" in found.what) == (Severity.ERROR, True)


@pytest.mark.parametrize(
    "line",
    [
        "EXT4-fs error (device mmcblk0p2): ext4_find_entry:1455: inode #2: comm ls: reading directory lblock 0",
        "I/O error, dev mmcblk0, sector 81920 op 0x0:(READ) flags 0x80700 phys_seg 1 prio class 2",
        "mmc0: Timeout waiting for hardware interrupt: timeout",
    ],
)
def test_errors_of_the_card_in_the_kernels_log(tree, line):
    tree.systemd.dmesg += line + "\n"
    assert tree.finding(check("card.log")).severity is Severity.ERROR


@pytest.mark.parametrize(
    "line",
    [
        "mmc1: error -110 whilst initialising SDIO card",  # the Wi-Fi
        "mmc0: error -123 reading general info of SD ext reg",  # what good cards say, too
        "EXT4-fs (mmcblk0p2): re-mounted. Quota mode: none.",
    ],
)
def test_what_is_no_error_of_the_card(tree, line):
    tree.systemd.dmesg += line + "\n"
    assert tree.finding(check("card.log")).severity is Severity.FINE


@pytest.mark.parametrize(
    ("mounts", "severity"),
    [
        ("/dev/mmcblk0p2 / ext4 ro 0 0\n", Severity.ERROR),
        ("overlay / overlay rw 0 0\n/dev/mmcblk0p3 /var/lib/roadside ext4 ro 0 0\n", Severity.ERROR),
        ("overlay / overlay rw 0 0\n/dev/mmcblk0p3 /var/lib/roadside ext4 rw 0 0\n", Severity.FINE),
        ("/dev/mmcblk0p2 / ext4 ro 0 0\n/dev/mmcblk0p3 /var/lib/roadside ext4 rw 0 0\n", Severity.FINE),
    ],
)
def test_a_card_that_the_kernel_writes_no_more(tree, mounts, severity):
    tree.write("proc/self/mounts", mounts)
    assert tree.finding(check("card.writable")).severity is severity


@pytest.mark.parametrize(
    ("sectors", "severity"),
    # of a card of 32 GB that has 3.2 TB less 41 GB left, in 100 000 s
    [(200_000, Severity.FINE), (30_000_000, Severity.WARNING), (400_000_000, Severity.ERROR)],
)
def test_how_long_the_card_lasts_as_it_is_written_now(tree, sectors, severity):
    tree.write(f"{DISK}/stat", f"1 0 8 0 50 0 {sectors} 0 0 0 0\n")
    assert tree.finding(check("card.forecast")).severity is severity


def test_an_emmc_that_tells_its_wear_is_reckoned_by_it(tree):
    tree.write(f"{DISK}/stat", "1 0 8 0 50 0 3000000 0 0 0 0\n")
    assert tree.finding(check("card.forecast")).severity is Severity.FINE
    tree.write(f"{DISK}/device/life_time", "0x01 0x0a\n")
    assert tree.finding(check("card.forecast")).severity is Severity.ERROR


def test_soon_after_the_boot_no_rate_is_believed(tree):
    tree.write("proc/uptime", "60.00 100.00\n")
    assert tree.finding(check("card.forecast")).severity is Severity.UNKNOWN


def test_what_is_forbidden_is_unknown_and_no_error(tree):
    tree.systemd.dmesg = ""
    found = {one.name: one for one in examine(tree.site())}
    (tree.root / "proc/uptime").unlink()
    assert found["card.log"].severity is Severity.FINE
    assert tree.finding(check("card.forecast")).severity is Severity.UNKNOWN


@pytest.mark.parametrize(
    ("megabytes", "severity"), [(40, Severity.ERROR), (300, Severity.WARNING), (2000, Severity.FINE)]
)
def test_how_much_room_there_is_is_asked_of_the_file_system_that_the_journal_lies_on(tree, megabytes, severity):
    if os.geteuid():
        pytest.skip("a file system of its own needs root")
    folder = tree.root / "var/lib/roadside"
    folder.mkdir(parents=True, exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        assert tree.finding(check("card.space")).severity is severity
    finally:
        subprocess.run(["umount", str(folder)], check=True)
