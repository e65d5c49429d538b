"""What differs from one processor to the next: the table, and what is done with it where no machine is needed."""

import asyncio
import lzma
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hil import foreign
from hil.install import copy_distributions
from hil.vm import devicetree, kernel
from hil.vm.architecture import AMD64, ARM64

AARCH64_PROGRAM = bytes.fromhex("7f454c46020101000000000000000000 0300b70001000000")


def root_with(tmp_path, program):
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/env").write_bytes(program)
    return tmp_path


def test_what_the_table_says_is_what_the_commands_are_called():
    assert ARM64.qemu == "qemu-system-aarch64"
    assert {"aarch64-linux-gnu-gcc", "aarch64-linux-gnu-strip"} <= set(ARM64.builders)


@pytest.mark.skipif(platform.machine() != AMD64.machine, reason="looks at an x86-64 from outside and from inside")
def test_this_machine_is_not_foreign_to_itself():
    assert not AMD64.foreign
    assert ARM64.foreign
    assert AMD64.builders == ("gcc", "strip")
    assert "qemu-aarch64-static" in ARM64.builders


def test_what_is_missing_for_a_foreign_kernel_is_named(monkeypatch, tmp_path):
    for name in ("apt-get", "dpkg-deb", "make", "cc", "depmod", "modprobe", "xz"):
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    if platform.machine() == AMD64.machine:
        assert kernel.why_not(ARM64) == "aarch64-linux-gnu-gcc is not installed"


def test_a_root_folder_tells_whose_programs_it_has(tmp_path):
    root = root_with(tmp_path, AARCH64_PROGRAM)
    assert foreign.machine(root) == "aarch64"
    if platform.machine() != "aarch64":
        assert foreign.prefix(root) == [sys.executable, "-m", "hil.foreign"]


def test_programs_of_our_own_are_run_as_they_are(tmp_path):
    root = root_with(tmp_path, Path(sys.executable).read_bytes()[:64])
    assert foreign.machine(root) == platform.machine()
    assert foreign.prefix(root) == []


def test_binfmt_misc_is_told_of_what_begins_as_programs_for_aarch64_do():
    nothing, name, kind, offset, magic, mask, interpreter, flags = foreign.entry().split(":")
    assert (nothing, name, kind, offset, flags) == ("", "qemu-aarch64", "M", "", "F")
    assert interpreter.endswith("/qemu-aarch64-static")
    wanted, bits = (bytes.fromhex(octets.replace("\\x", "")) for octets in (magic, mask))
    for program, taken in (
        (AARCH64_PROGRAM, True),
        (Path(sys.executable).read_bytes(), platform.machine() == "aarch64"),
    ):
        head = bytes(byte & bit for byte, bit in zip(program, bits, strict=False))
        assert (head == bytes(byte & bit for byte, bit in zip(wanted, bits, strict=True))) is taken


def test_what_is_pure_python_is_copied_for_another_processor(tmp_path):
    copy_distributions(["click"], tmp_path, "aarch64")
    assert (tmp_path / "click/__init__.py").exists()


def test_a_kernel_that_is_not_packed_stays_as_it_is():
    arm64 = bytes(56) + b"ARM\x64" + bytes(8)
    assert kernel._unpacked_kernel(arm64) == arm64
    assert kernel._unpacked_kernel(b"a loader" + lzma.compress(b"a kernel")) == b"a kernel"


def test_the_device_tree_is_of_a_pi_and_has_no_gpio_chip_of_the_boards_own(tmp_path):
    if missing := [name for name in (ARM64.qemu, "fdtput") if shutil.which(name) is None]:
        pytest.skip(f"{missing[0]} is not installed: ./bootstrap.sh vm-arm64")
    tree = tmp_path / "board.dtb"
    asyncio.run(devicetree.write(tree, [ARM64.qemu, *ARM64.board], ARM64.revision))
    shown = subprocess.run(
        ["fdtget", "-t", "x", tree, "/system", "linux,revision"], capture_output=True, text=True, check=True
    )
    assert shown.stdout.split() == ["c03115"]
    nodes = subprocess.run(["fdtget", "-l", tree, "/"], capture_output=True, text=True, check=True).stdout.split()
    assert not [name for name in nodes if "pl061" in name or "gpio" in name]
    assert "fw-cfg@9020000" in nodes
