"""A card that is a block device of the kernel, as far as one is to be had: a loop device is one, and needs root."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.flashing.card import make, prepare
from agent.flashing.medium import Card, FlashError
from tests.flashing import images
from tests.flashing.test_card import MOMENT, NOW, flash, quiet


@pytest.fixture
def device(tmp_path):
    """Return a function that makes a block device of so many bytes, and the file that is behind it."""
    if os.geteuid() or shutil.which("losetup") is None:
        pytest.skip("a loop device needs root and losetup")
    made = []

    def device(size):
        behind = tmp_path / f"behind-{len(made)}"
        with behind.open("wb") as file:
            file.write(b"\xa5" * size)  # what somebody had on it
        done = subprocess.run(["losetup", "--find", "--show", behind], capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no loop device is to be had: {done.stderr.strip()}")
        made.append(done.stdout.strip())
        return Path(made[-1]), behind

    yield device
    for path in made:
        subprocess.run(["losetup", "--detach", path], check=True)


def test_it_holds_what_a_file_holds_and_behind_that_what_was_there(order, device, tmp_path):
    image = tmp_path / "image"  # without a map: what that leaves out keeps what was on the device
    shutil.copyfile(order().image, image)
    size = image.stat().st_size
    path, behind = device(size + images.MIB)
    flash(order(image=image), path)
    flash(order(image=image), tmp_path / "card")
    assert "errors" not in images.judged(behind)
    assert behind.read_bytes() == (tmp_path / "card").read_bytes() + b"\xa5" * images.MIB


def test_one_that_is_in_use_is_refused_by_the_kernel_and_left_as_it_was(device):
    path, behind = device(images.MIB)
    held = os.open(path, os.O_RDONLY | os.O_EXCL)  # as who has mounted it
    try:
        with pytest.raises(OSError, match="busy"):
            Card(path)
    finally:
        os.close(held)
    assert behind.read_bytes() == b"\xa5" * images.MIB


def test_one_that_is_too_small_is_refused_and_left_as_it_was(order, device):
    path, behind = device(images.MIB)
    with Card(path) as card, pytest.raises(FlashError, match="the card has"):
        make(prepare(order(), NOW), card, quiet, MOMENT)
    assert behind.read_bytes() == b"\xa5" * images.MIB
