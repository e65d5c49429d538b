"""One agent a gateway."""

import subprocess
import sys

import pytest

from agent.host.lock import TakenError, held

HOLDER = """
import pathlib, sys
from agent.host.lock import held
with held(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_held_by_one_process_and_let_go_when_it_dies(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(TakenError) as caught, held(tmp_path):
            pass
        assert caught.value.process == str(holder.pid)
        holder.kill()
        holder.wait()
        with held(tmp_path):
            pass


def test_it_can_be_held_again_and_again(tmp_path):
    for _ in range(3):
        with held(tmp_path / "new"):
            pass


def test_a_link_in_its_place_is_not_followed(tmp_path):
    (tmp_path / "agent.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"), held(tmp_path):
        pass
    assert not (tmp_path / "elsewhere").exists()
