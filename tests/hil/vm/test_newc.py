"""The initial ramdisk's archive, read back with Debian's cpio where there is one."""

import shutil
import subprocess

import pytest

from hil.vm.newc import archive, file, folder


def test_an_archive_is_read_by_cpio(tmp_path):
    if shutil.which("cpio") is None:
        pytest.skip("cpio is not installed")
    packed = archive([folder("bin"), file("bin/init", b"odd length", 0o755), file("empty", b"")])
    subprocess.run(["cpio", "-id", "--quiet"], cwd=tmp_path, input=packed, check=True)
    assert (tmp_path / "bin/init").read_bytes() == b"odd length"
    assert (tmp_path / "bin/init").stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "empty").read_bytes() == b""


def test_an_archive_ends_as_the_kernel_wants_it():
    packed = archive([file("a", b"b")])
    assert packed.startswith(b"070701")
    assert b"TRAILER!!!\0" in packed
    assert len(packed) % 4 == 0
